/**
 * The database component over SQLite: one file, one writer, as many readers as it takes.
 *
 * Acquired: the lock, the file, the ingester's thread, the readers, the mailbox. Released in the reverse order: the
 * mailbox is drained, the readers close, the writer folds its log into the file and exits, the lock is given back.
 */
import { Cause, Effect, type Fiber, Layer } from "effect"
import { resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Settings, type SettingsShape } from "../../config/Settings.ts"
import { announce, Shutdown } from "../../lifecycle/Shutdown.ts"
import type { StartError } from "../../lifecycle/StartError.ts"
import { Supervisor } from "../../lifecycle/Supervisor.ts"
import { Database } from "../Database.ts"
import * as Ingester from "../Ingester.ts"
import * as Room from "../Room.ts"
import type { StoreAnswer, StoreRequest, SweepAnswer } from "../storeProtocol.ts"
import * as StoreWriter from "../StoreWriter.ts"
import { connect, prepare } from "./connection.ts"
import * as DatabaseFile from "./DatabaseFile.ts"
import * as FileLock from "./FileLock.ts"
import { displacementOf } from "./FileWatch.ts"
import * as Reserve from "./Reserve.ts"
import * as SqliteReader from "./SqliteReader.ts"
import type { ReadRequest } from "./SqliteReader.ts"
import { SqliteStore } from "./SqliteStore.ts"
import * as SqliteWriter from "./SqliteWriter.ts"
import * as StoreReader from "./StoreReader.ts"
import * as DatabaseThread from "./thread/DatabaseThread.ts"
import type { ThreadAnswer } from "./thread/packedSelection.ts"

type Requirements = Settings | Shutdown | Supervisor

/** How often expired events, which nobody is served, are removed; what is hidden otherwise is removed at once. */
const sweepInterval = "1 minute"

/** Acquires the writer; its release closes the file, after the consumer has ended. */
const acquireWriter = Effect.fnUntraced(function*(
  writer: StoreWriter.StoreWriter,
  consumer: () => Fiber.Fiber<void> | undefined,
  displacement?: () => string | undefined
) {
  const isDrained = () => consumer()?.pollUnsafe() !== undefined || consumer() === undefined
  const guarded = yield* Effect.acquireRelease(
    StoreWriter.guarded(writer, { isDrained, ...displacement === undefined ? {} : { displacement } }),
    ({ release }) => release
  )
  return guarded.writer
})

/** Slice after slice, with the writes of others in between, whenever there is something: after a start, too. */
const sweepForEver = (sweep: Effect.Effect<boolean, unknown>, leftover: Effect.Effect<void>) =>
  Effect.raceFirst(leftover, Effect.sleep(sweepInterval)).pipe(
    Effect.andThen(Effect.repeat(sweep, { until: (done) => done })),
    // Storage that fails stops the service by itself, and so does the mailbox's owner.
    Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.void),
    Effect.forever
  )

/** A transaction of the writer, as reads on this thread have to know of it. */
const during = <A, E>(reader: SqliteReader.SqliteReader, transaction: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    reader.beforeWrite()
    return Effect.ensuring(transaction, Effect.sync(reader.afterWrite))
  })

/** Builds the service over an open store. */
const serve = Effect.fnUntraced(function*(
  ingester: Effect.Success<ReturnType<typeof Ingester.make>>,
  reader: ReturnType<typeof StoreReader.make>
) {
  const supervisor = yield* Supervisor
  const sweep = yield* Effect.orDie(ingester.sweeper("database/sweep"))
  yield* supervisor.fork("database sweep", sweepForEver(sweep, ingester.leftover))
  return Database.of({
    sender: ingester.sender,
    commits: ingester.commits,
    stats: ingester.stats,
    ...reader
  })
})

const make = Effect.fnUntraced(
  function*() {
    yield* announce("database")
    const settings = yield* Settings
    const supervisor = yield* Supervisor
    const { bounded } = yield* Shutdown
    let consumer: Fiber.Fiber<void> | undefined
    const file = yield* DatabaseFile.open(resolve(settings.databasePath))
    const { path } = file
    const progress = SqliteWriter.sharedProgress()

    const [writerThread, readerThread] = yield* Effect.all([
      DatabaseThread.make<StoreRequest, StoreAnswer | SweepAnswer>({
        name: "ingester",
        entry: new URL("./thread/ingesterThread.ts", import.meta.url),
        workerData: { file, relayUrl: settings.relayUrl, progress: progress.memory }
      }),
      DatabaseThread.make<ReadRequest, ThreadAnswer>({
        name: "reader",
        entry: new URL("./thread/readerThread.ts", import.meta.url),
        workerData: { path }
      })
    ], { concurrency: 2 })
    const connection = yield* Effect.acquireRelease(
      DatabaseFile.connection(path, "reader"),
      (db) => Effect.sync(() => db.isOpen && db.close())
    )
    const reader = SqliteReader.make(connection)
    const [seq, events] = prepare(connection, "SELECT seq, events FROM commit_log").get() ?? []
    const writer = yield* acquireWriter(
      SqliteWriter.threaded(writerThread, { seq: seq as number, events: events as number }, progress),
      () => consumer,
      () => displacementOf(file)
    )
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        Effect.sync(reader.close),
        bounded(StoreWriter.budgets.exit, Effect.andThen(Effect.ignore(readerThread.close), readerThread.exited))
      )
    )
    yield* supervisor.fork("database reader", readerThread.died)

    const room = yield* Room.make(Effect.sync(() => Reserve.spaceAt(path)), () => Reserve.keep(path))
    const ingester = yield* Ingester.make(
      {
        ...writer,
        apply: (batch) => during(reader, writer.apply(batch)),
        sweep: (now) => during(reader, writer.sweep(now))
      },
      room
    )
    consumer = ingester.consumer
    const stored = yield* ingester.stats
    yield* Effect.logInfo("database opened").pipe(
      Effect.annotateLogs({ file: path, events: stored.events, seq: stored.seq })
    )
    return yield* serve(ingester, StoreReader.make(reader, readerThread))
  },
  Effect.annotateLogs({ component: "database" })
)

/** Names of stores in memory that live in this process. */
let memories = 0

const makeMemory = Effect.fnUntraced(
  function*() {
    yield* announce("database")
    const settings = yield* Settings
    let consumer: Fiber.Fiber<void> | undefined
    // Lives as long as a connection to it does.
    const path = `file:/profile-aggregator-${++memories}?vfs=memdb`
    yield* Effect.acquireRelease(
      Effect.sync(() => new DatabaseSync(path)),
      (db) => Effect.sync(() => db.close())
    )
    yield* DatabaseFile.migrate(path)
    const store = new SqliteStore(connect(path, "writer"), settings.relayUrl)
    const writer = yield* acquireWriter(SqliteWriter.inline(store), () => consumer)
    const ingester = yield* Ingester.make(writer)
    consumer = ingester.consumer
    return yield* serve(ingester, StoreReader.make(SqliteReader.make(store.connection), undefined))
  },
  Effect.annotateLogs({ component: "database" })
)

/** Holds the file's lock until the scope closes. */
export const hold = ({ databasePath }: Pick<SettingsShape, "databasePath">) => FileLock.hold(resolve(databasePath))

/** The file at `Settings.databasePath`, with the ingester and the heavy reads on threads of their own. */
export const layer: Layer.Layer<Database, StartError, Requirements> = Layer.effect(Database, make())

/** The same code over memory, in one thread and without timers of its own: for tests, `TestClock` included. */
export const layerMemory: Layer.Layer<Database, StartError, Requirements> = Layer.effect(Database, makeMemory())
