/**
 * One check of a signature for all who bring the same event at about the same time: upstreams that are read in step bring
 * most of theirs within moments of each other, before the store could know any of them.
 *
 * An event is the same when it has the id, the id is the hash of what it says, and the signature is the very same text. So
 * a forgery shares nothing with the event it imitates; at worst it is checked, and fails, by itself.
 */
import { Deferred, Effect, Exit } from "effect"
import { hash } from "node:crypto"
import type { Verification, VerifierSender } from "../crypto/Verifier.ts"
import { canonical, type Event } from "../domain/Event.ts"

/** Valid signatures remembered, about 300 bytes each: those between two upstreams' pages, while both are committed. */
export const validMax = 10_000

export interface Checked {
  readonly verification: Verification
  /** Somebody else's check told it. */
  readonly isShared: boolean
}

export interface SharedChecks {
  readonly verify: (event: Event) => Effect.Effect<Checked, Effect.Error<ReturnType<VerifierSender["verify"]>>>
}

/** A check that is going on. */
interface Running {
  readonly sig: string
  /** Whether it came out valid. */
  readonly done: Deferred.Deferred<boolean>
}

const isItsId = (event: Event): boolean => hash("sha256", canonical(event)) === event.id

export const make = (verifier: VerifierSender): SharedChecks => {
  const running = new Map<string, Running>()
  // Signatures by event id. All old ones go at once: a Map that loses its first key at each step is slow to find the next.
  let valid = new Map<string, string>()
  let older = valid

  const remember = ({ id, sig }: Event) => {
    valid.set(id, sig)
    if (valid.size < validMax / 2) return
    older = valid
    valid = new Map()
  }
  const isRemembered = ({ id, sig }: Event) => (valid.get(id) ?? older.get(id)) === sig

  const check = (event: Event) =>
    Effect.uninterruptibleMask((restore) => {
      const own: Running = { sig: event.sig, done: Deferred.makeUnsafe<boolean>() }
      running.set(event.id, own)
      return restore(verifier.verify(event)).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            if (running.get(event.id) === own) running.delete(event.id)
            const isValid = Exit.isSuccess(exit) && exit.value === "Valid"
            if (isValid) remember(event)
            Deferred.doneUnsafe(own.done, Exit.succeed(isValid))
          })
        ),
        Effect.map((verification): Checked => ({ verification, isShared: false }))
      )
    })

  const shared: Checked = { verification: "Valid", isShared: true }
  const verify: SharedChecks["verify"] = (event) =>
    Effect.suspend(() => {
      if (isRemembered(event) && isItsId(event)) return Effect.succeed(shared)
      const other = running.get(event.id)
      if (other?.sig !== event.sig || !isItsId(event)) return check(event)
      // Whatever else becomes of the other one, interrupted, failed or forged, says nothing about this.
      return Effect.flatMap(Deferred.await(other.done), (isValid) => isValid ? Effect.succeed(shared) : check(event))
    })
  return { verify }
}
