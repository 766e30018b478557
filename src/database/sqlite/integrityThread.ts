/** Reads a whole database file, which may take minutes, on a thread of its own: imports nothing but `node:sqlite`. */
import { parentPort, workerData } from "node:worker_threads"
import { messageOf } from "../../observability/messageOf.ts"
import { connect, prepare } from "./connection.ts"

/** What the thread says at its end. */
export interface Integrity {
  /** SQLite's own words, or undefined when every page is sound. */
  readonly problem: string | undefined
  /** Events that there are, and that the commit log says there are. */
  readonly events: number
  readonly logged: number
  readonly seq: number
}

const look = (path: string): Integrity => {
  const db = connect(path, "reader")
  try {
    prepare(db, "BEGIN").run()
    const [problem] = prepare(db, "PRAGMA quick_check(1)").get() ?? []
    const [events] = prepare(db, "SELECT count(*) FROM event").get() ?? []
    const [seq, logged] = prepare(db, "SELECT seq, events FROM commit_log").get() ?? []
    return {
      problem: problem === "ok" ? undefined : String(problem).replaceAll(/\s+/g, " "),
      events: Number(events),
      logged: Number(logged),
      seq: Number(seq)
    }
  } catch (error) {
    return { problem: messageOf(error), events: 0, logged: 0, seq: 0 }
  } finally {
    db.close()
  }
}

parentPort?.postMessage(look((workerData as { readonly path: string }).path), [])
