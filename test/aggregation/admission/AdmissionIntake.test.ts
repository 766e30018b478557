import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Admission, type AdmissionOutcome } from "../../../src/aggregation/admission/Admission.ts"
import { pipelinesMax } from "../../../src/aggregation/admission/AdmissionIntake.ts"
import { Examiner, withoutFacts } from "../../../src/aggregation/evidence/Examiner.ts"
import { type Event, rawOf } from "../../../src/domain/Event.ts"
import { Accepted, Rejected, Undetermined, type Verdict } from "../../../src/domain/Quality.ts"
import { Shutdown } from "../../../src/lifecycle/Shutdown.ts"
import {
  deletionEvent,
  dmRelaysEvent,
  epoch,
  profileEvent,
  relayListEvent,
  signed,
  withEditedContent,
  withForgedSignature,
  withWrongId
} from "../../support/events.ts"
import { blank, Disk } from "../FakeDatabase.ts"
import { eventually, now, settle, within } from "../world.ts"

const submitter = Effect.flatMap(Admission, (admission) => admission.sender("test"))
const submitAll = (events: ReadonlyArray<Event>) =>
  Effect.flatMap(submitter, (sender) => Effect.forEach(events, (event) => sender.submit(event)))

const tags = (outcomes: ReadonlyArray<AdmissionOutcome>) =>
  outcomes.map((outcome) => outcome._tag === "Rejected" ? outcome.reason : outcome._tag)

const profileAt = (created_at: number, author: string) => profileEvent({}, author, { created_at })
/** Asks for the removal of whatever stands at an address (NIP-09). */
const byAddress = (address: string, author: string) => signed({ kind: 5, tags: [["a", address]] }, author)
/** A request to vanish from a relay (NIP-62). */
const vanish = (relay: string, author: string) => signed({ kind: 62, tags: [["relay", relay]] }, author)

/** An examiner whose verdicts a test gives by hand: profiles wait until theirs is there. */
const slowExaminer = () => {
  const asked: Array<string> = []
  const verdicts = new Map<string, Deferred.Deferred<Verdict>>()
  const verdictOn = (id: string) => {
    const known = verdicts.get(id) ?? Deferred.makeUnsafe<Verdict>()
    verdicts.set(id, known)
    return known
  }
  return {
    asked,
    forget: (event: Event) => verdicts.delete(event.id),
    decide: (event: Event, verdict: Verdict) => Deferred.succeed(verdictOn(event.id), verdict),
    layer: Layer.succeed(Examiner, {
      asks: true,
      glance: () => Effect.succeed(Accepted),
      examine: (event) =>
        Effect.suspend(() => {
          asked.push(event.id)
          return Effect.map(Deferred.await(verdictOn(event.id)), withoutFacts)
        })
    })
  }
}

describe("Admission in profiles mode", () => {
  it.effect("saves a good profile and answers after the commit", () =>
    within(
      {},
      Effect.gen(function*() {
        const { events, gate } = yield* Disk
        const profile = profileEvent()
        yield* gate.close
        const answer = yield* Effect.forkScoped(submitAll([profile]))
        yield* settle
        assert.isUndefined(answer.pollUnsafe())
        assert.strictEqual(events.size, 0)
        yield* gate.open
        assert.deepStrictEqual(tags(yield* Fiber.join(answer)), ["Saved"])
        assert.deepStrictEqual([...events.values()].map(rawOf), [rawOf(profile)])
      })
    ))

  it.effect("tells a duplicate and an older version apart from what is new, whatever rules say of it", () =>
    within(
      {},
      Effect.gen(function*() {
        const newer = profileEvent({}, "author", { created_at: epoch + 1 })
        const outcomes = yield* submitAll([
          newer,
          newer,
          profileEvent({ about: "" }),
          profileEvent({ name: "mira again" }, "author", { created_at: epoch + 2 })
        ])
        assert.deepStrictEqual(tags(outcomes), ["Saved", "Duplicate", "Superseded", "Saved"])
      })
    ))

  it.effect("rejects with the reason of the rule that said no, and writes nothing", () =>
    within(
      {},
      Effect.gen(function*() {
        const { writes } = yield* Disk
        const outcomes = yield* submitAll([
          profileEvent({ about: undefined }),
          profileEvent("not json"),
          signed({ kind: 1 }),
          signed({ kind: 0, tags: [["-"]] }),
          signed({ kind: 62, tags: [["relay", "wss://elsewhere.example"]] })
        ])
        assert.strictEqual(tags(outcomes)[0], "no about")
        assert.deepStrictEqual(outcomes.map(({ _tag }) => _tag), outcomes.map(() => "Rejected"))
        assert.deepStrictEqual(tags(outcomes).slice(2), [
          "kind is not kept here",
          "protected event",
          "kind is not kept here"
        ])
        assert.deepStrictEqual(writes, [])
      })
    ))

  it.effect("takes events from the edge of the window, and none from one second beyond", () =>
    within(
      {},
      Effect.gen(function*() {
        const oldest = Date.UTC(2020, 0, 1) / 1000
        const outcomes = yield* submitAll([
          profileAt(now + 900, "a"),
          profileAt(now + 901, "b"),
          profileAt(oldest, "c"),
          profileAt(oldest - 1, "d"),
          profileAt(0, "e")
        ])
        assert.deepStrictEqual(tags(outcomes), [
          "Saved",
          "created_at is too far ahead",
          "Saved",
          "created_at is too old",
          "created_at is too old"
        ])
      })
    ))

  it.effect("answers Invalid to forgeries, which shield nothing: the true event is saved after them", () =>
    within(
      {},
      Effect.gen(function*() {
        const profile = profileEvent()
        const outcomes = yield* submitAll([
          withForgedSignature(profile),
          withEditedContent(profile),
          withWrongId(profile),
          profile
        ])
        assert.deepStrictEqual(tags(outcomes), ["Invalid", "Invalid", "Invalid", "Saved"])
      })
    ))

  it.effect("remembers a rejection of a valid event, and not one of a forgery of it", () => {
    const examiner = slowExaminer()
    return within(
      { examiner: examiner.layer },
      Effect.gen(function*() {
        const profile = profileEvent()
        yield* examiner.decide(profile, Rejected("no text note"))
        const outcomes = yield* submitAll([withForgedSignature(profile), profile, profile])
        assert.deepStrictEqual(tags(outcomes), ["Invalid", "no text note", "no text note"])
        assert.deepStrictEqual(examiner.asked, [profile.id])
      })
    )
  })

  it.effect("says undetermined again until the profile is due, then asks again, and announces what is accepted", () => {
    const examiner = slowExaminer()
    return within(
      { examiner: examiner.layer },
      Effect.gen(function*() {
        const sender = yield* submitter
        const { events } = yield* Disk
        const profile = profileEvent()
        yield* examiner.decide(profile, Undetermined("picture host did not answer", 60_000))
        assert.strictEqual((yield* sender.submit(profile))._tag, "Undetermined")
        assert.strictEqual((yield* sender.submit(profile))._tag, "Undetermined")
        assert.strictEqual(examiner.asked.length, 1)
        examiner.forget(profile)
        yield* examiner.decide(profile, Accepted)
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual(examiner.asked.length, 1)
        yield* TestClock.adjust("20 seconds")
        yield* eventually(() => events.size === 1)
        assert.deepStrictEqual(tags(yield* submitAll([profile])), ["Duplicate"])
      })
    )
  })

  it.effect("keeps lists of authors whose profile it keeps, and of nobody else", () =>
    within(
      {},
      Effect.gen(function*() {
        const lists = [relayListEvent({ write: ["wss://a.example"] }), dmRelaysEvent(["wss://a.example"])]
        const [stranger] = yield* submitAll(lists)
        assert.deepStrictEqual(stranger, Rejected("author has no accepted profile"))
        assert.deepStrictEqual(tags(yield* submitAll([profileEvent(), ...lists])), ["Saved", "Saved", "Saved"])
      })
    ))

  it.effect("keeps deletions by authors it knows, and those that name a profile by address", () =>
    within(
      {},
      Effect.gen(function*() {
        const profile = profileEvent()
        const { pubkey } = profileEvent({}, "stranger")
        const outcomes = yield* submitAll([
          deletionEvent([profile.id]),
          profile,
          deletionEvent([profile.id]),
          byAddress(`0:${pubkey}:`, "stranger"),
          byAddress(`0:${pubkey}:`, "somebody else")
        ])
        assert.deepStrictEqual(tags(outcomes), [
          "author has no accepted profile",
          "Saved",
          "Saved",
          "Saved",
          "author has no accepted profile"
        ])
      })
    ))

  it.effect("keeps a request to vanish that names this relay, however it is spelled, or all", () =>
    within(
      { settings: { relayUrl: "wss://Profiles.example/" } },
      Effect.gen(function*() {
        const outcomes = yield* submitAll([
          vanish("wss://profiles.example", "a"),
          vanish("ALL_RELAYS", "b"),
          vanish("wss://profiles.example.org", "c"),
          vanish("no url", "d")
        ])
        assert.deepStrictEqual(outcomes.map(({ _tag }) => _tag), ["Saved", "Saved", "Rejected", "Rejected"])
      })
    ))
})

describe("Admission in open mode", () => {
  it.effect("saves any valid event of any kind and age, without looking at its quality", () =>
    within(
      { settings: { admission: "open" } },
      Effect.gen(function*() {
        const outcomes = yield* submitAll([
          signed({ kind: 1 }),
          signed({ kind: 30_023, created_at: 1, tags: [["d", "x"]] }),
          profileEvent({ about: "" }),
          relayListEvent({}, "stranger"),
          withForgedSignature(signed({ kind: 1, content: "forged" }))
        ])
        assert.deepStrictEqual(tags(outcomes), ["Saved", "Saved", "Saved", "Saved", "Invalid"])
      })
    ))
})

/** Offers all in one turn, as the messages of one read from a socket come. */
const offerAll = Effect.fnUntraced(function*(events: ReadonlyArray<Event>) {
  const sender = yield* submitter
  const answers: Array<string> = []
  for (const [at, event] of events.entries()) {
    const isOffered = sender.offer(event, { by: "upstream", address: "" }, (exit) => {
      assert.isUndefined(answers[at], "answered twice")
      answers[at] = Exit.isSuccess(exit) ? tags([exit.value])[0] as string : "closed"
    })
    assert.isTrue(isOffered)
  }
  return answers
})
const isAnswered = (answers: ReadonlyArray<string>, count: number) => () => Object.keys(answers).length === count

describe("Admission of many events at once in open mode", () => {
  const open = { settings: { admission: "open" } } as const

  it.effect("answers each by itself, and none before the commit", () =>
    within(
      open,
      Effect.gen(function*() {
        const { events, gate, writes } = yield* Disk
        const stored = signed({ kind: 1, content: "stored" })
        yield* submitAll([stored])
        yield* gate.close
        const notes = Array.from({ length: 3 }, (_, n) => signed({ kind: 1, content: `note ${n}` }, n))
        const answers = yield* offerAll([
          ...notes,
          stored,
          withForgedSignature(signed({ kind: 1, content: "forged" })),
          withWrongId(signed({ kind: 1, content: "renamed" })),
          signed({ kind: 1, created_at: now + 901 })
        ])
        yield* settle
        assert.deepStrictEqual([answers, events.size], [[], 1])
        yield* gate.open
        yield* eventually(isAnswered(answers, 7))
        assert.deepStrictEqual(answers, [
          "Saved",
          "Saved",
          "Saved",
          "Duplicate",
          "Invalid",
          "Invalid",
          "created_at is too far ahead"
        ])
        assert.strictEqual(writes.length, 4, "each in a write of its own")
      })
    ))

  it.effect("keeps the order of an author's events, in one turn and over several", () =>
    within(
      open,
      Effect.gen(function*() {
        const { gate } = yield* Disk
        const versions = [1, 3, 2].map((n) => profileEvent({ name: `v${n}` }, "author", { created_at: epoch + n }))
        yield* gate.close
        const first = yield* offerAll([...versions, ...versions.slice(1, 2)])
        yield* settle
        const second = yield* offerAll([profileEvent({ name: "v4" }, "author", { created_at: epoch + 4 })])
        yield* settle
        yield* gate.open
        yield* eventually(isAnswered(second, 1))
        assert.deepStrictEqual(first, ["Saved", "Saved", "Superseded", "Duplicate"])
        assert.deepStrictEqual(second, ["Saved"])
      })
    ))

  it.effect("has an author's next events written while the disk still works on the last ones", () =>
    within(
      open,
      Effect.gen(function*() {
        const { gate, waiting } = yield* Disk
        yield* gate.close
        const answers: Array<ReadonlyArray<string>> = []
        for (let n = 0; n < 4; n++) {
          answers.push(yield* offerAll([signed({ kind: 1, content: `note ${n}` }, "author")]))
          yield* settle
        }
        assert.strictEqual(waiting.count, 4)
        yield* gate.open
        yield* eventually(isAnswered(answers.at(-1) ?? [], 1))
        assert.deepStrictEqual(answers.flat(), ["Saved", "Saved", "Saved", "Saved"])
      })
    ))

  it.effect("hands the first ones to the disk before all are checked: 64 at a time", () =>
    within(
      open,
      Effect.gen(function*() {
        const { gate, waiting } = yield* Disk
        yield* gate.close
        const notes = Array.from({ length: 130 }, (_, n) => signed({ kind: 1, content: "note" }, `author ${n}`))
        const answers = yield* offerAll(notes)
        yield* eventually(() => waiting.count === 3)
        assert.deepStrictEqual(answers, [])
        yield* gate.open
        yield* eventually(isAnswered(answers, notes.length))
        assert.deepStrictEqual([...new Set(answers)], ["Saved"])
      })
    ))

  it.effect("answers Failed to those that the disk refuses", () =>
    within(
      open,
      Effect.gen(function*() {
        const { broken, gate } = yield* Disk
        yield* gate.close
        const answers = yield* offerAll([signed({ kind: 1 }), withForgedSignature(signed({ kind: 1, content: "x" }))])
        yield* settle
        broken.value = true
        yield* gate.open
        yield* eventually(isAnswered(answers, 2))
        assert.deepStrictEqual(answers, ["Failed", "Invalid"])
      })
    ))
})

describe("Admission's intake", () => {
  it.effect("holds nobody up for one slow check", () => {
    const examiner = slowExaminer()
    return within(
      { examiner: examiner.layer },
      Effect.gen(function*() {
        const sender = yield* submitter
        const [slow, quick] = [profileEvent(), profileEvent({}, "quick")]
        yield* examiner.decide(quick, Accepted)
        const waiting = yield* Effect.forkScoped(sender.submit(slow))
        yield* eventually(() => examiner.asked.includes(slow.id))
        assert.strictEqual((yield* sender.submit(quick))._tag, "Saved")
        assert.isUndefined(waiting.pollUnsafe())
        yield* examiner.decide(slow, Accepted)
        assert.strictEqual((yield* Fiber.join(waiting))._tag, "Saved")
      })
    )
  })

  it.effect("checks so many at a time and no more; the next starts when one is done", () => {
    const examiner = slowExaminer()
    return within(
      { examiner: examiner.layer },
      Effect.gen(function*() {
        const sender = yield* submitter
        const profiles = Array.from({ length: pipelinesMax + 1 }, (_, n) => profileEvent({}, n))
        for (const profile of profiles) yield* Effect.forkScoped(sender.submit(profile))
        yield* eventually(() => examiner.asked.length === pipelinesMax)
        yield* settle
        assert.strictEqual(examiner.asked.length, pipelinesMax)
        const first = profiles.find(({ id }) => id === examiner.asked[0])
        if (first !== undefined) yield* examiner.decide(first, Accepted)
        yield* eventually(() => examiner.asked.length === pipelinesMax + 1)
      })
    )
  })

  it.effect("answers Failed while the disk is broken, and saves the same event once it is not", () =>
    within(
      {},
      Effect.gen(function*() {
        const { broken } = yield* Disk
        broken.value = true
        const profile = profileEvent()
        assert.deepStrictEqual(yield* submitAll([profile]), [{ _tag: "Failed", detail: "storage is unavailable" }])
        broken.value = false
        assert.deepStrictEqual(tags(yield* submitAll([profile])), ["Saved"])
      })
    ))

  it.effect("answers Failed where judging dies, and goes on with the next event", () => {
    const dying = Layer.succeed(Examiner, {
      asks: true,
      glance: () => Effect.succeed(Accepted),
      examine: (event) =>
        event.content.includes("Tove") ? Effect.die(new Error("bug")) : Effect.succeed(withoutFacts(Accepted))
    })
    return within(
      { examiner: dying },
      Effect.gen(function*() {
        const outcomes = yield* submitAll([profileEvent({ name: "Tove" }), profileEvent({}, "other")])
        assert.deepStrictEqual(outcomes[0], { _tag: "Failed", detail: "internal error" })
        assert.strictEqual(outcomes[1]?._tag, "Saved")
      })
    )
  })
})

/** Submits, leaves the component's scope, and returns the answer: senders go first, as a client's connection would. */
const submitAndStop = Effect.fnUntraced(function*(event: Event, ready: () => boolean) {
  const holder = yield* Scope.make()
  const sender = yield* Effect.flatMap(Admission, (admission) => admission.sender("client")).pipe(
    Scope.provide(holder)
  )
  const answer = yield* Effect.forkDetach(sender.submit(event), { startImmediately: true })
  yield* eventually(ready)
  yield* Scope.close(holder, Exit.void)
  return answer
})

describe("Admission when stopping", () => {
  it.effect("answers Failed at once where a check waits for the network", () => {
    const examiner = slowExaminer()
    const profile = profileEvent()
    return Effect.gen(function*() {
      const answer = yield* within(
        { examiner: examiner.layer },
        submitAndStop(profile, () => examiner.asked.length === 1)
      )
      assert.deepStrictEqual(yield* Fiber.join(answer), { _tag: "Failed", detail: "shutting down" })
    })
  })

  it.effect("saves and answers what was accepted before it releases its senders", () => {
    const disk = blank()
    const profile = profileEvent()
    return Effect.gen(function*() {
      yield* disk.gate.close
      const stopping = yield* Effect.forkScoped(within(
        { disk },
        Effect.flatMap(submitAndStop(profile, () => true), (answer) => Effect.as(settle, answer))
      ))
      yield* eventually(() => disk.holders.size === 3)
      yield* settle
      assert.isUndefined(stopping.pollUnsafe(), "a commit is waited for")
      assert.sameMembers([...disk.holders], [
        "aggregation/admission",
        "aggregation/retries",
        "aggregation/housekeeping"
      ])
      yield* disk.gate.open
      const answer = yield* Fiber.join(stopping)
      assert.strictEqual((yield* Fiber.join(answer))._tag, "Saved")
      assert.strictEqual(disk.events.size, 1)
      assert.strictEqual(disk.holders.size, 0)
    })
  })

  it.effect("gives up after the drain budget, says so, and leaves nobody without an answer", () => {
    const disk = blank()
    return Effect.gen(function*() {
      yield* disk.gate.close
      const stopping = yield* Effect.forkScoped(within(
        { disk },
        Effect.gen(function*() {
          const answer = yield* submitAndStop(profileEvent(), () => true)
          yield* settle
          return { answer, journal: (yield* Shutdown).journal }
        })
      ))
      yield* eventually(() => disk.holders.size === 3)
      yield* settle
      yield* TestClock.adjust("3999 millis")
      assert.isUndefined(stopping.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const { answer, journal } = yield* Fiber.join(stopping)
      assert.deepStrictEqual(yield* Fiber.join(answer), { _tag: "Failed", detail: "shutting down" })
      assert.deepStrictEqual(journal.forced, ["drain"])
      assert.deepStrictEqual(journal.stragglers, [])
    })
  })
})
