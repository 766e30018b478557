/**
 * One check of a signature for all who bring the same event at about the same time: upstreams that are read in step bring
 * most of theirs within moments of each other, before the store could know any of them.
 *
 * An event is the same when it has the id, the id is the hash of what it says, and the signature is the very same text. So
 * a forgery shares nothing with the event it imitates; at worst it is checked, and fails, by itself.
 */
import { Deferred, Effect, Exit } from "effect"
import { hash } from "node:crypto"
import type { Verification, VerifierSender } from "../../crypto/Verifier.ts"
import { canonical, type Event } from "../../domain/Event.ts"

/** Valid signatures remembered, about 300 bytes each: those between two upstreams' pages, while both are committed. */
export const validMax = 10_000

export interface Checked {
  readonly verification: Verification
  /** Somebody else's check told it. */
  readonly isShared: boolean
}

type CheckError = Effect.Error<ReturnType<VerifierSender["verify"]>>

export interface SharedChecks {
  readonly verify: (event: Event) => Effect.Effect<Checked, CheckError>
  /** The same for many, in their order, as one request. */
  readonly verifyAll: (events: ReadonlyArray<Event>) => Effect.Effect<ReadonlyArray<Checked>, CheckError>
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

  const begin = (event: Event): Running => {
    const own: Running = { sig: event.sig, done: Deferred.makeUnsafe<boolean>() }
    running.set(event.id, own)
    return own
  }
  const end = (event: Event, own: Running, isValid: boolean) => {
    if (running.get(event.id) === own) running.delete(event.id)
    if (isValid) remember(event)
    Deferred.doneUnsafe(own.done, Exit.succeed(isValid))
  }

  /** Checks that nobody else does. */
  const checkAll = (events: ReadonlyArray<Event>) =>
    Effect.uninterruptibleMask((restore) => {
      const owns = events.map(begin)
      return restore(verifier.verifyAll(events)).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            const verifications = Exit.isSuccess(exit) ? exit.value : []
            events.forEach((event, i) => end(event, owns[i] as Running, verifications[i] === "Valid"))
          })
        )
      )
    })
  const check = (event: Event) =>
    Effect.map(checkAll([event]), ([verification]): Checked => ({
      verification: verification as Verification,
      isShared: false
    }))

  const shared: Checked = { verification: "Valid", isShared: true }
  /** Somebody else's check of the very same event, or what it told. */
  const shares = (event: Event): Running | Checked | undefined => {
    if (isRemembered(event)) return isItsId(event) ? shared : undefined
    const other = running.get(event.id)
    return other?.sig === event.sig && isItsId(event) ? other : undefined
  }

  const verify: SharedChecks["verify"] = (event) =>
    Effect.suspend(() => {
      const other = shares(event)
      if (other === undefined) return check(event)
      if ("isShared" in other) return Effect.succeed(other)
      // Whatever else becomes of the other one, interrupted, failed or forged, says nothing about this.
      return Effect.flatMap(Deferred.await(other.done), (isValid) => isValid ? Effect.succeed(shared) : check(event))
    })

  const verifyAll: SharedChecks["verifyAll"] = Effect.fnUntraced(function*(events) {
    const isOwn = new Map<string, Event>()
    for (const event of events) if (!isOwn.has(event.id) && shares(event) === undefined) isOwn.set(event.id, event)
    const own = [...isOwn.values()]
    const verifications = yield* checkAll(own)
    const checked = new Map(own.map((event, i) => [event, verifications[i] as Verification]))
    // Own checks come first: so two who wait for each other's never wait for ever.
    return yield* Effect.forEach(events, (event) => {
      const verification = checked.get(event)
      return verification === undefined ? verify(event) : Effect.succeed<Checked>({ verification, isShared: false })
    })
  })
  return { verify, verifyAll }
}
