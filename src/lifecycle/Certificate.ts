/**
 * The last line on stdout: what a stop did, and whether it can prove that it was a clean one. Pure.
 *
 * Restated for operators in `docs/shutdown.md`.
 */
import type { Schema } from "effect"
import type { Cause, Holder, Journal } from "./Journal.ts"

/** Exit codes, after sysexits(3) where it has a name for the case. */
export const ExitCode = {
  /** A stop was asked for; everything was released in order; all proofs hold. */
  Clean: 0,
  /** A component failed; the release was orderly. */
  ComponentFailed: 1,
  /** Wrong command-line usage (EX_USAGE). */
  Usage: 64,
  /** Port in use, or the database is locked by another instance (EX_UNAVAILABLE). */
  Unavailable: 69,
  /** A proof failed: a leaked sender, a dying finalizer, a stray rejection (EX_SOFTWARE). */
  ProofFailed: 70,
  /** Storage cannot be opened, is corrupt, is full, or a sync failed (EX_IOERR). */
  Storage: 74,
  /** Stopped and data is safe, but a budget expired or the operator cut it short (EX_TEMPFAIL). */
  CutShort: 75,
  /** Wrong configuration; nothing was acquired (EX_CONFIG). */
  Configuration: 78
} as const

/** When several apply, the first of these wins. 78 and 64 come before anything was acquired, so nothing competes. */
const precedence: ReadonlyArray<number> = [
  ExitCode.Configuration,
  ExitCode.Usage,
  ExitCode.Storage,
  ExitCode.ProofFailed,
  ExitCode.CutShort,
  ExitCode.Unavailable,
  ExitCode.ComponentFailed
]

/**
 * A contract with whoever reads it: fields and proofs are added to it, and those that are there keep name, place and
 * meaning. What a component states beyond these fields (`Shutdown.state`, `Shutdown.prove`) comes after them.
 */
export interface Certificate {
  readonly code: number
  /** Why the stop began, or `completed`. */
  readonly cause: string
  /** What went wrong besides, in order. */
  readonly failures: ReadonlyArray<string>
  /** Milliseconds in each phase of stopping. */
  readonly phases: { readonly draining: number; readonly releasing: number }
  /** Budgets that fired. */
  readonly forced: ReadonlyArray<string>
  /** Components in the order of their release. */
  readonly released: ReadonlyArray<string>
  /** Holders that outlived their component. */
  readonly senders: ReadonlyArray<{
    readonly mailbox: string
    readonly label: string
    readonly since: string
    readonly heldMs: number
    readonly inFlight: number
    readonly site: ReadonlyArray<string>
  }>
  /** Accepted work that was never handled. */
  readonly queue: number
  readonly committed: number
  readonly answered: { readonly true: number; readonly false: number }
  readonly sockets: { readonly clean: number; readonly terminated: number }
  readonly wal: string
  /** Kinds of handles that kept the process alive. */
  readonly handles: ReadonlyArray<string>
  readonly proofs: {
    /** Components were released in the exact reverse order of acquisition. */
    readonly order: boolean
    readonly zeroSenders: boolean
    /** The ingester ended before the file was closed, but for when an expired budget cut it off: 75 rather than 70. */
    readonly ingesterExited: boolean
    readonly noWriteAfterClose: boolean
    /** Nothing accepted was left in a queue, but for what an expired budget cut off, which is 75 rather than 70. */
    readonly drained: boolean
    /** The process ended by itself. */
    readonly noHandles: boolean
  }
}

/** What the lifecycle knows by itself; the rest is for components to state. */
type Own = Exclude<keyof Certificate, "committed" | "answered" | "sockets" | "wal">
type OwnProof = Exclude<keyof Certificate["proofs"], "ingesterExited" | "noWriteAfterClose">

/** The name of a proof that a component may bring: the contract's, or one of its own. */
export type ProofName<Name extends string> = Name extends OwnProof ? never : Name

/** The value of a field that a component may state: of the contract's type where it is the contract's, else any JSON. */
export type Statement<Field extends string> = Field extends Own ? never
  : Field extends keyof Certificate ? Certificate[Field]
  : Schema.Json

/** Exit code as a function of what happened, nothing else (invariant I9). */
export const exitCode = (facts: {
  readonly causes: ReadonlyArray<number>
  /** A budget fired whose expiry costs something. */
  readonly isCutShort: boolean
  readonly proofs: Certificate["proofs"]
}): number => {
  const codes = new Set(facts.causes)
  if (Object.values(facts.proofs).includes(false)) codes.add(ExitCode.ProofFailed)
  if (facts.isCutShort) codes.add(ExitCode.CutShort)
  return precedence.find((code) => codes.has(code)) ?? ExitCode.Clean
}

/** A holder as certificates and reports show it. `now`: Unix milliseconds. */
export const senderOf = (holder: Holder, now: number): Certificate["senders"][number] => ({
  mailbox: holder.mailbox,
  label: holder.label,
  since: new Date(holder.since).toISOString(),
  heldMs: Math.max(0, now - holder.since),
  inFlight: holder.inFlight,
  site: holder.site
})

const lineOf = (cause: Cause): string => cause.detail === undefined ? cause.name : `${cause.name}: ${cause.detail}`

const valuesOf = <A>(read: ReadonlyMap<string, () => A>): Record<string, A> =>
  Object.fromEntries(Array.from(read, ([name, value]) => [name, value()]))

/** The certificate of a journal as it stands. `handles`: kinds of handles that are still open, empty when none. */
export const certify = (journal: Journal, handles: ReadonlyArray<string>): Certificate => {
  const released = [...journal.released]
  const holders = [...journal.stragglers, ...journal.holders().filter((h) => !journal.stragglers.includes(h))]
  const proofs: Certificate["proofs"] = {
    order: released.length === journal.acquired.length &&
      released.toReversed().every((name, i) => name === journal.acquired[i]),
    zeroSenders: holders.length === 0,
    // Until the component that has a store says what became of it.
    ingesterExited: true,
    noWriteAfterClose: true,
    drained: journal.depthAtClose === 0 || journal.forced.length > 0,
    noHandles: handles.length === 0,
    ...valuesOf(journal.proofs)
  }
  const [first, ...others] = journal.causes
  return {
    code: exitCode({ causes: journal.causes.map((cause) => cause.code), isCutShort: journal.isCutShort, proofs }),
    cause: first === undefined ? "completed" : lineOf(first),
    failures: others.filter((cause) => cause.code !== ExitCode.Clean).map(lineOf),
    phases: { draining: journal.phases.draining ?? 0, releasing: journal.phases.releasing ?? 0 },
    forced: [...journal.forced],
    released,
    senders: holders.map((holder) => senderOf(holder, journal.wallTime())),
    queue: journal.depthAtClose,
    // What stands there for a component that never came up. A spread gives the others their values, each in its place.
    committed: 0,
    answered: { true: 0, false: 0 },
    sockets: { clean: 0, terminated: 0 },
    wal: "not opened",
    handles,
    proofs,
    ...valuesOf(journal.statements)
  }
}
