/**
 * A test ends with what it began with: no handle, timer, thread, open file, sender or supervised fiber more.
 *
 * What closes in the background (a socket's last callback, a thread's exit) may take some turns of the event loop; they
 * are counted and bounded, and the assertion looks again after each of them instead of sleeping and hoping.
 */
import { afterAll } from "@effect/vitest"
import { Effect, Exit, Schema, type Scope } from "effect"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import type { Journal } from "../../src/lifecycle/Journal.ts"
import * as fibers from "./fibers.ts"

/** What was still alive, by name, at the end of the last turn. */
export class Leaked extends Schema.TaggedError<Leaked>()("Leaked", { what: Schema.Array(Schema.String) }) {
  override get message() {
    return `still alive: ${this.what.join(", ")}`
  }
}

/** Names of what is alive in this process, once per piece. */
export type Snapshot = ReadonlyArray<string>

/** What `read` finds for each entry of a folder of /proc/self; Linux only, nothing elsewhere. */
const inProc = (folder: string, read: (path: string) => string): ReadonlyArray<string> => {
  try {
    return readdirSync(`/proc/self/${folder}`).flatMap((entry) => {
      try {
        return [read(`/proc/self/${folder}/${entry}`)]
      } catch {
        // Gone since the listing, as the listing's own descriptor is.
        return []
      }
    })
  } catch {
    return []
  }
}

/** Regular files this process holds open. */
const openFiles = () =>
  inProc("fd", (fd) => readlinkSync(fd))
    .filter((target) => /^\/(?!dev\/|proc\/)/u.test(target)).map((target) => `file ${target}`)

/** Worker threads: all but the engine's own, which it starts when it likes. */
const threads = () =>
  inProc("task", (task) => readFileSync(`${task}/comm`, "utf8").trim())
    .filter((name) => !/^(?:node|libuv|DelayedTask|SignalInspector)/u.test(name)).map((name) => `thread ${name}`)

/**
 * Handles that keep the event loop alive (unreferenced ones do not count), threads, and open files. Timers and immediates are
 * left out: the test runner's own come and go, and a test has none of its own when it begins.
 */
export const snapshot = (): Snapshot => [
  ...process.getActiveResourcesInfo().filter((name) => name !== "Timeout" && name !== "Immediate"),
  ...openFiles(),
  ...threads()
]

/** What `now` has and `before` had not, counting each piece. */
const surplus = (before: Snapshot, now: Snapshot): Snapshot => {
  const known = [...before]
  return now.filter((name) => {
    const at = known.indexOf(name)
    if (at >= 0) known.splice(at, 1)
    return at < 0
  })
}

/** Senders and fibers that a journal still shows. */
const livingIn = (journal: Journal): Snapshot => [
  ...journal.holders().map((holder) => `sender of ${holder.label} to ${holder.mailbox}`),
  ...[...journal.fibers].map((fiber) => `fiber ${fiber.name}`)
]

/** What is alive now beyond `before`, senders and fibers of the journals included. */
export const remaining = (before: Snapshot, ...journals: ReadonlyArray<Journal>): Snapshot => [
  ...surplus(before, snapshot()),
  ...process.getActiveResourcesInfo().filter((name) => name === "Timeout"),
  ...journals.flatMap(livingIn)
]

/** So many turns of an idle loop are some milliseconds. */
const turnsMin = 200
/** A thread that ends does so within this time, in milliseconds, even on a busy machine. */
const settleMillis = 2000
/** So does what a whole file has begun; only a file that leaks waits for so long. */
const fileSettleMillis = 4000

const excused = new Set<string>()

/** For a file that runs somebody else's client: its timers may be left to run out. */
export const excuseTimers = (): void => void excused.add("Timeout")

const turn = () => new Promise<void>((resolve) => void setImmediate(resolve))

const settle = async (before: Snapshot, others: () => Snapshot, millis: number): Promise<Snapshot> => {
  const started = performance.now()
  for (let turns = 0;; turns++) {
    const left = [...remaining(before), ...others()].filter((name) => !excused.has(name))
    if (left.length === 0 || (turns >= turnsMin && performance.now() - started > millis)) return left
    await turn()
  }
}

/** Succeeds once nothing is left beyond `before`, and no sender or fiber in any of the journals. */
export const settled = (before: Snapshot, ...journals: ReadonlyArray<Journal>): Effect.Effect<void, Leaked> =>
  Effect.flatMap(
    Effect.promise(() => settle(before, () => journals.flatMap(livingIn), settleMillis)),
    (what) => what.length === 0 ? Effect.void : Effect.fail(new Leaked({ what }))
  )

/**
 * Runs a test in a scope of its own, closes it, and looks at what is left: `it.live("…", () => noLeaks(Effect.gen(…)))`.
 * A test that fails by itself keeps its own failure.
 */
export const noLeaks = <A, E, R>(
  test: Effect.Effect<A, E, R>,
  ...journals: ReadonlyArray<Journal>
): Effect.Effect<A, E | Leaked, Exclude<R, Scope.Scope>> =>
  Effect.suspend(() => {
    const before = snapshot()
    return Effect.flatMap(
      Effect.exit(Effect.scoped(test)),
      (exit): Effect.Effect<A, E | Leaked> =>
        Exit.isSuccess(exit) ? Effect.as(settled(before, ...journals), exit.value) : Effect.failCause(exit.cause)
    )
  })

/** Every fiber, and what the journals of this file still show. */
const anywhere = (): Snapshot => [...fibers.living(), ...[...fibers.seen()].flatMap(livingIn)]

/** The same for a whole file, and for every fiber and journal there was in it: `leakGuard.ts`. */
export const expectNoLeaks = (): void => {
  // Node opens these when they are first touched, and they stay.
  void [process.stdin, process.stdout, process.stderr]
  const before = snapshot()
  afterAll(async () => {
    const what = await settle(before, anywhere, fileSettleMillis)
    if (what.length > 0) throw new Leaked({ what })
  })
}
