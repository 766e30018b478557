/**
 * Where things stand, and who holds what, at any moment: the answer to SIGUSR2, and the console's. Pure.
 *
 * `docs/debugging-shutdown.md` shows how to read it.
 */
import { type Certificate, senderOf } from "./Certificate.ts"
import type { Counters, Journal, State } from "./Journal.ts"

export interface Report {
  readonly state: State
  /** ISO 8601, UTC. */
  readonly at: string
  /** Milliseconds since the process started. */
  readonly uptimeMs: number
  /** Why it stops, first cause first; empty while it is well. */
  readonly causes: ReadonlyArray<string>
  /** In the order of acquisition. One that is still to come is not in it. */
  readonly components: ReadonlyArray<{ readonly name: string; readonly state: "open" | "released" }>
  readonly mailboxes: ReadonlyArray<{ readonly name: string; readonly depth: number; readonly capacity: number }>
  /** Every lease on a mailbox, oldest first. */
  readonly senders: Certificate["senders"]
  /** Long-lived fibers, oldest first. */
  readonly fibers: ReadonlyArray<{ readonly owner: string; readonly name: string; readonly ageMs: number }>
  readonly counters: Counters
  /** Budgets that have fired. */
  readonly forced: ReadonlyArray<string>
  /** What the last process on this database wrote when it ended by itself; null when it was killed, or there was none. */
  readonly lastCertificate: unknown
}

/** The component that a fiber or a sender belongs to: the first word of its name. */
export const ownerOf = (name: string): string => /^\w+/.exec(name)?.[0] ?? name

export const report = (journal: Journal): Report => {
  const now = journal.wallTime()
  return {
    state: journal.state,
    at: new Date(now).toISOString(),
    uptimeMs: Math.round(journal.now()),
    causes: journal.causes.map(({ detail, name }) => detail === undefined ? name : `${name}: ${detail}`),
    components: journal.acquired.map((name) => ({
      name,
      state: journal.released.includes(name) ? "released" : "open"
    })),
    mailboxes: Array.from(journal.mailboxes, (mailbox) => ({
      name: mailbox.name,
      depth: mailbox.depth(),
      capacity: mailbox.capacity
    })),
    senders: journal.holders().map((holder) => senderOf(holder, now)),
    fibers: Array.from(journal.fibers, ({ name, since }) => ({
      owner: ownerOf(name),
      name,
      ageMs: Math.max(0, now - since)
    })),
    counters: { ...journal.counters },
    forced: [...journal.forced],
    lastCertificate: journal.lastCertificate
  }
}
