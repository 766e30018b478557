/**
 * What has happened in this process's life, as plain data that can be read at any moment, even from a signal handler.
 *
 * The journal is synchronous on purpose: the forced path may not wait for a fiber, and must still be able to say which
 * component is open, who holds a sender and what was cut short. `Shutdown` is its face towards Effect.
 *
 * It knows no component: each one brings the names of what it counts, proves and states (`Shutdown`).
 */

export type State = "starting" | "ready" | "draining" | "releasing" | "stopped"

/** Why a stop began or why it is not a clean one. `code` is the exit code this cause asks for (`Certificate.exitCode`). */
export interface Cause {
  /** Fixed phrase, such as `SIGTERM`, `component failed`, `stray rejection`. */
  readonly name: string
  readonly detail?: string
  readonly code: number
}

/** One lease on a mailbox, as the register shows it. */
export interface Holder {
  readonly mailbox: string
  /** Owner's name, such as `websocket/connection 17`. */
  readonly label: string
  /** Unix milliseconds. */
  readonly since: number
  /** Logical call chain at acquisition, innermost first: `Connection.open @ Connection.ts:88`. */
  readonly site: ReadonlyArray<string>
  /** Accepted and not answered yet. */
  readonly inFlight: number
}

/** What a mailbox shows of itself, always current. */
export interface MailboxView {
  readonly name: string
  readonly capacity: number
  readonly depth: () => number
  readonly holders: () => ReadonlyArray<Holder>
}

/** A long-lived fiber under supervision. */
export interface FiberView {
  readonly name: string
  /** Unix milliseconds. */
  readonly since: number
}

/** What components count, by the names that they gave it. */
export type Counters<Name extends string = string> = Record<Name, number>

const order: ReadonlyArray<State> = ["starting", "ready", "draining", "releasing", "stopped"]

export class Journal {
  state: State = "starting"
  /** Milliseconds spent in `draining` and `releasing`. */
  readonly phases: { draining?: number; releasing?: number } = {}
  readonly acquired: Array<string> = []
  readonly released: Array<string> = []
  readonly causes: Array<Cause> = []
  /** Names of the budgets that fired, in order. */
  readonly forced: Array<string> = []
  /** Holders that were left when their mailbox closed. */
  readonly stragglers: Array<Holder> = []
  readonly mailboxes = new Set<MailboxView>()
  readonly fibers = new Set<FiberView>()
  readonly counters: Counters = {}
  /** What components prove, and what they state besides, by the certificate's names for it; read when it is written. */
  readonly proofs = new Map<string, () => boolean>()
  readonly statements = new Map<string, () => unknown>()
  /** What a component cannot do for the time being, in words, by its name; undefined while it does all that it should. */
  readonly impairments = new Map<string, () => string | undefined>()
  readonly #certified: Array<() => void> = []
  readonly #watching = new Set<(state: State) => void>()
  /** What the last process on the same database wrote when it ended by itself, decoded; null when there is nothing. */
  lastCertificate: unknown = null

  readonly now: () => number
  readonly wallTime: () => number
  readonly #emit: (line: string) => void
  readonly #stopping: () => void
  readonly #isStamped: boolean
  #stateSince = 0
  #depthAtClose = 0
  #isStopping = false
  #isCutShort = false

  /**
   * `now`: monotonic milliseconds. `wallTime`: Unix milliseconds. `emit`: takes one line of JSON, without its newline.
   * `stopping`: called once, at the first cause of a stop, whoever gave it. `isStamped`: lines have what every line of a log in
   * JSON has, behind their own key.
   */
  constructor(options: {
    readonly now: () => number
    readonly wallTime: () => number
    readonly emit: (line: string) => void
    readonly stopping?: () => void
    readonly isStamped?: boolean
  }) {
    this.now = options.now
    this.wallTime = options.wallTime
    this.#emit = options.emit
    this.#stopping = options.stopping ?? (() => {})
    this.#isStamped = options.isStamped ?? false
    this.#line("starting")
  }

  /** Moves forward only: a transition to an earlier or the same state is ignored, so every caller may just say it. */
  transition(state: State): void {
    if (order.indexOf(state) <= order.indexOf(this.state)) return
    const now = this.now()
    const spent = Math.round(now - this.#stateSince)
    if (this.state === "draining") this.phases.draining = spent
    if (this.state === "releasing") this.phases.releasing = spent
    this.state = state
    this.#stateSince = now
    this.#line(state)
    for (const callback of this.#watching) callback(state)
  }

  /** Calls back at each transition from now on, in turn; answers what ends that. */
  onTransition(callback: (state: State) => void): () => void {
    this.#watching.add(callback)
    return () => void this.#watching.delete(callback)
  }

  /** A stop was asked for, or something failed: remembers why, and leaves `starting` or `ready` for `draining`. */
  stop(cause: Cause): void {
    this.causes.push(cause)
    this.transition("draining")
    if (this.#isStopping) return
    this.#isStopping = true
    this.#stopping()
  }

  /** A budget fired. `isHarmless`: nothing is lost by it, so that the exit code stays what it is. */
  expire(name: string, isHarmless = false): void {
    this.forced.push(name)
    if (!isHarmless) this.#isCutShort = true
  }

  /** A budget fired that costs something. */
  get isCutShort(): boolean {
    return this.#isCutShort
  }

  /** Calls back when this process's certificate has been written, after which there is no event loop any more. */
  onCertified(callback: () => void): void {
    this.#certified.push(callback)
  }

  /** The certificate has been written. A callback that fails changes nothing of what it states. */
  certified(): void {
    for (const callback of this.#certified.splice(0)) {
      try {
        callback()
      } catch {
        // A full or read-only disk is no reason to end otherwise than stated.
      }
    }
  }

  /** Counters under these names, from 0 on; the same ones for whoever asks for them again. */
  count<Name extends string>(...names: ReadonlyArray<Name>): Counters<Name> {
    for (const name of names) this.counters[name] ??= 0
    return this.counters
  }

  /** Queued work that a mailbox still held when it had ended; anything but 0 means work was dropped. */
  addDepthAtClose(depth: number): void {
    this.#depthAtClose += depth
  }

  get depthAtClose(): number {
    return this.#depthAtClose
  }

  /** Every sender held now, oldest first. */
  holders(): ReadonlyArray<Holder> {
    return [...this.mailboxes].flatMap((mailbox) => mailbox.holders()).toSorted((a, b) => a.since - b.since)
  }

  #line(state: State): void {
    const cause = this.causes.at(-1)
    this.#emit(JSON.stringify({
      lifecycle: {
        state,
        ms: Math.round(this.now() * 10) / 10,
        ...(state === "starting" || state === "ready" ? {} : { cause: cause?.name ?? "completed" }),
        ...(state === "draining" && this.acquired.length > 0 ? { open: this.acquired } : {})
      },
      ...this.stamp(state)
    }))
  }

  /**
   * What every line of a log has: where those are JSON, these are no exception. Of level `info`, whatever they say: what went wrong has
   * its own line, and one is enough.
   */
  stamp(message: string): Readonly<Record<string, string>> {
    if (!this.#isStamped) return {}
    return { time: new Date(this.wallTime()).toISOString(), level: "info", message, component: "lifecycle" }
  }
}
