import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Admission } from "../../src/aggregation/admission/Admission.ts"
import { space as graces } from "../../src/aggregation/admission/Grace.ts"
import { space as verdicts } from "../../src/aggregation/admission/Verdicts.ts"
import { Examiner, withoutFacts } from "../../src/aggregation/evidence/Examiner.ts"
import type { Proof } from "../../src/aggregation/evidence/Posts.ts"
import type { Event } from "../../src/domain/Event.ts"
import { Accepted, Rejected, type RejectionReason, Undetermined, type Verdict } from "../../src/domain/Quality.ts"
import { epoch, profileEvent, signed } from "../support/events.ts"
import { blank, type Disk } from "./FakeDatabase.ts"
import * as FakeWeb from "./FakeWeb.ts"
import { eventually, proofs, within } from "./world.ts"

const submit = (event: Event) =>
  Effect.scoped(
    Effect.flatMap(Admission, (admission) => Effect.flatMap(admission.sender("test"), (sender) => sender.submit(event)))
  )
const told = (event: Event) =>
  Effect.map(submit(event), (outcome) => outcome._tag === "Rejected" ? outcome.reason : outcome._tag)

const url = "https://images.example/mira.png"
const version = (n: number, fields: Readonly<Record<string, unknown>> = {}) =>
  profileEvent(fields, "author", { created_at: epoch + n })

const vanish = (created_at: number) => signed({ kind: 62, created_at, tags: [["relay", "ALL_RELAYS"]] })

/** An examiner that refuses everything for this reason, and counts. */
const refusing = (reason: RejectionReason) => {
  const asked: Array<string> = []
  return {
    asked,
    layer: Layer.succeed(Examiner, {
      asks: true,
      glance: () => Effect.succeed(Accepted),
      examine: ({ id }) => Effect.sync(() => (asked.push(id), withoutFacts(Rejected(reason))))
    })
  }
}

/** An examiner that judges everything so, and notes what it was asked about. */
const judging = (verdict: Verdict, asked: Array<string>) =>
  Layer.succeed(Examiner, {
    asks: true,
    glance: () => Effect.succeed(Accepted),
    examine: ({ id }) => Effect.sync(() => (asked.push(id), withoutFacts(verdict)))
  })

describe("the memory of verdicts", () => {
  const settings = { pictures: "on" } as const

  it.effect("keeps a rejection that took a network, over a restart, and asks nobody again", () => {
    const disk = blank()
    const examiner = refusing("picture is too small")
    const profile = version(0)
    return Effect.gen(function*() {
      for (let run = 0; run < 3; run++) {
        const outcome = yield* within({ disk, settings, examiner: examiner.layer }, told(profile))
        assert.strictEqual(outcome, "picture is too small")
      }
      assert.strictEqual(examiner.asked.length, 1)
      assert.deepStrictEqual([...disk.records.keys()], [`${verdicts.name} ${profile.id}`])
    })
  })

  for (const verdict of [Rejected("picture is too small"), Undetermined("not checked yet", 30_000)]) {
    it.effect(`does not bind a relay that has become open: ${verdict._tag}`, () => {
      const disk = blank()
      const profile = version(0)
      const examiner = Layer.succeed(Examiner, {
        asks: true,
        glance: () => Effect.succeed(Accepted),
        examine: () => Effect.succeed(withoutFacts(verdict))
      })
      return Effect.gen(function*() {
        const before = yield* within({ disk, settings, examiner }, submit(profile))
        assert.strictEqual(before._tag, verdict._tag)
        const after = yield* within({ disk, settings: { admission: "open" }, examiner }, submit(profile))
        assert.strictEqual(after._tag, "Saved")
      })
    })
  }

  it.effect("nor does what waits: an open relay keeps it when its turn comes, and asks nobody", () => {
    const disk = blank()
    const profile = version(0)
    const asked: Array<string> = []
    return Effect.gen(function*() {
      yield* within(
        { disk, settings, examiner: judging(Undetermined("not checked yet", 30_000), []) },
        submit(profile)
      )
      assert.strictEqual(disk.events.size, 0)
      yield* within(
        { disk, settings: { admission: "open" }, examiner: judging(Rejected("picture is gone"), asked) },
        Effect.gen(function*() {
          yield* TestClock.adjust("5 minutes")
          yield* eventually(() => disk.records.size === 0)
          assert.deepStrictEqual(served(disk), [profile.id])
          assert.deepStrictEqual(asked, [])
        })
      )
    })
  })

  it.effect("expires after some days, never exactly, and is forgotten", () => {
    const disk = blank()
    const examiner = refusing("picture is too small")
    return within(
      { disk, settings, examiner: examiner.layer },
      Effect.gen(function*() {
        const profiles = Array.from({ length: 5 }, (_, n) => profileEvent({}, n))
        for (const profile of profiles) yield* submit(profile)
        const due = [...disk.records.values()].map((record) => record.due)
        assert.strictEqual(new Set(due).size, 5)
        yield* TestClock.adjust(Duration.days(5))
        yield* Effect.forEach(profiles, submit)
        assert.strictEqual(examiner.asked.length, 5)
        yield* TestClock.adjust(Duration.days(4))
        yield* eventually(() => disk.records.size === 0)
        yield* Effect.forEach(profiles, submit)
        assert.strictEqual(examiner.asked.length, 10)
      })
    )
  }, 60_000)

  it.effect("holds for the rules it was reached by, and no others", () => {
    const disk = blank()
    const examiner = refusing("picture is too small")
    const run = (width: number) =>
      within(
        { disk, settings: { ...settings, pictureMin: { width, height: 600 } }, examiner: examiner.layer },
        submit(version(0))
      )
    return Effect.gen(function*() {
      yield* run(300)
      yield* run(200)
      assert.strictEqual(examiner.asked.length, 2)
    })
  })

  it.effect("writes nothing for what the event says itself", () => {
    const disk = blank()
    const examiner = Layer.succeed(Examiner, {
      asks: true,
      glance: () => Effect.succeed(Rejected("no about")),
      examine: () => Effect.die("asked")
    })
    return Effect.gen(function*() {
      yield* within({ disk, examiner }, submit(version(0)))
      assert.strictEqual(disk.records.size, 0)
    })
  })

  it.effect("asks for a later version only what has changed: the picture by its URL, the author once", () => {
    const web = FakeWeb.make()
    web.set(url, FakeWeb.image(300, 600))
    web.set(`${url}?2`, FakeWeb.image(300, 600))
    return within(
      { picture: web.pictures },
      Effect.gen(function*() {
        yield* submit(version(0))
        yield* submit(version(1, { about: "Now writes about the moon." }))
        assert.strictEqual(web.requests.length, 1)
        yield* submit(version(2, { picture: `${url}?2` }))
        assert.strictEqual(web.requests.length, 2)
      })
    )
  })
})

const served = ({ events }: Disk["Service"]) => [...events.values()].map(({ id }) => id)

describe("the grace of a profile whose newer version is rejected", () => {
  it.effect("serves it for PROFILE_GRACE, then removes it", () => {
    const disk = blank()
    const [good, bad] = [version(0), version(1, { about: "" })]
    return within(
      { disk, settings: { profileGrace: Duration.days(3) } },
      Effect.gen(function*() {
        assert.deepStrictEqual([yield* told(good), yield* told(bad)], ["Saved", "no about"])
        yield* TestClock.adjust(Duration.subtract(Duration.days(3), Duration.minutes(1)))
        assert.deepStrictEqual(served(disk), [good.id])
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(served(disk), [])
        assert.deepStrictEqual([...disk.records.keys()], [`${graces.name} ${good.pubkey}`])
      })
    )
  })

  it.effect("counts from the first such version, however many follow", () => {
    const disk = blank()
    return within(
      { disk, settings: { profileGrace: Duration.days(2) } },
      Effect.gen(function*() {
        yield* submit(version(0))
        yield* submit(version(1, { about: "" }))
        yield* TestClock.adjust(Duration.days(1.9))
        yield* submit(version(2, { about: " " }))
        assert.strictEqual(served(disk).length, 1)
        yield* TestClock.adjust(Duration.days(0.2))
        assert.strictEqual(served(disk).length, 0)
      })
    )
  })

  it.effect("ends with a version that is accepted", () => {
    const disk = blank()
    return within(
      { disk, settings: { profileGrace: Duration.days(2) } },
      Effect.gen(function*() {
        yield* submit(version(0))
        yield* submit(version(1, { about: "" }))
        yield* submit(version(2))
        assert.strictEqual(disk.records.size, 0)
        yield* TestClock.adjust(Duration.days(3))
        assert.deepStrictEqual(served(disk), [version(2).id])
      })
    )
  })

  it.effect("of zero removes it in the write that rejects the newer one; older versions stay out from then on", () => {
    const disk = blank()
    return within(
      { disk, settings: { profileGrace: Duration.zero } },
      Effect.gen(function*() {
        yield* submit(version(1))
        yield* submit(version(2, { about: "" }))
        assert.deepStrictEqual(served(disk), [])
        assert.strictEqual(yield* told(version(0)), "a newer version was rejected")
        assert.strictEqual(yield* told(version(1)), "a newer version was rejected")
        assert.strictEqual(yield* told(version(3)), "Saved")
        assert.deepStrictEqual(served(disk), [version(3).id])
      })
    )
  })

  it.effect("is not touched by what nobody could determine, or by older versions", () => {
    const disk = blank()
    return Effect.gen(function*() {
      yield* within({ disk }, submit(version(1)))
      yield* within(
        { disk, posts: () => Effect.succeed(proofs.unanswered), settings: { profileGrace: Duration.zero } },
        Effect.gen(function*() {
          assert.strictEqual(yield* told(version(2)), "Undetermined")
          assert.strictEqual(yield* told(version(0, { about: "" })), "Superseded")
          assert.deepStrictEqual(served(disk), [version(1).id])
        })
      )
    })
  })

  it.effect("does not begin for a version that was overtaken while it was being checked", () =>
    Effect.forEach([Duration.zero, Duration.days(2)], (profileGrace) => {
      const disk = blank()
      const slow = Deferred.makeUnsafe<Proof>()
      const answers: Array<Effect.Effect<Proof>> = [
        Effect.succeed(proofs.unanswered),
        Deferred.await(slow),
        Effect.succeed(proofs.found)
      ]
      let asked = 0
      const posts = () => answers[asked++] ?? Effect.die(new Error("asked too often"))
      return within(
        { disk, posts, settings: { profileGrace } },
        Effect.gen(function*() {
          assert.strictEqual(yield* told(version(1)), "Undetermined")
          yield* TestClock.adjust("2 minutes")
          yield* eventually(() => asked === 2)
          assert.strictEqual(yield* told(version(2)), "Saved")
          yield* Deferred.succeed(slow, proofs.none)
          yield* eventually(() => [...disk.records.keys()].every((key) => !key.startsWith("retry")))
          assert.deepStrictEqual(served(disk), [version(2).id])
          assert.deepStrictEqual([...disk.records.keys()].filter((key) => key.startsWith(graces.name)), [])
          yield* TestClock.adjust(Duration.days(3))
          assert.deepStrictEqual(served(disk), [version(2).id])
        })
      )
    }, { discard: true }))

  it.effect("does not end with a version that was overtaken while it was being checked", () => {
    const disk = blank()
    const slow = Deferred.makeUnsafe<Proof>()
    const answers: Array<Effect.Effect<Proof>> = [
      Effect.succeed(proofs.unanswered),
      Deferred.await(slow),
      Effect.succeed(proofs.found),
      Effect.succeed(proofs.none)
    ]
    let asked = 0
    const posts = () => answers[asked++] ?? Effect.die(new Error("asked too often"))
    return within(
      { disk, posts },
      Effect.gen(function*() {
        assert.strictEqual(yield* told(version(1)), "Undetermined")
        yield* TestClock.adjust("2 minutes")
        yield* eventually(() => asked === 2)
        assert.strictEqual(yield* told(version(2)), "Saved")
        assert.strictEqual(yield* told(version(3)), "no text note")
        yield* Deferred.succeed(slow, proofs.found)
        yield* eventually(() => [...disk.records.keys()].every((key) => !key.startsWith("retry")))
        assert.deepStrictEqual(served(disk), [version(2).id])
        assert.isTrue(disk.records.has(`${graces.name} ${version(2).pubkey}`))
      })
    )
  })

  it.effect("is forgotten with an author who asks to vanish", () => {
    const disk = blank()
    return within(
      { disk },
      Effect.gen(function*() {
        yield* submit(version(0))
        yield* submit(version(1, { about: "" }))
        assert.strictEqual(disk.records.size, 1)
        yield* submit(vanish(epoch + 2))
        assert.strictEqual(disk.records.size, 0)
      })
    )
  })

  it.effect("is kept of an author who asked to vanish and has come back since", () =>
    Effect.forEach(["profiles", "open"] as const, (admission) => {
      const disk = blank()
      return Effect.gen(function*() {
        yield* within({ disk }, Effect.andThen(submit(version(0)), submit(version(1, { about: "" }))))
        yield* within({ disk, settings: { admission } }, submit(vanish(epoch - 1)))
        assert.isTrue([...disk.events.values()].some(({ kind }) => kind === 62))
        assert.isTrue(disk.records.has(`${graces.name} ${version(0).pubkey}`))
      })
    }, { discard: true }))
})

/** What becomes of a profile beside which a relay brings that request, and the kinds that are stored then. */
const examined = (request: Event) => {
  const disk = blank()
  return within(
    { disk, posts: () => Effect.succeed({ ...proofs.found, companions: [request] }) },
    Effect.map(
      submit(version(0)),
      (outcome) => [outcome._tag, ...Array.from(disk.events.values(), ({ kind }) => kind)]
    )
  )
}

describe("a request to vanish that is met while a profile is examined", () => {
  it.effect("comes before that profile, and not before a later one", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* examined(vanish(epoch)), ["Deleted", 62])
      assert.deepStrictEqual(yield* examined(vanish(epoch - 1)), ["Saved", 0, 62])
    }))
})
