/**
 * Room that is kept for the next start: a file beside the database that is given up when the disk is full.
 *
 * SQLite needs a file of shared memory to read a database with a log, and removes it at the end. Where others have taken its
 * place on a full disk meanwhile, nothing could be read; with what the reserve gives back, it can.
 */
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { constants } from "node:os"
import { dirname } from "node:path"
import type { Space } from "../Room.ts"

/** Bytes: eight times what the shared memory of a log takes that is not large. */
const reserveBytes = 262_144
/** Room that a start needs without it. */
const startBytes = 1_048_576
/** More than one write of SQLite asks for. */
const probeBytes = 65_536

const reserveOf = (path: string): string => `${path}.reserve`

/** On the disk of the file of that path, for who is not root; undefined where nobody says. */
export const spaceAt = (path: string): Space | undefined => {
  try {
    const { bavail, blocks, bsize } = fs.statfsSync(dirname(path))
    return { free: bavail * bsize, total: blocks * bsize }
  } catch {
    return undefined
  }
}

/** What a write says where a disk is full, or a quota used up, for which `node:fs` has no name and `spaceAt` no eyes. */
const withoutRoom: ReadonlySet<unknown> = new Set([-constants.errno.ENOSPC, -constants.errno.EDQUOT])

/** Is there no room for a few pages now? Finds out by a write beside the file, and takes it back. */
export const isCramped = (path: string): boolean => {
  const probe = `${path}.probe`
  try {
    fs.writeFileSync(probe, randomBytes(probeBytes), { mode: 0o600 })
    return false
  } catch (error) {
    return withoutRoom.has((error as NodeJS.ErrnoException).errno)
  } finally {
    fs.rmSync(probe, { force: true })
  }
}

/** Makes room for a start where there is little. */
export const giveUp = (path: string): void => {
  const space = spaceAt(path)
  if ((space !== undefined && space.free < startBytes) || isCramped(path)) fs.rmSync(reserveOf(path), { force: true })
}

/** Takes back what there is of it: all, or what a full disk has left. */
export const keep = (path: string): void => {
  const kept = fs.statSync(reserveOf(path), { throwIfNoEntry: false })?.size ?? 0
  if (kept >= reserveBytes) return
  try {
    // By chance, as zeros take no room where a file system compresses.
    fs.writeFileSync(reserveOf(path), randomBytes(reserveBytes - kept), { flag: "a", mode: 0o600 })
  } catch {
    // What was written of it stays.
  }
}
