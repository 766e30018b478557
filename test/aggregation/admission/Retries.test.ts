import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Admission } from "../../../src/aggregation/admission/Admission.ts"
import { answerTimeout, patience } from "../../../src/aggregation/admission/AdmissionIntake.ts"
import { checksMax, Retries } from "../../../src/aggregation/admission/Retries.ts"
import { attemptsMax, delayMax, delayOf, space } from "../../../src/aggregation/admission/RetryQueue.ts"
import { Examiner, withoutFacts } from "../../../src/aggregation/evidence/Examiner.ts"
import * as Picture from "../../../src/aggregation/evidence/Picture.ts"
import { PictureStore } from "../../../src/aggregation/evidence/PictureStore.ts"
import type { Event } from "../../../src/domain/Event.ts"
import { Accepted, Rejected, Undetermined, type Verdict } from "../../../src/domain/Quality.ts"
import { Shutdown } from "../../../src/lifecycle/Shutdown.ts"
import { epoch, profileEvent, relayListEvent } from "../../support/events.ts"
import { make as makeDns } from "../../support/FakeDns.ts"
import { layer as playing, relay } from "../../support/FakeUpstreamSocket.ts"
import * as Guarded from "../../support/guarded.ts"
import * as HostileHost from "../../support/HostileHost.ts"
import { png } from "../../support/images.ts"
import { blank, Disk } from "../FakeDatabase.ts"
import * as FakeWeb from "../FakeWeb.ts"
import { eventually, now, type Options, proofs, settle, upstreamUrl, within } from "../world.ts"

const submit = (event: Event) =>
  Effect.scoped(
    Effect.flatMap(Admission, (admission) => Effect.flatMap(admission.sender("test"), (sender) => sender.submit(event)))
  )

const status = Effect.flatMap(Retries, (retries) => retries.status)
const waitingIn = ({ records }: Disk["Service"]) =>
  [...records.keys()].filter((key) => key.startsWith(`${space.name} `))
const unanswered = Undetermined("picture host did not answer", 1000)

/** An examiner that gives each profile its verdicts in turn, the last one for good; every question is noted. */
const scripted = (...verdicts: ReadonlyArray<Verdict | "never">) => {
  const asked: Array<{ readonly id: string; readonly at: number }> = []
  const count = (id: string) => asked.filter((question) => question.id === id).length
  return {
    asked,
    layer: Layer.succeed(Examiner, {
      asks: true,
      glance: () => Effect.succeed(Accepted),
      examine: ({ id }) =>
        Effect.clockWith((clock) => {
          const verdict = verdicts[Math.min(count(id), verdicts.length - 1)] ?? Accepted
          asked.push({ id, at: clock.currentTimeMillisUnsafe() })
          return verdict === "never" ? Effect.never : Effect.succeed(withoutFacts(verdict))
        })
    })
  }
}

const harvesting = (events: ReadonlyArray<Event>, options: Options): Options => ({
  ...options,
  sockets: playing(relay(events).play),
  settings: { upstreams: [upstreamUrl], ...options.settings }
})

const people = (count: number): ReadonlyArray<Event> =>
  Array.from({ length: count }, (_, n) => profileEvent({}, `author ${n}`, { created_at: epoch - n }))

describe("the schedule of retries", () => {
  it("is 30, 60, 120 s and so on, then hours, up to a cap", () => {
    assert.deepStrictEqual([0, 1, 2, 3, 4].map(delayOf), [0, 30_000, 60_000, 120_000, 240_000])
    assert.strictEqual(delayOf(attemptsMax), delayMax)
    assert.strictEqual(delayOf(1000), delayMax)
  })

  it.effect("is followed with a spread, and never ahead of what the host asked for", () => {
    const examiner = scripted(unanswered, Undetermined("picture host asked for a pause", 3_600_000), Accepted)
    return within(
      { examiner: examiner.layer },
      Effect.gen(function*() {
        const disk = yield* Disk
        yield* submit(profileEvent())
        yield* TestClock.adjust("23 seconds")
        assert.strictEqual(examiner.asked.length, 1)
        yield* TestClock.adjust("14 seconds")
        yield* eventually(() => examiner.asked.length === 2)
        yield* TestClock.adjust("59 minutes")
        assert.strictEqual(examiner.asked.length, 2)
        yield* TestClock.adjust("8 minutes")
        yield* eventually(() => disk.events.size === 1)
        assert.deepStrictEqual(waitingIn(disk), [])
      })
    )
  })
})

describe("a host that asks for a second", () => {
  const place = "/mira.png"
  const refusal = { status: 429, retryAfter: "1" }

  it.effect("is asked again a second later, and a third time within ten", () => {
    const web = FakeWeb.make()
    const url = `https://images.example${place}`
    web.set(url, refusal)
    return within(
      { picture: web.pictures },
      Effect.gen(function*() {
        const disk = yield* Disk
        yield* submit(profileEvent({ picture: url }))
        yield* TestClock.adjust(999)
        assert.strictEqual(web.requests.length, 1)
        // The spread of the picture's own record and that of the queue: a third at most.
        yield* TestClock.adjust(351)
        yield* eventually(() => web.requests.length === 2)
        web.set(url, FakeWeb.image(600, 600))
        yield* TestClock.adjust("8 seconds")
        yield* eventually(() => disk.events.size === 1)
        assert.strictEqual(web.requests.length, 3)
        assert.isAtMost(web.requests[2]!.at - web.requests[0]!.at, 10_000)
      })
    )
  })

  it.effect("is not believed for ever: from the fourth time on it is asked at our own pace", () => {
    const web = FakeWeb.make()
    const url = `https://images.example${place}`
    web.set(url, refusal)
    return within(
      { picture: web.pictures },
      Effect.gen(function*() {
        yield* submit(profileEvent({ picture: url }))
        yield* TestClock.adjust("20 seconds")
        yield* eventually(() => web.requests.length === 4)
        yield* TestClock.adjust("2 minutes")
        yield* settle
        assert.strictEqual(web.requests.length, 4)
      })
    )
  })

  it.live("has been asked three times within ten seconds, over real sockets", () =>
    Effect.gen(function*() {
      const host = yield* HostileHost.make()
      const busy = HostileHost.retryAfter(429, "1")
      host.script(place, busy, busy, HostileHost.ok(png(600, 600)))
      const dns = makeDns()
      dns.set("images.example", ["127.0.0.1"])
      const picture = Picture.layer.pipe(
        Layer.provide(Guarded.layer({ dns })),
        Layer.provide(PictureStore.layerMemory(10))
      )
      yield* within(
        { picture },
        Effect.gen(function*() {
          const disk = yield* Disk
          yield* submit(profileEvent({ picture: `http://images.example:${host.port}${place}` }))
          yield* host.until(() => host.requests.length === 3)
          while (disk.events.size === 0) yield* Effect.sleep(20)
        })
      )
      assert.strictEqual(host.requests.length, 3)
    }).pipe(Effect.scoped, Effect.timeout("10 seconds")), 15_000)
})

describe("the retry queue", () => {
  it.effect("takes a harvested page whole, in the write that covers it, and checks its profiles afterwards", () => {
    const examiner = scripted(Accepted)
    const events = people(10)
    return within(
      harvesting(events, { examiner: examiner.layer }),
      Effect.gen(function*() {
        const disk = yield* Disk
        yield* eventually(() => disk.events.size === events.length)
        const page = disk.writes.find((operations) => operations.some(({ _tag }) => _tag === "Record"))
        const spaces = page?.map((operation) => operation._tag === "Record" ? operation.space : operation._tag)
        assert.deepStrictEqual(spaces, [...events.map(() => space.name), "coverage"])
        assert.deepStrictEqual(waitingIn(disk), [])
        const { outcomes, unchecked, waiting } = yield* status
        assert.deepStrictEqual([outcomes, waiting, unchecked], [{ Saved: 10 }, 0, 0])
      })
    )
  })

  it.effect("checks so many at a time and no more", () => {
    const examiner = scripted("never")
    return within(
      harvesting(people(checksMax + 5), { examiner: examiner.layer }),
      Effect.gen(function*() {
        yield* eventually(() => examiner.asked.length === checksMax)
        yield* settle
        assert.strictEqual(examiner.asked.length, checksMax)
        assert.strictEqual((yield* status).checking, checksMax)
      })
    )
  })

  it.effect("hides nobody behind one author, of whom however many versions wait", () => {
    const versions = Array.from(
      { length: 4 * checksMax },
      (_, n) => profileEvent({}, "prolific", { created_at: epoch + n })
    )
    const asked: Array<string> = []
    const examiner = Layer.succeed(Examiner, {
      asks: true,
      glance: () => Effect.succeed(Accepted),
      examine: ({ pubkey }) => {
        asked.push(pubkey)
        return pubkey === versions[0]!.pubkey ? Effect.never : Effect.succeed(withoutFacts(Accepted))
      }
    })
    const upstream = relay(versions)
    const other = profileEvent({}, "other", { created_at: now })
    return within(
      { examiner, sockets: playing(upstream.play), settings: { upstreams: [upstreamUrl] } },
      Effect.gen(function*() {
        const disk = yield* Disk
        yield* eventually(() => waitingIn(disk).length === versions.length)
        yield* TestClock.adjust(1000)
        upstream.publish(other)
        yield* eventually(() => disk.events.size === 1)
        assert.deepStrictEqual(asked, [versions[0]!.pubkey, other.pubkey])
        assert.strictEqual((yield* status).unchecked, versions.length)
      })
    )
  })

  it.effect("does not ask about one profile twice, from however many upstreams and clients it comes", () => {
    const examiner = scripted("never")
    const [profile] = people(1)
    return within(
      harvesting([profile!], { examiner: examiner.layer }),
      Effect.gen(function*() {
        yield* eventually(() => examiner.asked.length === 1)
        assert.deepStrictEqual(yield* submit(profile!), Undetermined("not checked yet", 0))
        assert.strictEqual(examiner.asked.length, 1)
      })
    )
  })

  it.effect("forgets a profile that is rejected, superseded or deleted meanwhile", () => {
    const disk = blank()
    const [kept, gone] = [profileEvent({}, "kept"), profileEvent({}, "gone")]
    const examiner = scripted(unanswered, Rejected("picture is gone"))
    return within(
      { examiner: examiner.layer, disk },
      Effect.gen(function*() {
        yield* submit(kept)
        yield* submit(gone)
        assert.strictEqual(waitingIn(disk).length, 2)
        disk.events.set(`0:${gone.pubkey}:`, profileEvent({}, "gone", { created_at: epoch + 1 }))
        yield* TestClock.adjust("1 minute")
        yield* eventually(() => waitingIn(disk).length === 0)
        assert.strictEqual(examiner.asked.length, 3)
        const { outcomes, rejections } = yield* status
        assert.deepStrictEqual(outcomes, { Rejected: 1, Superseded: 1 })
        assert.deepStrictEqual(rejections, { "picture is gone": 1 })
      })
    )
  })

  it.effect("gives up what nobody has answered for days, and knows nothing of it afterwards", () => {
    const disk = blank()
    const examiner = scripted(unanswered)
    return within(
      { examiner: examiner.layer, disk },
      Effect.gen(function*() {
        yield* submit(profileEvent())
        for (let hours = 0; hours < 24 * 7; hours++) yield* TestClock.adjust("1 hour")
        assert.strictEqual(examiner.asked.length, attemptsMax)
        assert.strictEqual(disk.records.size, 0)
      })
    )
  })

  it.effect("is bounded: who is not answered again while it is too long is given up", () => {
    const disk = blank()
    const examiner = scripted(unanswered)
    return within(
      harvesting(people(110), { examiner: examiner.layer, disk, settings: { retriesMax: 100 } }),
      Effect.gen(function*() {
        yield* eventually(() => disk.records.has(`coverage ${upstreamUrl}`))
        yield* eventually(() => waitingIn(disk).length <= 100)
        yield* settle
        assert.strictEqual(waitingIn(disk).length, 100)
        assert.strictEqual((yield* status).waiting, 100)
      })
    )
  })

  it.effect("goes on after a restart where it was, soonest first, without asking again before it is due", () => {
    const disk = blank()
    const examiner = scripted(unanswered)
    const [early, late] = people(2)
    return Effect.gen(function*() {
      yield* within(
        { examiner: examiner.layer, disk },
        Effect.gen(function*() {
          yield* submit(late!)
          yield* submit(early!)
        })
      )
      const due = (event: Event) => disk.records.get(`${space.name} ${event.id}`)?.due ?? 0
      assert.isAbove(due(late!), now * 1000)
      disk.records.set(`${space.name} ${early!.id}`, {
        ...disk.records.get(`${space.name} ${early!.id}`)!,
        due: now * 1000 + 5000
      })
      const again = scripted(Accepted)
      yield* within(
        { examiner: again.layer, disk },
        Effect.gen(function*() {
          assert.deepStrictEqual((yield* status).waiting, 2)
          yield* TestClock.adjust("4 seconds")
          assert.deepStrictEqual(again.asked, [])
          yield* TestClock.adjust("2 seconds")
          yield* eventually(() => disk.events.size === 1)
          yield* TestClock.adjust("1 minute")
          yield* eventually(() => disk.events.size === 2)
          assert.deepStrictEqual(again.asked.map(({ id }) => id), [early!.id, late!.id])
          assert.deepStrictEqual(waitingIn(disk), [])
        })
      )
    })
  })

  it.effect("puts off a profile whose check dies, and goes on with the others", () => {
    const dying = Layer.succeed(Examiner, {
      asks: true,
      glance: () => Effect.succeed(Accepted),
      examine: (event) =>
        event.content.includes("Tove") ? Effect.die(new Error("bug")) : Effect.succeed(withoutFacts(Accepted))
    })
    const disk = blank()
    return within(
      harvesting([profileEvent({ name: "Tove" }), profileEvent({}, "other")], { examiner: dying, disk }),
      Effect.gen(function*() {
        yield* eventually(() => disk.events.size === 1)
        yield* eventually(() => disk.records.get(waitingIn(disk)[0] ?? "")?.value.includes("\"attempts\":1") === true)
      })
    )
  })

  it.effect("survives a disk that fails for a while", () => {
    const disk = blank()
    const examiner = scripted(unanswered, Accepted)
    return within(
      { examiner: examiner.layer, disk },
      Effect.gen(function*() {
        yield* submit(profileEvent())
        disk.broken.value = true
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(disk.events.size, 0)
        disk.broken.value = false
        yield* TestClock.adjust("2 minutes")
        yield* eventually(() => disk.events.size === 1)
      })
    )
  })
})

describe("a client's EVENT", () => {
  it.effect("is answered before 10 s are over; the check goes on, and what is accepted is stored", () => {
    const examiner = scripted("never", Accepted)
    return within(
      { examiner: examiner.layer },
      Effect.gen(function*() {
        const { events } = yield* Disk
        const answer = yield* Effect.forkChild(submit(profileEvent()), { startImmediately: true })
        yield* eventually(() => examiner.asked.length === 1)
        yield* TestClock.adjust(patience - 1)
        assert.isUndefined(answer.pollUnsafe())
        yield* TestClock.adjust(1)
        yield* eventually(() => answer.pollUnsafe() !== undefined)
        assert.deepStrictEqual(answer.pollUnsafe()?._tag, "Success")
        yield* eventually(() => events.size === 1)
      })
    )
  })

  it.effect("is answered by 10 s whatever holds it up, and stored when that is over", () =>
    within(
      {},
      Effect.gen(function*() {
        const { events, gate } = yield* Disk
        yield* gate.close
        const answer = yield* Effect.forkChild(submit(profileEvent()), { startImmediately: true })
        yield* settle
        yield* TestClock.adjust(answerTimeout - 1)
        assert.isUndefined(answer.pollUnsafe())
        yield* TestClock.adjust(1)
        yield* eventually(() => answer.pollUnsafe() !== undefined)
        yield* gate.open
        yield* eventually(() => events.size === 1)
      })
    ))

  it.effect("keeps its place behind earlier ones of its author, and holds up nobody else's", () => {
    const [slow, quick] = [profileEvent({}, "slow"), profileEvent({}, "quick")]
    const list = relayListEvent({ write: ["wss://a.example"] }, "slow")
    const verdict = Deferred.makeUnsafe<Verdict>()
    const examiner = Layer.succeed(Examiner, {
      asks: true,
      glance: () => Effect.succeed(Accepted),
      examine: ({ id }) => Effect.map(id === slow.id ? Deferred.await(verdict) : Effect.succeed(Accepted), withoutFacts)
    })
    return within(
      { examiner },
      Effect.gen(function*() {
        const { writes } = yield* Disk
        const saved = () => writes.flat().flatMap((operation) => operation._tag === "Save" ? [operation.event.id] : [])
        for (const event of [slow, list, quick]) yield* Effect.forkChild(submit(event), { startImmediately: true })
        yield* eventually(() => saved().includes(quick.id))
        yield* settle
        assert.deepStrictEqual(saved(), [quick.id])
        yield* Deferred.succeed(verdict, Accepted)
        yield* eventually(() => saved().length === 3)
        assert.deepStrictEqual(saved(), [quick.id, slow.id, list.id])
      })
    )
  })

  it.effect("that depends on a profile which waits is undetermined, not refused", () =>
    within(
      { examiner: scripted(unanswered).layer },
      Effect.gen(function*() {
        yield* submit(profileEvent())
        const list = relayListEvent({ write: ["wss://a.example"] })
        assert.strictEqual((yield* submit(list))._tag, "Undetermined")
      })
    ))
})

/** Runs until `ready`, stops at that moment, and shows what is left. Time stands still, so nothing can have been waited for. */
const stopped = Effect.fnUntraced(function*(options: Options, ready: (disk: Disk["Service"]) => Effect.Effect<void>) {
  const disk = blank()
  const profile = profileEvent({}, "author 0", { created_at: epoch })
  const journal = yield* within(
    harvesting([profile], { ...options, disk }),
    Effect.andThen(ready(disk), Effect.map(Shutdown, (shutdown) => shutdown.journal))
  )
  assert.deepStrictEqual([journal.forced, journal.stragglers, [...journal.fibers]], [[], [], []])
  assert.deepStrictEqual([...disk.holders], [])
  assert.strictEqual(disk.events.size, 0)
  assert.deepStrictEqual(waitingIn(disk), [`${space.name} ${profile.id}`])
  // The next start goes on with it.
  const examiner = scripted(Accepted)
  yield* within(
    { disk, examiner: examiner.layer },
    Effect.gen(function*() {
      yield* TestClock.adjust("10 minutes")
      yield* eventually(() => disk.events.size === 1)
    })
  )
})

describe("stopping", () => {
  const url = "https://images.example/mira.png"

  it.effect("ends at once in the middle of a picture's body", () => {
    const web = FakeWeb.make()
    web.set(url, "hang in the body")
    return stopped({ picture: web.pictures }, () => eventually(() => web.requests.length === 1))
  })

  it.effect("ends at once while a host says nothing at all", () => {
    const web = FakeWeb.make()
    web.set(url, "hang")
    return stopped({ picture: web.pictures }, () => eventually(() => web.requests.length === 1))
  })

  it.effect("ends at once while relays are waited for", () => {
    let asked = 0
    const prove = () => Effect.andThen(Effect.sync(() => void asked++), Effect.never)
    return stopped({ posts: prove }, () => eventually(() => asked === 1))
  })

  it.effect("ends at once in a back-off", () =>
    stopped(
      { posts: () => Effect.succeed(proofs.unanswered) },
      (disk) => eventually(() => disk.records.get(waitingIn(disk)[0] ?? "")?.value.includes("\"attempts\":1") === true)
    ))
})
