/**
 * Planted bugs, one per class that a service like this has had: each rewrites one place of the real source as it is
 * loaded. A simulation that does not notice them proves nothing.
 */
import { modules } from "../support/modules.ts"
import type { Rewrite } from "./rewriting.ts"

export interface Variant {
  readonly name: string
  /** What it breaks. */
  readonly breaks: string
  readonly rewrites: ReadonlyArray<Rewrite>
}

export const variants: ReadonlyArray<Variant> = [
  {
    name: "acknowledge at enqueue",
    breaks: "OK true goes out when the write is in the mailbox, not when it is on the disk",
    rewrites: [{
      file: modules.Ingester,
      from: "      return Effect.callback((resume) => {\n",
      to: "      queued?.()\n" +
        "      const saved = writes.map((write) => write.map(() => ({ _tag: \"Saved\", seq: 0 })))\n" +
        "      return Effect.as(lease.send(message(() => {})), saved)\n" +
        "      return Effect.callback((resume) => {\n"
    }]
  },
  {
    name: "Queue.shutdown instead of end",
    breaks: "what was accepted and not taken yet is dropped",
    rewrites: [{
      file: modules.Mailbox,
      from: "    yield* Queue.end(queue)\n",
      to: "    yield* Queue.shutdown(queue)\n"
    }]
  },
  {
    name: "sender cloned out of its scope",
    breaks: "a connection's sender is taken into a scope that nobody closes",
    rewrites: [{
      file: modules.Connection,
      from: "yield* Scope.provide(admission.sender(`websocket/connection ${number}`), scope)",
      to: "yield* Scope.provide(admission.sender(`websocket/connection ${number}`), Scope.makeUnsafe())"
    }]
  },
  {
    name: "unawaited fiber",
    breaks: "a component's fibers are forked beside its scope, so that nobody ends them or waits for them",
    rewrites: [{
      file: modules.Supervisor,
      from: "Effect.forkScoped(watch(name, effect), { startImmediately: true })",
      to: "Effect.forkDetach(watch(name, effect), { startImmediately: true })"
    }]
  },
  {
    name: "unawaited consumer",
    breaks: "a mailbox is closed without waiting for its consumer",
    rewrites: [{
      file: modules.Mailbox,
      from: "yield* shutdown.bounded(options.budget, Fiber.await(consumer))",
      to: "Option.some(consumer)"
    }]
  },
  {
    name: "sibling layers merged",
    breaks: "crypto and database are acquired at once, and released at once",
    rewrites: [{
      file: modules.main,
      from: "  Layer.provideMerge(WorkerVerifier.layer), //    answers what is queued, ends its threads\n" +
        "  Layer.provideMerge(StateFolder.layer), //       leaves the folder of the key and the certificate to others\n" +
        "  Layer.provideMerge(Engine.layer) //             commits the last write, closes the store\n",
      to: "  Layer.provideMerge(Layer.mergeAll(WorkerVerifier.layer, StateFolder.layer, Engine.layer))\n"
    }]
  },
  {
    name: "sleep that ignores interruption",
    breaks: "a loop sleeps its twenty seconds whatever is asked of it",
    rewrites: [{
      file: modules.Harvest,
      from: "Effect.sleep(logPeriod)",
      to: "Effect.uninterruptible(Effect.sleep(logPeriod))"
    }]
  },
  {
    name: "cursor ahead of events",
    breaks: "a page's coverage is written before the events that it stands for",
    rewrites: [{
      file: modules.HarvestSession,
      from: "    yield* admit(fresh, [...disowned, ...manners, space.put(url, covered)])\n",
      to: "    yield* Effect.orDie(sender.write([...disowned, ...manners, space.put(url, covered)]))\n" +
        "    yield* admit(fresh, [])\n"
    }]
  },
  {
    name: "OK before sync",
    breaks: "the ingester answers first, and writes then",
    rewrites: [{
      file: modules.Ingester,
      from: "    const answer = yield* writer.apply({\n",
      to: "    for (const { settle, write } of writes) settle(write.map(() => ({ _tag: \"Saved\", seq: 0 })))\n" +
        "    yield* Effect.yieldNow\n" +
        "    const answer = yield* writer.apply({\n"
    }]
  },
  {
    name: "double answer",
    breaks: "a duplicate is answered once because it is known, and once more as what became of it",
    rewrites: [{
      file: modules.Submissions,
      from: "    this.answer(submission.eventId, answer)\n",
      to: "    this.answer(submission.eventId, answer)\n" +
        "    if (answer.accepted && answer.reply !== \"\") this.answer(submission.eventId, answer)\n"
    }]
  },
  {
    name: "finalizer that waits on its own consumer",
    breaks: "the consumer ends when the queue does, and the queue ends when the consumer has",
    rewrites: [{
      file: modules.Mailbox,
      from: "  yield* Effect.addFinalizer(() => Effect.sync(() => void (open = false)))\n",
      to:
        "  yield* Effect.addFinalizer(() => Effect.andThen(Effect.sync(() => void (open = false)), Fiber.await(consumer)))\n"
    }]
  },
  {
    name: "vanish in one transaction",
    breaks:
      "the transaction of a request to vanish removes all of its author's events, however many index entries they have",
    rewrites: [
      {
        file: modules.Removal,
        from: "      if (++looked < vanishRowsMax) continue\n",
        to: "      if (++looked < Infinity) continue\n"
      },
      {
        file: modules.Removal,
        from: "    if (this.#left > 0) return this.#remove(stored)\n",
        to: "    if (this.#left > -Infinity) return this.#remove(stored)\n"
      }
    ]
  },
  {
    name: "sweep in one transaction",
    breaks: "a sweep removes all there is to remove at once",
    rewrites: [{
      file: modules.Removal,
      from: "    while (this.#left > 0) {\n      this.#sweeping ??= this.#nextLeaving()\n",
      to: "    while (this.#left > -Infinity) {\n      this.#sweeping ??= this.#nextLeaving()\n"
    }]
  },
  {
    name: "sweep that never wakes",
    breaks: "what a transaction has hidden is not swept before the next minute",
    rewrites: [{
      file: modules.Ingester,
      from: "    if (answer.hasLeftover === true) leftover.openUnsafe()\n",
      to: ""
    }]
  },
  {
    name: "hidden only when swept",
    breaks: "what is left of an author who vanished is shown until the sweep comes to it",
    rewrites: [{
      file: modules.Hidden,
      from: "    if (version <= 0) return undefined\n",
      to: "    if (version <= Infinity) return undefined\n"
    }]
  },
  {
    name: "batch that is not cut by work",
    breaks: "a transaction is bounded by operations and characters, whatever these cost",
    rewrites: [{
      file: modules.Ingester,
      from: " || characters > charactersMax || work > workMax) {\n",
      to: " || characters > charactersMax) {\n"
    }]
  },
  {
    name: "removals without a bound",
    breaks: "as many tombstones are kept of one author as they ask for",
    rewrites: [{
      file: modules.Removal,
      from: "      if (before + added > removalsMax) return undefined\n      targets.set(id, stored)\n",
      to: "      targets.set(id, stored)\n"
    }]
  },
  {
    name: "tombstones that are forgotten",
    breaks: "what was deleted by its id comes back when somebody publishes it again",
    rewrites: [{
      file: modules.Removal,
      from: "    this.#statements.removedId.run(bytesOf(id), bytesOf(pubkey))\n",
      to: ""
    }]
  },
  {
    name: "hung disk by total time",
    breaks: "a transaction that takes long is taken for a disk that does nothing",
    rewrites: [{
      file: modules.SqliteWriter,
      from: "      if (counted !== count) return stuck(counted, 0)\n",
      to: ""
    }]
  }
]

/** The name of planting nothing, to see that a table of variants can fail. */
const control = "none"

export const rewritesOf = (name: string | undefined): ReadonlyArray<Rewrite> => {
  if (name === undefined || name === control) return []
  const variant = variants.find((variant) => variant.name === name)
  if (variant === undefined) {
    throw new Error(`no such variant: ${name}; there are ${variants.map(({ name }) => name).join(", ")}`)
  }
  return variant.rewrites
}
