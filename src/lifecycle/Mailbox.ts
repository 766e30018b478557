/**
 * A bounded queue with one owner, and senders that somebody owns.
 *
 * A sender is a lease: acquired into a scope under its holder's name, given back by that scope and by nothing else.
 * So "all senders are gone" is a fact the register can state, and closing a mailbox never waits for one that was
 * forgotten: a straggler is named, the queue is ended over its head, and what was accepted is still handled.
 *
 * Releasing a mailbox, step by step:
 *
 * 1. no new senders; the owner's own is given back;
 * 2. the register must be empty, as every holder was released before its owner; who is left is reported (exit 70);
 * 3. the queue ends: what was accepted stays, later sends are refused;
 * 4. the consumer handles the rest and ends by itself, within the `ingester drain` or `worker stop` budget;
 * 5. a request that is still unanswered is answered `MailboxClosed`, so that nobody waits for ever.
 *
 * Longer than other files: leases, register, queue and consumer are one invariant, that nobody outside can see half of.
 */
import {
  type Cause,
  Deferred,
  Effect,
  Exit,
  Fiber,
  identity,
  Option,
  Pull,
  Queue,
  References,
  Schema,
  Scope
} from "effect"
import type { Holder, MailboxView } from "./Journal.ts"
import { type Budget, Shutdown } from "./Shutdown.ts"
import { Supervisor } from "./Supervisor.ts"

/** The owner is stopping or gone: the message was not accepted, or will not be answered. */
export class MailboxClosed extends Schema.TaggedError<MailboxClosed>()("MailboxClosed", { mailbox: Schema.String }) {
  override get message() {
    return `the ${this.mailbox} mailbox is closed`
  }
}

/** A sender was used after its scope had closed: a bug in its holder, raised as a defect. */
export class SenderReleased extends Schema.TaggedError<SenderReleased>()("SenderReleased", {
  mailbox: Schema.String,
  holder: Schema.String
}) {
  override get message() {
    return `the sender of ${this.holder} to ${this.mailbox} was used after its release`
  }
}

export interface Sender<A> {
  readonly holder: string
  /**
   * Waits while the mailbox is full. Interrupted while waiting, the message was not accepted; after success it will be
   * handled whatever happens to the sender.
   */
  send(message: A): Effect.Effect<void, MailboxClosed>
  /**
   * Sends a message that carries a reply, and waits for it. The owner completes the reply exactly once. Interrupting
   * the caller does not undo a message that was accepted.
   */
  ask<B, E>(message: (reply: Deferred.Deferred<B, E>) => A): Effect.Effect<B, E | MailboxClosed>
  /**
   * Asks without a fiber, at a tenth of the cost: for those who ask thousands of times a second. False when there is no
   * room: then nothing was sent, and `ask` will wait. Otherwise `settled` is called exactly once, whatever happens to the
   * sender; the owner calls `reply` once, and is not called back in the same step.
   */
  offer<B>(
    message: (reply: (answer: B) => void) => A,
    settled: (exit: Exit.Exit<B, MailboxClosed>) => void
  ): boolean
}

export interface Mailbox<A> {
  readonly name: string
  /** A lease under the holder's name, given back by the scope. Fails once the owner is being released. */
  readonly sender: (holder: string) => Effect.Effect<Sender<A>, MailboxClosed, Scope.Scope>
  /**
   * `sender` as the owner's contract gives it out: under the contract's name, and over the lease whatever it makes of it. Its
   * site begins where the contract is used, as the owner's own place would tell nobody who leaks.
   */
  readonly senderAs: <B>(
    name: string,
    over: (lease: Sender<A>) => B
  ) => (holder: string) => Effect.Effect<B, MailboxClosed, Scope.Scope>
  /** Everyone who holds a lease now, the owner included. */
  readonly holders: Effect.Effect<ReadonlyArray<Holder>>
  /** Messages accepted and not taken yet. */
  readonly depth: Effect.Effect<number>
}

export interface Options<A, R> {
  /** The component it belongs to, such as `database`. */
  readonly name: string
  /** Messages; a full mailbox makes senders wait. */
  readonly capacity: number
  /** Messages `handle` is given at most at a time. */
  readonly batchMax: number
  /**
   * Handles one batch, uninterruptibly: a batch that was taken is always handled. It must not wait for the world without
   * a bound, and answers every reply in the batch. A defect stops the service.
   */
  readonly handle: (batch: ReadonlyArray<A>) => Effect.Effect<void, never, R>
  /** Bounds the drain at release. */
  readonly budget: Budget
}

/** What all leases on a mailbox share. */
interface Register<A> {
  readonly mailbox: string
  readonly queue: Queue.Queue<A, Cause.Done>
  readonly leases: Set<Lease<A>>
  /** Leases given back while a request of theirs was still unanswered. */
  readonly orphans: Set<Lease<A>>
  readonly closed: MailboxClosed
}

/** One entry of the register, which is also the sender. There is one for each client, so it keeps no more than it needs. */
class Lease<A> implements Sender<A> {
  readonly holder: string
  /** Unix milliseconds. */
  readonly since: number
  readonly site: ReadonlyArray<string>
  readonly #register: Register<A>
  /** Requests without an answer, as what ends each of them when there will be none; made for the first of them. */
  #pending: Set<() => void> | undefined
  #isReleased = false

  constructor(register: Register<A>, holder: string, since: number, site: ReadonlyArray<string>) {
    this.#register = register
    this.holder = holder
    this.since = since
    this.site = site
  }

  /** Requests without an answer. */
  get inFlight(): number {
    return this.#pending?.size ?? 0
  }

  /** Gives the lease back. */
  release(): void {
    const { leases, orphans } = this.#register
    this.#isReleased = true
    leases.delete(this)
    if (this.inFlight > 0) orphans.add(this)
  }

  /** Ends every request that is still unanswered. */
  abandon(): void {
    for (const end of this.#pending ?? []) end()
  }

  send(message: A): Effect.Effect<void, MailboxClosed> {
    return Effect.suspend(() => {
      const { closed, queue } = this.#register
      if (this.#isReleased) return Effect.die(this.#misuse())
      // The ordinary case; false when it is full, or has ended.
      if (Queue.offerUnsafe(queue, message)) return Effect.void
      return Effect.flatMap(Queue.offer(queue, message), (accepted) => accepted ? Effect.void : Effect.fail(closed))
    })
  }

  ask<B, E>(message: (reply: Deferred.Deferred<B, E>) => A): Effect.Effect<B, E | MailboxClosed> {
    return Effect.suspend(() => {
      const reply = Deferred.makeUnsafe<B, E | MailboxClosed>()
      const end = () => Deferred.doneUnsafe(reply, Exit.fail(this.#register.closed))
      this.#await(end)
      return this.send(message(reply as Deferred.Deferred<B, E>)).pipe(
        Effect.andThen(Deferred.await(reply)),
        Effect.onExit(() => {
          this.#settle(end)
          return Effect.void
        })
      )
    })
  }

  offer<B>(
    message: (reply: (answer: B) => void) => A,
    settled: (exit: Exit.Exit<B, MailboxClosed>) => void
  ): boolean {
    if (this.#isReleased) throw this.#misuse()
    const { closed, queue } = this.#register
    const end = () => {
      if (this.#settle(end)) settled(Exit.fail(closed))
    }
    const reply = (answer: B) => {
      if (this.#settle(end)) settled(Exit.succeed(answer))
    }
    if (!Queue.offerUnsafe(queue, message(reply))) return false
    this.#await(end)
    return true
  }

  #misuse(): SenderReleased {
    return new SenderReleased({ mailbox: this.#register.mailbox, holder: this.holder })
  }

  #await(end: () => void): void {
    this.#pending ??= new Set()
    this.#pending.add(end)
  }

  /** False when it was not pending any more. */
  #settle(end: () => void): boolean {
    const wasPending = this.#pending?.delete(end) === true
    if (this.#isReleased && this.inFlight === 0) this.#register.orphans.delete(this)
    return wasPending
  }
}

/** The names and places of the `Effect.fn` calls that led here, innermost first, cut to eight. */
const siteOf = (frame: References.StackFrame | undefined): ReadonlyArray<string> => {
  const site: Array<string> = []
  for (let at = frame; at !== undefined && site.length < 8; at = at.parent) {
    const file = (at.stack()?.split("\n")[0] ?? "").split(/[/\\]/).at(-1) ?? ""
    const place = /^([^:]+:\d+):\d+\)?$/.exec(file)?.[1]
    if (!at.name.endsWith(" (definition)")) site.push(place === undefined ? at.name : `${at.name} @ ${place}`)
  }
  return site
}

/**
 * Sites, each kept once: thousands of clients take their sender at the same place. They are spelt out at once, for 7 µs, as
 * the frames themselves would be kept by every lease, and with them the errors that know the places, and spans.
 */
class Sites {
  readonly #known = new Map<string, ReadonlyArray<string>>()

  of(frame: References.StackFrame | undefined): ReadonlyArray<string> {
    const site = siteOf(frame)
    const key = site.join("\n")
    const known = this.#known.get(key)
    if (known === undefined) this.#known.set(key, site)
    return known ?? site
  }
}

/** Acquires a mailbox into the owner's scope, its consumer included. */
export const make = Effect.fn("Mailbox.make")(function*<A, R>(options: Options<A, R>) {
  const { name } = options
  const shutdown = yield* Shutdown
  const supervisor = yield* Supervisor
  const leases = new Set<Lease<A>>()
  const orphans = new Set<Lease<A>>()
  const closed = new MailboxClosed({ mailbox: name })
  let open = true

  const holderOf = ({ holder, inFlight, since, site }: Lease<A>): Holder => ({
    mailbox: name,
    label: holder,
    since,
    site,
    inFlight
  })
  const holders = () => Array.from(leases, holderOf)

  // Acquired in this order, released in the reverse one.
  const queue = yield* Effect.acquireRelease(Queue.bounded<A, Cause.Done>(options.capacity), Queue.shutdown)
  const view: MailboxView = { name, capacity: options.capacity, depth: () => Queue.sizeUnsafe(queue), holders }
  yield* Effect.acquireRelease(
    Effect.sync(() => shutdown.journal.mailboxes.add(view)),
    () => Effect.sync(() => shutdown.journal.mailboxes.delete(view))
  )

  /** Nobody may wait for a consumer that is gone. */
  const abandon = Effect.suspend(() => {
    open = false
    return Effect.andThen(
      Queue.shutdown(queue),
      Effect.sync(() => {
        for (const lease of [...leases, ...orphans]) lease.abandon()
      })
    )
  })

  const consume = Effect.uninterruptibleMask((restore) =>
    restore(Queue.takeBetween(queue, 1, options.batchMax)).pipe(
      Effect.flatMap(options.handle),
      Effect.forever({ disableYield: true })
    )
  ).pipe(
    Pull.catchDone(() => Effect.void),
    Effect.ensuring(abandon)
  )

  const close = Effect.fnUntraced(function*(consumer: Fiber.Fiber<void>) {
    const stragglers = holders()
    shutdown.journal.stragglers.push(...stragglers)
    yield* Effect.forEach(
      stragglers,
      (holder) =>
        Effect.logError("sender outlived its mailbox").pipe(Effect.annotateLogs({
          mailbox: name,
          holder: holder.label,
          since: new Date(holder.since).toISOString(),
          site: holder.site.join(" ← ")
        })),
      { discard: true }
    )
    yield* Queue.end(queue)
    const drained = yield* shutdown.bounded(options.budget, Fiber.await(consumer))
    if (Option.isSome(drained)) {
      return
    }
    shutdown.journal.addDepthAtClose(Queue.sizeUnsafe(queue))
    consumer.interruptUnsafe()
  })

  // Detached, as a scope would wait for a stuck batch without a bound; `close` is the owner that waits, with one.
  const consumer = yield* Effect.acquireRelease(
    Effect.forkDetach(supervisor.watch(name, consume), { startImmediately: true }),
    close
  )

  const register: Register<A> = { mailbox: name, queue, leases, orphans, closed }
  const sites = new Sites()
  const context = yield* Effect.context()

  // Uninterruptible, as `acquireRelease` is, which would keep the context of every holder until its release.
  const acquire = Effect.fnUntraced(function*(holder: string) {
    const scope = yield* Effect.scope
    const site = sites.of(yield* References.CurrentStackFrame)
    if (!open) return yield* closed
    const lease = new Lease(register, holder, shutdown.journal.wallTime(), site)
    leases.add(lease)
    yield* Scope.addFinalizerExit(scope, () => Effect.provideContext(giveBack(lease), context))
    return lease
  }, Effect.uninterruptible)

  const giveBack = (lease: Lease<A>) =>
    Effect.suspend(() => {
      lease.release()
      return Effect.logDebug("sender released").pipe(
        Effect.annotateLogs({ mailbox: name, holder: lease.holder, inFlight: lease.inFlight })
      )
    })

  const senderAs: Mailbox<A>["senderAs"] = (called, over) =>
    Effect.fn(called)((holder: string) => Effect.map(acquire(holder), over))

  const mailbox: Mailbox<A> = {
    name,
    sender: senderAs(`${name}.sender`, identity),
    senderAs,
    holders: Effect.sync(holders),
    depth: Queue.size(queue)
  }

  // The owner's own lease keeps the queue open until the owner is released; then no lease is given out any more.
  yield* Effect.orDie(acquire(`${name} (owner)`))
  yield* Effect.addFinalizer(() => Effect.sync(() => void (open = false)))

  return { mailbox, consumer }
})
