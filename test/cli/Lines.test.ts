import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { LineSplitter } from "../../src/cli/Lines.ts"

/** Lines of the text when it comes in pieces of this many bytes. */
const split = (text: string | Buffer, piece: number, bytesMax = 64) => {
  const bytes = Buffer.from(text)
  const splitter = new LineSplitter(bytesMax)
  const lines = []
  for (let at = 0; at < bytes.length; at += piece) lines.push(...splitter.push(bytes.subarray(at, at + piece)))
  return [...lines, ...splitter.end()]
}

const plain = (lines: ReturnType<typeof split>) => lines.map(({ number, problem, text }) => [number, text ?? problem])

describe("LineSplitter", () => {
  it("numbers lines, leaves out blank ones, and takes a last one without a newline", () => {
    for (const piece of [1, 2, 3, 100]) {
      assert.deepStrictEqual(plain(split("a\n\n  \nbé\r\nlast", piece)), [[1, "a"], [4, "bé\r"], [5, "last"]])
    }
  })

  it("an empty input has no lines, and neither has a lone newline", () => {
    assert.deepStrictEqual([split("", 1), split("\n", 1)], [[], []])
  })

  it("keeps a line of the most bytes, and names one of a byte more", () => {
    const long = "x".repeat(64)
    for (const piece of [1, 7, 1000]) {
      assert.deepStrictEqual(plain(split(`${long}\n${long}y\nz`, piece)), [[1, long], [2, "line is too long"], [
        3,
        "z"
      ]])
    }
  })

  it("tells bytes that are no UTF-8 from a replacement character that somebody wrote", () => {
    const bytes = Buffer.concat([Buffer.from("\ufffd\n"), Buffer.from([0xc3, 0x28, 10]), Buffer.from("é")])
    for (const piece of [1, 2, 100]) {
      assert.deepStrictEqual(plain(split(bytes, piece)), [[1, "\ufffd"], [2, "line is not UTF-8"], [3, "é"]])
    }
  })

  it.prop("agrees with splitting the whole text, however it comes in", {
    text: Schema.String,
    piece: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 }))
  }, ({ piece, text }) => {
    const whole = text.toWellFormed()
    const expected = whole.split("\n").flatMap((line, i) => line.trim() === "" ? [] : [[i + 1, line]])
    assert.deepStrictEqual(plain(split(whole, piece, 1_000_000)), expected)
  })
})
