import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { make, validMax } from "../../../src/aggregation/admission/SharedChecks.ts"
import { CryptoError, type Verification, type VerifierSender } from "../../../src/crypto/Verifier.ts"
import type { Event } from "../../../src/domain/Event.ts"
import { profileEvent, withEditedContent, withForgedSignature } from "../../support/events.ts"
import { settle } from "../world.ts"

/** A verifier that answers when it is told to. */
const byHand = () => {
  const asked: Array<{ readonly event: Event; readonly answer: Deferred.Deferred<Verification, CryptoError> }> = []
  const verify = (event: Event) =>
    Effect.suspend(() => {
      const answer = Deferred.makeUnsafe<Verification, CryptoError>()
      asked.push({ event, answer })
      return Deferred.await(answer)
    })
  const verifier: VerifierSender = {
    verify,
    verifyAll: (events) => Effect.forEach(events, verify, { concurrency: "unbounded" }),
    sign: () => Effect.die("not part of this fake")
  }
  const answer = (at: number, verification: Verification) =>
    Effect.andThen(Deferred.succeed(asked[at]?.answer ?? assert.fail(`not asked ${at}`), verification), settle)
  return { asked, answer, checks: make(verifier) }
}

const event = profileEvent()
const own = { verification: "Valid", isShared: false } as const
const shared = { verification: "Valid", isShared: true } as const

describe("checks that are shared", () => {
  it.effect("ask once for an event that comes three times at once, and once more is not needed after", () =>
    Effect.gen(function*() {
      const { answer, asked, checks } = byHand()
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(checks.verify({ ...event })))
      yield* settle
      assert.strictEqual(asked.length, 1)
      yield* answer(0, "Valid")
      assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), [own, shared, shared])
      assert.deepStrictEqual(yield* checks.verify({ ...event }), shared)
      assert.strictEqual(asked.length, 1)
    }))

  it.effect("ask for many as they do for one: each event once, and only what nobody has asked for", () =>
    Effect.gen(function*() {
      const { answer, asked, checks } = byHand()
      const [other, forged] = [profileEvent({}, "other"), withForgedSignature(profileEvent({}, "forged"))]
      const first = yield* Effect.forkChild(checks.verify(other))
      yield* settle
      const all = yield* Effect.forkChild(checks.verifyAll([event, other, { ...event }, forged]))
      yield* settle
      assert.deepStrictEqual(asked.map((question) => question.event), [other, event, forged])
      yield* answer(1, "Valid")
      yield* answer(2, "InvalidSignature")
      assert.isUndefined(all.pollUnsafe())
      yield* answer(0, "Valid")
      assert.deepStrictEqual(yield* Fiber.join(first), own)
      const invalid = { verification: "InvalidSignature", isShared: false } as const
      assert.deepStrictEqual(yield* Fiber.join(all), [own, shared, shared, invalid])
    }))

  it.effect("share nothing between an event and what only claims its id or its signature", () =>
    Effect.gen(function*() {
      const { answer, asked, checks } = byHand()
      const first = yield* Effect.forkChild(checks.verify(event))
      const impostors = [withForgedSignature(event), withEditedContent(event), { ...event, tags: [["p", "x"]] }]
      const others = yield* Effect.forEach(impostors, (other) => Effect.forkChild(checks.verify(other)))
      yield* settle
      assert.strictEqual(asked.length, 4)
      yield* answer(0, "Valid")
      assert.deepStrictEqual(yield* Fiber.join(first), own)
      for (const [n, verification] of (["InvalidSignature", "InvalidId", "InvalidId"] as const).entries()) {
        yield* answer(n + 1, verification)
        const other = others[n] ?? assert.fail("no fiber")
        assert.deepStrictEqual(yield* Fiber.join(other), { verification, isShared: false })
      }
      // Nor later, now that the true one is known.
      yield* Effect.forkChild(checks.verify(withForgedSignature(event)))
      yield* settle
      assert.strictEqual(asked.length, 5)
    }))

  it.effect("let the true event be checked by itself when an impostor with its id and signature came first", () =>
    Effect.gen(function*() {
      const { answer, asked, checks } = byHand()
      yield* Effect.forkChild(checks.verify(withEditedContent(event)))
      yield* settle
      const second = yield* Effect.forkChild(checks.verify(event))
      yield* settle
      assert.strictEqual(asked.length, 1)
      yield* answer(0, "InvalidId")
      assert.strictEqual(asked.length, 2)
      yield* answer(1, "Valid")
      assert.deepStrictEqual(yield* Fiber.join(second), own)
    }))

  it.effect("go on without the first one, interrupted or failed", () =>
    Effect.gen(function*() {
      const { answer, asked, checks } = byHand()
      const first = yield* Effect.forkChild(checks.verify(event))
      yield* settle
      const second = yield* Effect.forkChild(checks.verify(event))
      yield* settle
      yield* Fiber.interrupt(first)
      yield* settle
      assert.strictEqual(asked.length, 2)
      const third = yield* Effect.forkChild(checks.verify(event))
      yield* settle
      yield* Deferred.fail(
        asked[1]?.answer ?? assert.fail("not asked"),
        new CryptoError({ operation: "verify", cause: "" })
      )
      yield* settle
      assert.strictEqual((yield* Effect.result(Fiber.join(second)))._tag, "Failure")
      assert.strictEqual(asked.length, 3)
      yield* answer(2, "Valid")
      assert.deepStrictEqual(yield* Fiber.join(third), own)
    }))

  it.effect("remember no more than so many", () =>
    Effect.gen(function*() {
      let asked = 0
      const verify = Effect.sync((): Verification => (asked++, "Valid"))
      const checks = make({
        verify: () => verify,
        verifyAll: (events) => Effect.forEach(events, () => verify),
        sign: () => Effect.die("not part of this fake")
      })
      yield* checks.verify(event)
      // Ids alone decide here: nothing of these is looked at.
      for (let n = 0; n < validMax; n++) yield* checks.verify({ ...event, id: `other ${n}` })
      assert.strictEqual(asked, validMax + 1)
      yield* checks.verify(event)
      assert.strictEqual(asked, validMax + 2, "the oldest was forgotten")
    }))
})
