import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Admission } from "../../../src/aggregation/admission/Admission.ts"
import * as Quarantine from "../../../src/aggregation/admission/Quarantine.ts"
import { space } from "../../../src/aggregation/admission/RetryQueue.ts"
import { Examiner, withoutFacts } from "../../../src/aggregation/evidence/Examiner.ts"
import { Settings } from "../../../src/config/Settings.ts"
import { Accepted, Undetermined } from "../../../src/domain/Quality.ts"
import { Shutdown } from "../../../src/lifecycle/Shutdown.ts"
import { profileEvent } from "../../support/events.ts"
import { folder } from "../../support/service.ts"
import { blank } from "../FakeDatabase.ts"
import { eventually, within } from "../world.ts"

const one = profileEvent({ name: "one" }, "one")
const unanswered = Undetermined("picture host did not answer", 1000)
const two = profileEvent({ name: "two" }, "two")

/** A folder, what is in it, and the quarantine of one process after the other. */
const kept = Effect.map(folder, (home) => {
  const databasePath = join(home, "r.db")
  const state = (ending: string) => `${databasePath}${ending}`
  const settings = Settings.layerTest({ databasePath, stateDir: home })
  return {
    place: { databasePath, stateDir: home },
    state,
    text: (ending: string) => existsSync(state(ending)) ? readFileSync(state(ending), "utf8") : undefined,
    put: (ending: string, text: string) => writeFileSync(state(ending), text),
    process: <A, E>(work: (quarantine: Quarantine.Quarantine, shutdown: Shutdown["Service"]) => Effect.Effect<A, E>) =>
      Effect.flatMap(
        Quarantine.Quarantine,
        (quarantine) => Shutdown.use((shutdown) => work(quarantine, shutdown))
      ).pipe(
        Effect.provide(Quarantine.layer.pipe(Layer.provideMerge(Shutdown.layerTest), Layer.provide(settings))),
        Effect.scoped
      )
  }
})

describe("a process after two that left no certificate", () => {
  it.effect("does one thing at a time, each of them named, and blank again however it ends", () =>
    Effect.gen(function*() {
      const { process, put, state, text } = yield* kept
      put(".starts", "2\n")
      yield* process(({ alone, isCareful }) =>
        Effect.gen(function*() {
          assert.isTrue(isCareful)
          const gate = yield* Deferred.make<void>()
          const seen: Array<unknown> = []
          const look = Effect.sync(() => void seen.push(JSON.parse(readFileSync(state(".in-work"), "utf8"))))
          const first = yield* Effect.forkChild(alone(one, Effect.andThen(look, Deferred.await(gate))))
          const second = yield* Effect.forkChild(alone(two, look))
          for (let i = 0; i < 50; i++) yield* Effect.yieldNow
          assert.deepStrictEqual(seen, [one])
          yield* Fiber.interrupt(first)
          yield* Fiber.join(second)
          assert.deepStrictEqual(seen, [one, two])
          assert.isTrue(Exit.isFailure(yield* Effect.exit(alone(one, Effect.die("a bug")))))
          assert.strictEqual(text(".in-work"), "")
        })
      )
      assert.strictEqual(text(".starts"), "3\n")
    }).pipe(Effect.scoped))

  it.effect("sets aside what was in work, once, and takes a name that was cut off for none", () =>
    Effect.gen(function*() {
      const { place, process, put, text } = yield* kept
      put(".starts", "3\n")
      for (let n = 0; n < 2; n++) {
        put(".in-work", `${JSON.stringify(one)}\n`)
        yield* process(({ holds }) =>
          Effect.sync(() => assert.deepStrictEqual([holds(one.id), holds(two.id)], [true, false]))
        )
      }
      put(".in-work", JSON.stringify(two).slice(0, 100))
      yield* process(({ holds }) => Effect.sync(() => assert.isFalse(holds(two.id))))
      assert.strictEqual(text(".set-aside.jsonl"), `${JSON.stringify(one)}\n`)
      assert.deepStrictEqual(Quarantine.look(place).setAside.map(({ id }) => id), [one.id])
      assert.strictEqual(Quarantine.look(place).starts, 6)
    }).pipe(Effect.scoped))
})

describe("a process after one that left a certificate", () => {
  it.effect("is not careful, names nothing, and counts from one again", () =>
    Effect.gen(function*() {
      const { process, put, text } = yield* kept
      put(".starts", "5\n")
      yield* process((_, { journal }) => Effect.sync(() => journal.certified()))
      assert.deepStrictEqual([text(".starts"), text(".in-work")], [undefined, undefined])
      yield* process(({ alone, holdsAny, isCareful }) =>
        Effect.gen(function*() {
          yield* alone(one, Effect.sync(() => assert.isUndefined(text(".in-work"))))
          assert.deepStrictEqual([isCareful, holdsAny], [false, false])
        })
      )
      assert.strictEqual(text(".starts"), "1\n")
    }).pipe(Effect.scoped))

  it.effect("is not careful after one end without", () =>
    Effect.gen(function*() {
      const { process, put } = yield* kept
      put(".starts", "1\n")
      yield* process(({ isCareful }) => Effect.sync(() => assert.isFalse(isCareful)))
    }).pipe(Effect.scoped))
})

describe("a disk that takes nothing", () => {
  it.effect("keeps what was set aside, and the name of what was in work for a better day", () =>
    Effect.gen(function*() {
      const { process, put, state, text } = yield* kept
      put(".starts", "3\n")
      put(".in-work", `${JSON.stringify(one)}\n`)
      // In the way of the file.
      mkdirSync(state(".set-aside.jsonl.d"))
      symlinkSync(state(".set-aside.jsonl.d/missing/file"), state(".set-aside.jsonl"))
      yield* process(({ alone, holds, isCareful }) =>
        Effect.andThen(
          alone(two, Effect.void),
          Effect.sync(() => assert.deepStrictEqual([isCareful, holds(one.id)], [true, true]))
        )
      )
      assert.strictEqual(text(".in-work"), `${JSON.stringify(one)}\n`)
      rmSync(state(".set-aside.jsonl"))
      yield* process(({ holds }) => Effect.sync(() => assert.isTrue(holds(one.id))))
      assert.strictEqual(text(".set-aside.jsonl"), `${JSON.stringify(one)}\n`)
    }).pipe(Effect.scoped))
})

describe("a profile that was set aside while it waited", () => {
  for (const isHeld of [true, false]) {
    it.effect(isHeld ? "leaves the retry queue, and is not examined again" : "would be examined otherwise", () => {
      let asked = 0
      const examiner = Layer.succeed(Examiner, {
        asks: true,
        glance: () => Effect.succeed(Accepted),
        examine: () => Effect.sync(() => withoutFacts(++asked === 1 ? unanswered : Accepted))
      })
      const disk = blank()
      const waits = () => [...disk.records.keys()].some((key) => key.startsWith(`${space.name} `))
      const submitted = Effect.flatMap(Admission, (admission) => admission.sender("test")).pipe(
        Effect.flatMap((sender) => sender.submit(one))
      )
      return Effect.gen(function*() {
        yield* within({ examiner, disk }, submitted)
        assert.deepStrictEqual([asked, waits()], [1, true])
        yield* within(
          { examiner, disk },
          Effect.andThen(TestClock.adjust("1 minute"), eventually(() => !waits()))
        ).pipe(Effect.provideService(Quarantine.Quarantine, {
          isCareful: false,
          holdsAny: isHeld,
          holds: (id) => isHeld && id === one.id,
          alone: (_event, work) => work
        }))
        assert.deepStrictEqual([asked, disk.events.size], isHeld ? [1, 0] : [2, 1])
      })
    })
  }
})
