/** The ingester's thread and the reader's: they take their time, fail as planned, and notice who comes too late. */
import { Deferred, Effect, Exit } from "effect"
import { ThreadFailed } from "../../../src/database/sqlite/thread/DatabaseThread.ts"
import type { StoreAnswer, StoreRequest, SweepAnswer } from "../../../src/database/storeProtocol.ts"
import type { Cost } from "../Disk.ts"
import { run } from "../Run.ts"

const idle = () => {}

/** Milliseconds that a row or index entry takes on a disk that crawls, and entries of a transaction that is worth it. */
const crawlMillis = 75
const crawlsFrom = 140

interface Options {
  readonly name: string
  readonly workerData: { readonly progress?: SharedArrayBuffer }
}

export const make = (options: Options) =>
  Effect.gen(function*() {
    const { disk, journal, plan, world, upstreams } = run()
    const violate = run().violate.bind(run())
    const { name } = options
    const closed = Deferred.makeUnsafe<string>()
    const exited = Deferred.makeUnsafe<void>()
    const progress = new Int32Array(options.workerData.progress ?? new SharedArrayBuffer(4))
    let isClosing = false
    let isGone = false
    /** Fails what is in hand. */
    let lose = idle
    const failed = (detail: string) => Effect.fail(new ThreadFailed({ thread: name, detail }))
    yield* Effect.sleep(world.dice.between(0, 20))

    /** In the middle of whatever it does: what is not synced by then never will be. */
    const terminate = Effect.sync(() => {
      isGone = true
      lose()
      Deferred.doneUnsafe(exited, Exit.void)
    })
    yield* Effect.addFinalizer(() => terminate)

    /** Once it is handed over it happens, whether or not anybody waits for it. */
    const apply = (request: StoreRequest) =>
      Effect.callback<StoreAnswer | SweepAnswer, ThreadFailed>((resume) => {
        if (isClosing) {
          violate("I3", `${request._tag} after the close`)
          return resume(failed("is closed"))
        }
        if (disk.isWriting) violate("writer", "two transactions at a time")
        const { crawls, entryMillis, fails, syncMillis, writeMillis } = plan.disk
        disk.isWriting = true
        lose = () => {
          disk.isWriting = false
          resume(failed("was terminated"))
        }
        const number = ++disk.applied
        const fail = fails !== undefined && number === fails.at
        run().reach("handed")
        world.later(world.dice.between(0, writeMillis), "sync", () => {
          if (isGone) return
          if (!disk.isOpen && journal.forced.length === 0) violate("I3", "a sync after the file was closed")
          const { answer, cost }: { answer: StoreAnswer | SweepAnswer; cost: Cost } = fail && !fails.written
            ? { answer: { results: [], ...disk.sizes }, cost: { changes: 0, signs: 0 } }
            : request._tag === "Apply"
            ? disk.sync(request.batch)
            : disk.sweep(request.now)
          world.note(() =>
            `${request._tag} ${number} ${fail ? "fails" : "is on the disk"}, ${cost.changes} rows and entries`
          )
          const isCrawling = cost.changes >= crawlsFrom && disk.crawls < crawls
          if (isCrawling) disk.crawls++
          const millis = Math.ceil(cost.changes * (isCrawling ? crawlMillis : entryMillis))
          // It goes on counting what it does, at an even pace.
          const signs = isCrawling ? cost.signs : 0
          for (let sign = 1; sign <= signs; sign++) {
            world.later(Math.floor((millis * sign) / signs), "progress", () => void Atomics.add(progress, 0, 1))
          }
          for (const upstream of upstreams) upstream.judge()
          run().reach("written")
          world.later(millis + world.dice.between(0, syncMillis), "synced", () => {
            if (isGone) return
            lose = idle
            disk.isWriting = false
            disk.hasFailed ||= fail
            run().reach("synced")
            resume(fail ? failed("input/output error") : Effect.succeed(answer))
          })
        })
        return undefined
      })

    const isIngester = name === "ingester"
    return {
      request: isIngester ? apply : () => failed("is never asked here"),
      close: Effect.suspend(() => {
        if (!isClosing) {
          isClosing = true
          // After a budget has expired nobody waits for it any more, and the certificate says so.
          if (
            isIngester && journal.forced.length === 0 && [...journal.fibers].some((fiber) => fiber.name === "database")
          ) {
            violate("I6", "the database was closed before its ingester had ended")
          }
          world.later(plan.disk.closeMillis, `${name} closes`, () => {
            Deferred.doneUnsafe(closed, Exit.succeed("checkpointed"))
            world.later(1, `${name} exits`, () => Deferred.doneUnsafe(exited, Exit.void))
          })
        }
        return Deferred.await(closed)
      }),
      exited: Deferred.await(exited),
      died: Effect.never,
      terminate
    }
  })
