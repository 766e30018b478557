/**
 * Who says an event is its author's: event ids and BIP-340 signatures, checked away from the main thread.
 *
 * The relay's own key lives here too, so that nothing else in the process can read it.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { Event, EventTemplate } from "../domain/Event.ts"
import type { MailboxClosed } from "../lifecycle/Mailbox.ts"

/** Every thread that was given the job failed. The event was not judged: this is never a rejection. */
export class CryptoError extends Schema.TaggedError<CryptoError>()("CryptoError", {
  operation: Schema.Literals(["verify", "sign"]),
  cause: Schema.Defect()
}) {}

/** `InvalidId`: `id` is not the sha256 of the canonical array (NIP-01). `InvalidSignature`: BIP-340 said no. */
export type Verification = "Valid" | "InvalidId" | "InvalidSignature"

/** A scoped right to ask, registered under its holder's name. */
export interface VerifierSender {
  readonly verify: (event: Event) => Effect.Effect<Verification, CryptoError | MailboxClosed>
  /** The same for many, in their order, at a fraction of what each would cost alone. Fails where any could not be checked. */
  readonly verifyAll: (
    events: ReadonlyArray<Event>
  ) => Effect.Effect<ReadonlyArray<Verification>, CryptoError | MailboxClosed>
  /** Signs with the relay's own key. */
  readonly sign: (template: EventTemplate) => Effect.Effect<Event, CryptoError | MailboxClosed>
}

export class Verifier extends Context.Service<Verifier, {
  readonly sender: (holder: string) => Effect.Effect<VerifierSender, MailboxClosed, Scope.Scope>
  /** The relay's public key, 64 lower-case hex characters. */
  readonly pubkey: string
  /** Name of the engine that passed its self-test and was chosen, for logs and metrics. */
  readonly engine: string
}>()("profile-aggregator/crypto/Verifier") {}
