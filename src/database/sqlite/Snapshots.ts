/** In which state of the store a read looks: a snapshot of its own, or one that several reads share. */
import type { DatabaseSync } from "node:sqlite"
import { prepare, type Row } from "./connection.ts"

/** A piece of work at a time; the value is what it was for. */
export type Work<A> = Generator<undefined, A>

/** How far the store has got. */
export interface Standing {
  /** Of the last commit. */
  readonly seq: number
  /** How many authors' events are on the way out. */
  readonly leaving: number
}

/** Milliseconds that a snapshot is kept where nothing is written: what another process has written shows after them. */
const heldMax = 250

export const make = (db: DatabaseSync) => {
  const begin = prepare(db, "BEGIN")
  const commit = prepare(db, "COMMIT")
  const sizes = prepare(db, "SELECT seq, leaving FROM commit_log")

  let held = false
  let writing = 0
  /** What `standing` found in the one that is held. */
  let stood: Standing | undefined
  let age: NodeJS.Timeout | undefined

  const release = (): void => {
    if (!held) return
    held = false
    stood = undefined
    clearTimeout(age)
    if (db.isOpen && db.isTransaction) commit.run()
  }

  return {
    /** Runs to its end in one snapshot: the one that is held, or one of its own. */
    *run<A>(body: () => Work<A>): Work<A> {
      if (held) return yield* body()
      begin.run()
      try {
        return yield* body()
      } finally {
        commit.run()
      }
    },
    standing: (): Standing => {
      if (stood !== undefined) return stood
      const [seq, leaving] = sizes.get() as Row
      const found = { seq: seq as number, leaving: leaving as number }
      if (held) stood = found
      return found
    },
    /**
     * From here on reads see one state of the store: until it is about to change, or until the end of this turn of the event
     * loop where something is being written. Taking a snapshot and giving it back costs about as much as a read. Not for a
     * connection that also writes, nor for work that outlives the turn.
     */
    hold: (): void => {
      if (held) return
      begin.run()
      held = true
      if (writing > 0) queueMicrotask(release)
      else age = setTimeout(release, heldMax).unref()
    },
    /**
     * Before and after each transaction of the writer. What is kept is given back before it begins, so that nobody who is told of its
     * commit reads what was before it, and so that the log may begin anew.
     */
    beforeWrite: (): void => {
      writing += 1
      release()
    },
    afterWrite: (): void => {
      writing -= 1
    },
    release
  }
}

export type Snapshots = ReturnType<typeof make>
