import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import {
  checkSpace,
  layer as nameOwnersLayer,
  NameOwners,
  space
} from "../../../src/aggregation/evidence/NameOwners.ts"
import * as Nip05Checks from "../../../src/aggregation/evidence/Nip05Checks.ts"
import { Nip05Documents, type Nip05Listing } from "../../../src/aggregation/evidence/Nip05Documents.ts"
import { Settings } from "../../../src/config/Settings.ts"
import { Database } from "../../../src/database/Database.ts"
import { verifiedNames } from "../../../src/database/Spaces.ts"
import type { Event } from "../../../src/domain/Event.ts"
import { nip05TextOf } from "../../../src/domain/Nip05.ts"
import type { HostBudgets } from "../../../src/fetch/HostBudgets.ts"
import { layer as hostBudgetsLayer } from "../../../src/fetch/HostBudgets.ts"
import { Shutdown } from "../../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../../src/lifecycle/Supervisor.ts"
import { epoch, keyOf, profileEvent } from "../../support/events.ts"
import { blank, Disk, layer as databaseLayer } from "../FakeDatabase.ts"
import { now } from "../world.ts"

const { pubkey } = keyOf("mira")
const other = keyOf("other").pubkey
const day = 86_400_000

const profile = (nip05: string | undefined, created_at = epoch) => profileEvent({ nip05 }, "mira", { created_at })

interface World {
  readonly says: (listing: Nip05Listing) => void
  /** What happens from the question to the answer. */
  readonly whileAsked: (happens: Effect.Effect<void>) => void
  /** Names that were asked for. */
  readonly asked: Array<string>
  readonly store: (event: Event) => Effect.Effect<void, unknown, Database | NameOwners>
  /** The name that searches find the author by. */
  readonly verified: () => string | undefined
  readonly dueIn: () => number | undefined
}

const silence: Nip05Listing = { _tag: "Unanswered", reason: "NIP-05 domain did not answer", retryAfter: 300_000 }
const hers: Nip05Listing = { _tag: "Listed", pubkey }

const run = (
  test: (
    world: World
  ) => Effect.Effect<void, unknown, Database | HostBudgets | NameOwners | Disk | Settings | Supervisor>,
  nip05: "off" | "check" | "require" = "check"
) => {
  const disk = blank()
  let says: Nip05Listing = hers
  let happens: Effect.Effect<void> = Effect.void
  const asked: World["asked"] = []
  let time = 0
  const world: World = {
    says: (listing) => void (says = listing),
    whileAsked: (next) => void (happens = next),
    asked,
    store: Effect.fnUntraced(function*(event) {
      const database = yield* Database
      const names = yield* NameOwners
      yield* Effect.scoped(Effect.gen(function*() {
        const sender = yield* database.sender("test")
        yield* sender.write([{ _tag: "Save", event }, ...(yield* names.onStored(event))])
      }))
    }),
    verified: () => {
      const value = disk.records.get(`${space.name} ${pubkey}`)?.value
      return value === undefined ? undefined : JSON.parse(value) as string
    },
    dueIn: () => {
      const due = disk.records.get(`${checkSpace.name} ${pubkey}`)?.due
      return due === undefined || due === null ? undefined : due - time
    }
  }
  const documents = Layer.succeed(Nip05Documents, {
    lookUp: (name) =>
      Effect.flatMap(Effect.clockWith((clock) => clock.currentTimeMillis), (at) => {
        time = at
        asked.push(nip05TextOf(name))
        return Effect.map(happens, () => says)
      })
  })
  const layer = nameOwnersLayer.pipe(
    Layer.provideMerge(documents),
    Layer.provideMerge(databaseLayer(disk)),
    Layer.provideMerge(Supervisor.layer),
    Layer.provideMerge(Shutdown.layerTest),
    Layer.provideMerge(hostBudgetsLayer),
    Layer.provideMerge(Settings.layerTest({ nip05 }))
  )
  return Effect.andThen(
    TestClock.setTime(now * 1000),
    Effect.provide(test(world), layer, { local: true })
  )
}

/** So many hours, in which whatever is due is looked at, as `Nip05Checks` does. */
const pass = (hours: number) =>
  Effect.forEach(Array.from({ length: hours }), () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1 hour")
      yield* looks
    }), { discard: true })

const looks = Effect.gen(function*() {
  const database = yield* Database
  const names = yield* NameOwners
  const at = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
  for (const { key } of yield* checkSpace.due(database, at, 10)) {
    const records = yield* names.recheck(key)
    yield* Effect.scoped(Effect.flatMap(database.sender("test"), (sender) => sender.write(records)))
  }
})

const around = (found: number | undefined, expected: number) => {
  assert.isAtLeast(found ?? 0, 0.8 * expected)
  assert.isAtMost(found ?? 0, 1.2 * expected)
}

describe("the fact of a NIP-05 name", () => {
  it("is kept where searches read it", () => assert.strictEqual(space.name, verifiedNames))

  it.effect("is kept once the domain says that the name is the author's, as it is compared", () =>
    run(({ asked, dueIn, store, verified }) =>
      Effect.gen(function*() {
        yield* store(profile("Mira@Boats.Example"))
        assert.strictEqual(verified(), undefined)
        yield* looks
        assert.strictEqual(verified(), "mira@boats.example")
        assert.deepStrictEqual(asked, ["mira@boats.example"])
        around(dueIn(), 7 * day)
      })
    ))

  it.effect("is not kept of a name that is another key's or not listed, which is looked at ever more rarely", () =>
    Effect.forEach(
      [{ _tag: "Listed", pubkey: other }, { _tag: "Unlisted" }, { _tag: "Refused" }] as const,
      (listing) =>
        run(({ asked, dueIn, says, store, verified }) =>
          Effect.gen(function*() {
            says(listing)
            yield* store(profile("mira@boats.example"))
            yield* looks
            assert.strictEqual(verified(), undefined)
            around(dueIn(), day)
            yield* pass(30)
            assert.strictEqual(asked.length, 2)
            around(dueIn(), 2 * day)
            yield* pass(100 * 24)
            around(dueIn(), 16 * day)
          })
        )
    ))

  it.effect("is looked at again after a week or so, and goes when it no longer holds", () =>
    run(({ asked, says, store, verified }) =>
      Effect.gen(function*() {
        yield* store(profile("mira@boats.example"))
        yield* looks
        yield* pass(120)
        assert.strictEqual(asked.length, 1)
        says({ _tag: "Listed", pubkey: other })
        yield* pass(3.5 * 24)
        assert.isAbove(asked.length, 1)
        assert.strictEqual(verified(), undefined)
        says(hers)
        // By then it may have been looked at three times, and be due after up to 4.8 days.
        yield* pass(5 * 24)
        assert.strictEqual(verified(), "mira@boats.example")
      })
    ))

  it.effect("outlives a domain's silence, which is asked again after hours, then days", () =>
    run(({ asked, dueIn, says, store, verified }) =>
      Effect.gen(function*() {
        yield* store(profile("mira@boats.example"))
        yield* looks
        says(silence)
        yield* pass(20 * 24)
        assert.strictEqual(verified(), "mira@boats.example")
        assert.isAbove(asked.length, 5)
        around(dueIn(), 2 * day)
        says(hers)
        yield* pass(72)
        around(dueIn(), 7 * day)
      })
    ))

  it.effect("does not count our own pace as silence", () =>
    run(({ dueIn, says, store }) =>
      Effect.gen(function*() {
        says({ _tag: "Unanswered", reason: "not checked in time", retryAfter: 30_000 })
        yield* store(profile("mira@boats.example"))
        yield* looks
        around(dueIn(), 37_500)
        yield* pass(1)
        around(dueIn(), 37_500)
      })
    ))

  it.effect("changes with the profile's name, and goes with it", () =>
    run(({ asked, store, verified }) =>
      Effect.gen(function*() {
        yield* store(profile("mira@boats.example"))
        yield* looks
        yield* store(profile("tide.example", epoch + 1))
        assert.strictEqual(verified(), undefined)
        yield* looks
        assert.strictEqual(verified(), "_@tide.example")
        yield* store(profile("TIDE.example", epoch + 2))
        yield* looks
        assert.strictEqual(asked.length, 2)
        yield* store(profile("not a name", epoch + 3))
        assert.strictEqual(verified(), undefined)
        yield* store(profile("mira@boats.example", epoch + 4))
        yield* looks
        yield* store(profile(undefined, epoch + 5))
        assert.strictEqual(verified(), undefined)
        const disk = yield* Disk
        assert.strictEqual(disk.records.size, 0)
      })
    ))

  it.effect("is that of the new name where the profile changes while the old one is being looked up", () =>
    run(({ asked, store, verified, whileAsked }) =>
      Effect.gen(function*() {
        const names = yield* NameOwners
        const database = yield* Database
        yield* store(profile("mira@boats.example"))
        whileAsked(Effect.orDie(Effect.provideService(
          Effect.provideService(store(profile("mira@tide.example", epoch + 1)), NameOwners, names),
          Database,
          database
        )))
        yield* looks
        assert.strictEqual(verified(), undefined)
        whileAsked(Effect.void)
        yield* looks
        assert.deepStrictEqual(asked, ["mira@boats.example", "mira@tide.example"])
        assert.strictEqual(verified(), "mira@tide.example")
      })
    ))

  it.effect("is forgotten of an author whose profile is gone", () =>
    run(({ asked, store, verified }) =>
      Effect.gen(function*() {
        const disk = yield* Disk
        yield* store(profile("mira@boats.example"))
        yield* looks
        disk.events.clear()
        yield* pass(216)
        assert.strictEqual(verified(), undefined)
        assert.strictEqual(disk.records.size, 0)
        assert.strictEqual(asked.length, 1)
      })
    ))

  it.effect("is nobody's business while the rule is off", () =>
    run(({ asked, store }) =>
      Effect.gen(function*() {
        yield* store(profile("mira@boats.example"))
        yield* pass(24)
        const disk = yield* Disk
        assert.strictEqual(disk.records.size, 0)
        assert.deepStrictEqual(asked, [])
      }), "off"))
})

describe("Nip05Checks", () => {
  it.effect("looks at what is due within seconds, many at a time, and says when it is due next", () =>
    run(({ asked, dueIn, store, verified }) =>
      Effect.gen(function*() {
        yield* store(profile("mira@boats.example"))
        for (let i = 0; i < 100; i++) yield* store(profileEvent({ nip05: `n${i}@d${i}.example` }, i))
        yield* TestClock.adjust(Nip05Checks.period)
        assert.strictEqual(asked.length, 101)
        assert.strictEqual(verified(), "mira@boats.example")
        around(dueIn(), 7 * day)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(asked.length, 101)
      }).pipe(Effect.provide(Nip05Checks.layer))
    ))

  it.effect("gives everybody of a large domain a turn, and lets nobody else wait for it", () =>
    run(({ asked, store }) =>
      Effect.gen(function*() {
        for (let i = 0; i < 70; i++) yield* store(profileEvent({ nip05: `n${i}@large.example` }, i))
        yield* TestClock.adjust(1)
        yield* store(profile("mira@boats.example"))
        yield* TestClock.adjust(Nip05Checks.period)
        assert.strictEqual(asked.filter((name) => name.endsWith("large.example")).length, Nip05Checks.perDomain)
        assert.include(asked, "mira@boats.example")
        yield* TestClock.adjust("50 seconds")
        assert.strictEqual(asked.length, Nip05Checks.perDomain + 1)
        // 50 turns, two seconds apart, from a minute on.
        yield* TestClock.adjust("1 minute")
        assert.isAtMost(asked.length, Nip05Checks.perDomain + 1 + 35)
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual(new Set(asked).size, 71)
        assert.strictEqual(asked.length, 71)
      }).pipe(Effect.provide(Nip05Checks.layer))
    ))

  it.effect("does not put a new name off with the old one, whose domain has too many", () =>
    run(({ asked, store, whileAsked }) =>
      Effect.gen(function*() {
        const names = yield* NameOwners
        const database = yield* Database
        for (let i = 0; i < 8; i++) yield* store(profileEvent({ nip05: `n@d${i}.example` }, `other ${i}`))
        yield* TestClock.adjust(1)
        for (let i = 0; i < Nip05Checks.perDomain; i++) yield* store(profileEvent({ nip05: `n${i}@large.example` }, i))
        yield* TestClock.adjust(1)
        yield* store(profile("mira@large.example"))
        const changed = store(profile("mira@tide.example", epoch + 1)).pipe(
          Effect.provideService(NameOwners, names),
          Effect.provideService(Database, database),
          Effect.orDie
        )
        whileAsked(Effect.suspend(() => {
          whileAsked(Effect.void)
          return changed
        }))
        yield* TestClock.adjust(Nip05Checks.period)
        yield* TestClock.adjust(Nip05Checks.period)
        assert.include(asked, "mira@tide.example")
      }).pipe(Effect.provide(Nip05Checks.layer))
    ))

  it.effect("goes on after a disk that failed", () =>
    run(({ asked, store, verified }) =>
      Effect.gen(function*() {
        const disk = yield* Disk
        yield* store(profile("mira@boats.example"))
        disk.broken.value = true
        yield* TestClock.adjust("1 minute")
        disk.broken.value = false
        yield* TestClock.adjust(Nip05Checks.period)
        assert.strictEqual(verified(), "mira@boats.example")
        assert.strictEqual(asked.length, 1)
      }).pipe(Effect.provide(Nip05Checks.layer))
    ))
})

describe("NameOwners.check", () => {
  const name = { local: "mira", domain: "boats.example" }
  const check = Effect.flatMap(NameOwners, (names) => names.check(pubkey, name))
  const written = Effect.gen(function*() {
    const database = yield* Database
    const { fact, operations } = yield* check
    yield* Effect.scoped(Effect.flatMap(database.sender("test"), (sender) => sender.write(operations)))
    return fact
  })

  it.effect("asks once for what it can remember, whatever that is", () =>
    Effect.forEach([hers, { _tag: "Unlisted" }] as const, (listing) =>
      run(({ asked, says }) =>
        Effect.gen(function*() {
          says(listing)
          const first = yield* written
          assert.deepStrictEqual(yield* written, first)
          assert.strictEqual(asked.length, 1)
        }), "require")))

  it.effect("remembers a name for whichever version of the profile is accepted in the end", () =>
    run(() =>
      Effect.gen(function*() {
        yield* written
        const { onceStored } = yield* check
        assert.deepStrictEqual(onceStored.map((one) => [one.space, one.value]), [[
          space.name,
          "\"mira@boats.example\""
        ]])
      }), "require"))

  it.effect("does not remember a silence", () =>
    run(({ asked, says }) =>
      Effect.gen(function*() {
        says(silence)
        assert.deepStrictEqual(yield* written, silence)
        says(hers)
        assert.deepStrictEqual(yield* written, { _tag: "Verified" })
        assert.strictEqual(asked.length, 2)
      }), "require"))

  it.effect("believes a domain that falls silent for 30 days that the name is the author's", () =>
    run(({ says }) =>
      Effect.gen(function*() {
        yield* written
        says(silence)
        yield* TestClock.adjust("10 days")
        assert.deepStrictEqual(yield* written, { _tag: "Verified" })
        assert.deepStrictEqual(yield* written, { _tag: "Verified" })
        // Just before the end it is put off for as long as ever.
        yield* TestClock.adjust(20 * day - 1)
        assert.deepStrictEqual(yield* written, { _tag: "Verified" })
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(yield* written, silence)
        assert.deepStrictEqual(yield* written, silence)
      }), "require"))

  it.effect("takes no older answer of a silent domain for evidence against the name", () =>
    run(({ says }) =>
      Effect.gen(function*() {
        says({ _tag: "Unlisted" })
        yield* written
        says(silence)
        yield* TestClock.adjust("2 days")
        assert.deepStrictEqual(yield* written, silence)
        assert.deepStrictEqual(yield* written, silence)
      }), "require"))

  it.effect("takes the fact away from the served version when the domain turns on a newer one", () =>
    run(({ says, store, verified }) =>
      Effect.gen(function*() {
        yield* store(profile("mira@boats.example"))
        yield* looks
        assert.strictEqual(verified(), "mira@boats.example")
        yield* pass(120)
        const disk = yield* Disk
        disk.records.delete(`${checkSpace.name} ${pubkey}`)
        says({ _tag: "Unlisted" })
        yield* written
        assert.strictEqual(verified(), undefined)
      }), "require"))
})
