/**
 * Is the file that was opened still the one that its name leads to?
 *
 * A file that was removed or replaced by another can be written to and synced for as long as it is open, and is gone after
 * that. So whoever is told that something is on disk is told so after a look: three calls of `stat`, a few microseconds beside
 * a sync. Never an open, as a close would drop SQLite's locks (`InodeLock.ts`).
 */
import { find, type Inode, isSame } from "./InodeLock.ts"

/** A database file that is held, as plain data that goes to another thread. */
export interface WatchedFile {
  /** What the operator calls it. */
  readonly named: string
  /** Where it is, symbolic links followed: its log is beside it there. */
  readonly path: string
  readonly inode: Inode
}

/** What has become of the database file itself; undefined where it is in its place. */
export const displacementOf = ({ inode, named }: WatchedFile): string | undefined => {
  const found = find(named)
  if (isSame(inode, found)) return undefined
  return `${named} was ${found === undefined ? "removed" : "replaced by another file"} while it was in use`
}

/** The look for whoever writes, at the log as well: SQLite makes it when the file is first read, and keeps it until it closes. */
export const make = (file: WatchedFile): () => void => {
  const beside = [`${file.path}-wal`, `${file.path}-shm`].map((path) => ({ path, inode: find(path) }))
  return () => {
    const displacement = displacementOf(file)
    if (displacement !== undefined) throw new Error(displacement)
    for (const { inode, path } of beside) {
      if (!isSame(inode, find(path))) throw new Error(`${path} was removed or replaced while it was in use`)
    }
  }
}
