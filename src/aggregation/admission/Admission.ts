/**
 * The one way in. Every event, harvested or published by a client, goes
 * decode → cheap rejects → verify → admit → save.
 */
import { Context, type Effect, type Exit, type Scope } from "effect"
import type { Outcome } from "../../database/Database.ts"
import type { Event } from "../../domain/Event.ts"
import type { Refused, Source } from "../../domain/Gate.ts"
import type { Verdict } from "../../domain/Quality.ts"
import type { MailboxClosed } from "../../lifecycle/Mailbox.ts"
import type { Budget } from "../../lifecycle/Shutdown.ts"

/** What was taken when the stop began may still be decided and answered. A second signal cuts it at once. */
export const drain: Budget = { name: "drain", millis: 4000, cut: 0 }

/** What became of one event; each has exactly one answer on the wire (`websocket/client/publish.ts`). */
export type AdmissionOutcome =
  | Exclude<Outcome, { readonly _tag: "Done" }>
  /** It may not be published so, whatever it is worth (`domain/Gate`). */
  | Refused
  /** Wrong id or signature. `detail` follows the prefix `invalid: `. */
  | { readonly _tag: "Invalid"; readonly detail: string }
  /** A rule said no on evidence. */
  | Extract<Verdict, { readonly _tag: "Rejected" }>
  /** The world did not answer in time; the check goes on, and an acceptance is stored and announced later. */
  | Extract<Verdict, { readonly _tag: "Undetermined" }>
  /** Our side failed: storage, threads, or we are stopping. `detail` follows the prefix `error: `. */
  | { readonly _tag: "Failed"; readonly detail: string }

/** A scoped right to submit, registered under its holder's name. */
export interface AdmissionSender {
  /**
   * Admits and saves one well-formed event; succeeds with exactly one outcome, after the commit where there is one. Waits
   * for room. Without a source it is as if an upstream had brought it.
   */
  submit(event: Event, source?: Source): Effect.Effect<AdmissionOutcome, MailboxClosed>
  /**
   * The same without a fiber (`Mailbox`): `answered` is called once, later. False where there is no room: then nothing
   * came of it, and `submit` will wait.
   */
  offer(
    event: Event,
    source: Source,
    answered: (exit: Exit.Exit<AdmissionOutcome, MailboxClosed>) => void
  ): boolean
}

export class Admission extends Context.Service<Admission, {
  readonly sender: (holder: string) => Effect.Effect<AdmissionSender, MailboxClosed, Scope.Scope>
}>()("profile-aggregator/aggregation/admission/Admission") {}
