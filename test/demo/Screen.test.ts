import { assert, describe, it } from "@effect/vitest"
import { make } from "../../src/demo/Screen.ts"

/** A screen over a pretended terminal of so many columns, or over a pipe; everything that is written, in order. */
const screenOf = (options: { readonly columns?: number }) => {
  const written: Array<string> = []
  const clock = { now: 0 }
  const isTerminal = options.columns !== undefined
  const write = (line: string) => void written.push(line)
  const screen = make(
    { write, writeSync: write, dropped: () => 0, pending: () => 0, isTerminal },
    { isTTY: isTerminal, ...options, write },
    () => clock.now
  )
  return { screen, written, clock }
}

describe("Screen, on a terminal", () => {
  it("replaces the changing line, and takes it away for one that stays", () => {
    const { screen, written } = screenOf({ columns: 80 })
    screen.status("one")
    screen.status("two")
    screen.line("stays")
    screen.line("stays too")
    assert.deepStrictEqual(written, ["\r\u001b[Kone\r", "\r\u001b[Ktwo\r", "\r\u001b[K", "stays", "stays too"])
  })

  it("makes room for whoever else writes", () => {
    const { screen, written } = screenOf({ columns: 80 })
    screen.live("one")
    screen.output.write("a log line")
    assert.deepStrictEqual(written, ["\r\u001b[Kone\r", "\r\u001b[K", "a log line"])
  })

  it("never wraps, even on a terminal that does not know its width", () => {
    const narrow = screenOf({ columns: 5 })
    narrow.screen.status("123456")
    assert.deepStrictEqual(narrow.written, ["\r\u001b[K1234\r"])
    const unknown = screenOf({ columns: 0 })
    unknown.screen.status("x".repeat(100))
    assert.deepStrictEqual(unknown.written, [`\r\u001b[K${"x".repeat(79)}\r`])
  })
})

describe("Screen, where nobody watches", () => {
  it("writes plain lines, one every two seconds, and nothing that only lives", () => {
    const { clock, screen, written } = screenOf({})
    screen.status("first")
    clock.now = 1999
    screen.status("too soon")
    clock.now = 2000
    screen.status("second")
    screen.live("unseen")
    screen.clear()
    screen.line("stays")
    assert.deepStrictEqual(written, ["first", "second", "stays"])
  })
})
