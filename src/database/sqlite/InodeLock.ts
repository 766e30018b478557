/**
 * A lock on the database file itself, whatever it is called: hard links, bind mounts and symbolic links lead to one inode,
 * and a lock file beside one of its names does not keep out who comes by another.
 *
 * It is the kernel's own for open files (`F_OFD_SETLK`, fcntl(2)): of whoever opened the file, given back when the process
 * dies, and seen by other containers. It covers one byte far beyond those that SQLite locks, so readers and foreign programs
 * are not hindered. SQLite's own locks belong to the process and are dropped by any close of the file in it, so this file is
 * opened once, before SQLite opens it, and closed after SQLite has.
 *
 * Node has no such call, so it is made through `koffi`. Where that does not work, there is no such lock.
 */
import * as fs from "node:fs"
import { messageOf } from "../../observability/messageOf.ts"

/** Which file it is, as long as it exists; numbers of some file systems are too large for a double. */
export interface Inode {
  readonly dev: bigint
  readonly ino: bigint
}

export const isSame = (one: Inode | undefined, other: Inode | undefined): boolean =>
  one !== undefined && one.dev === other?.dev && one.ino === other.ino

export interface Held {
  readonly _tag: "Held"
  readonly inode: Inode
  /** Why there is no lock, where the platform has none. */
  readonly unlocked: string | undefined
  readonly release: () => void
}
export type Taken = Held | { readonly _tag: "InUse" }

/** Locks or looks: 0, or the error's number. */
type Control = (file: number, command: "set" | "get") => { readonly errno: number; readonly isFree: boolean }

/** What there is to lock with, or why there is nothing. */
export type Locks = { readonly control: Control } | { readonly unlocked: string }

/** Beyond any file, and beyond the bytes that SQLite locks, which begin at 2^30. */
const lockedByte = 2 ** 52

/** asm-generic/fcntl.h; the same for every architecture of 64 bits that Node runs on. */
const commands = { get: 36, set: 37 } as const
const lockTypes = { read: 0, write: 1, none: 2 } as const
const architectures: ReadonlySet<string> = new Set(["x64", "arm64", "riscv64", "loong64", "ppc64", "s390x"])
/** `EAGAIN` and `EACCES`: somebody has it. */
const takenErrors: ReadonlySet<number> = new Set([11, 13])

/** Loads what locks files; takes some 10 ms. */
export const load = async (): Promise<Locks> => {
  if (process.platform !== "linux" || !architectures.has(process.arch)) {
    return { unlocked: `there are no locks of open files on ${process.platform} ${process.arch}` }
  }
  try {
    const { default: koffi } = await import("koffi")
    const flock = koffi.struct({
      l_type: "int16",
      l_whence: "int16",
      l_start: "int64",
      l_len: "int64",
      l_pid: "int32"
    })
    const argument = koffi.inout(koffi.pointer(flock))
    const fcntl = koffi.load(null).func("fcntl", "int", ["int", "int", "..."])
    return {
      control: (file, command) => {
        const lock: { l_type: number } & Record<string, number> = {
          l_type: command === "set" ? lockTypes.write : lockTypes.read,
          l_whence: 0,
          l_start: lockedByte,
          l_len: 1,
          l_pid: 0
        }
        const isDone = fcntl(file, commands[command], argument, lock) === 0
        return { errno: isDone ? 0 : koffi.errno(), isFree: lock.l_type === lockTypes.none }
      }
    }
  } catch (error) {
    return { unlocked: `koffi cannot be used: ${messageOf(error)}` }
  }
}

/** Files that this process holds: a second open and close of one would drop the locks that SQLite has on it. */
const own = new Set<string>()

const nameOf = ({ dev, ino }: Inode) => `${dev}:${ino}`

const inodeOf = ({ dev, ino }: fs.BigIntStats): Inode => ({ dev, ino })

/** The file of that name now, without opening it; undefined for none. */
export const find = (path: string): Inode | undefined => {
  const stat = fs.statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? undefined : inodeOf(stat)
}

/** Takes the lock of an existing file. Throws what `node:fs` throws when it cannot be opened for writing. */
export const take = (path: string, locks: Locks): Taken => {
  const named = find(path)
  if (named !== undefined && own.has(nameOf(named))) return { _tag: "InUse" }
  const file = fs.openSync(path, "r+")
  const inode = inodeOf(fs.fstatSync(file, { bigint: true }))
  const { errno } = "control" in locks ? locks.control(file, "set") : { errno: 0 }
  if (takenErrors.has(errno)) {
    fs.closeSync(file)
    return { _tag: "InUse" }
  }
  const name = nameOf(inode)
  own.add(name)
  return {
    _tag: "Held",
    inode,
    unlocked: "control" in locks
      ? errno === 0 ? undefined : `its file system has none (error ${errno})`
      : locks.unlocked,
    release: () => {
      own.delete(name)
      fs.closeSync(file)
    }
  }
}

/** Has another process the lock of this file? Only for a process that has no connection to it. */
export const isTaken = (path: string, locks: Locks): boolean => {
  if (!("control" in locks)) return false
  const file = fs.openSync(path, "r")
  try {
    const { errno, isFree } = locks.control(file, "get")
    return errno === 0 && !isFree
  } finally {
    fs.closeSync(file)
  }
}
