/**
 * The process's one way to stdout: logs, lifecycle lines and the certificate, in the order in which they were said.
 *
 * A log reader is a stranger too. When it stalls, lines are dropped and counted rather than kept in memory without a
 * bound; when it goes away, the service goes on without it.
 */
import * as fs from "node:fs"
import type { WriteStream } from "node:tty"

/** Bytes that may wait for a stalled reader. */
const pendingMax = 1024 * 1024

export interface Output {
  /** Takes one line without its newline; drops it when the reader is gone or too far behind. */
  readonly write: (line: string) => void
  /** Writes one line now, without the event loop: for the last line, and for the forced path. */
  readonly writeSync: (line: string) => void
  /** Lines that were dropped. */
  readonly dropped: () => number
  /** Bytes that the reader has not taken yet. */
  readonly pending: () => number
  /** A person is reading. */
  readonly isTerminal: boolean
}

/** `fd` must be the stream's own: 1 for stdout, 2 for stderr. */
export const make = (stream: WriteStream, fd: number): Output => {
  let gone = false
  let dropped = 0
  // Without a listener, EPIPE from a reader that went away would end the process at once.
  stream.on("error", () => void (gone = true))
  return {
    write: (line) => {
      if (gone || stream.writableLength > pendingMax) dropped += 1
      else stream.write(`${line}\n`)
    },
    writeSync: (line) => {
      const bytes = Buffer.from(`${line}\n`)
      const wait = new Int32Array(new SharedArrayBuffer(4))
      if (gone) return
      // A full pipe answers EAGAIN; half a second is all that a stalled reader gets.
      for (let offset = 0, tries = 0; offset < bytes.length && tries < 50; tries += 1) {
        try {
          offset += fs.writeSync(fd, bytes, offset)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return
          Atomics.wait(wait, 0, 0, 10)
        }
      }
    },
    dropped: () => dropped,
    pending: () => stream.writableLength,
    isTerminal: stream.isTTY
  }
}
