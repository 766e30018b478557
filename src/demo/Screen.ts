/**
 * What a person sees of the demo: lines that stay, and at the bottom of a terminal one line that changes.
 *
 * The changing line goes to stderr, so that stdout holds whole lines and ends with the certificate. Where nobody watches,
 * it becomes a plain line every few seconds.
 */
import type { Output } from "../lifecycle/Output.ts"

export interface Screen {
  /** A line that stays. */
  readonly line: (text: string) => void
  /** Replaces the changing line. */
  readonly status: (text: string) => void
  /** Takes the changing line away, until there is another. */
  readonly clear: () => void
  /** The same as `status`, for what is only worth seeing as it happens: nothing where nobody watches. */
  readonly live: (text: string) => void
  /** The process's output, for everybody else who writes: the changing line makes room. */
  readonly output: Output
}

/** The part of a terminal's stream that is used. */
export interface Terminal {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly write: (text: string) => unknown
}

/** Milliseconds between two plain lines. */
const plainEvery = 2000

/** What a terminal of no stated width is taken for. */
const columnsUnknown = 80

/** `now`: monotonic milliseconds. */
export const make = (output: Output, terminal: Terminal, now: () => number): Screen => {
  const isLive = output.isTerminal && terminal.isTTY === true
  let shown = false
  let saidAt = Number.NEGATIVE_INFINITY

  const clear = () => {
    if (shown) terminal.write("\r\u001b[K")
    shown = false
  }
  const write = (line: string) => {
    clear()
    output.write(line)
  }
  const live = (text: string) => {
    if (!isLive) return
    // The cursor returns, so that a line that is written past us covers the text instead of following it.
    terminal.write(`\r\u001b[K${text.slice(0, (terminal.columns || columnsUnknown) - 1)}\r`)
    shown = true
  }
  const plain = (text: string) => {
    if (isLive || now() - saidAt < plainEvery) return
    saidAt = now()
    output.write(text)
  }
  return {
    line: write,
    clear,
    live,
    status: (text) => {
      live(text)
      plain(text)
    },
    output: { ...output, write }
  }
}
