import { assert, describe, it } from "@effect/vitest"
import { Flusher, type Frame, SharedFrame, StoredFrame } from "../../src/websocket/ClientSocket.ts"

/** A frame by RFC 6455 §5.2: final, text, unmasked, its length in as few bytes as it takes. */
const framed = (text: string): Buffer => {
  const payload = Buffer.from(text)
  const length = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff]
  return Buffer.concat([Buffer.from([0x81, ...length]), payload])
}

const wireOf = (flusher: Flusher, frames: ReadonlyArray<Frame>): Buffer => {
  const expected = Buffer.concat(frames.map((frame) => framed(typeof frame === "string" ? frame : frame.text)))
  const wire = flusher.wireOf(frames, expected.length)
  assert.deepStrictEqual(wire, expected)
  return wire
}

describe("Flusher", () => {
  const a = new SharedFrame("[\"EVENT\",\"é\"]")
  const b = new SharedFrame(`["EVENT","${"b".repeat(200)}"]`)

  it("puts frames of all forms one after the other", () => {
    const stored = new StoredFrame(Buffer.from("[\"EVENT\",\"q\","), Buffer.from("{\"content\":\"日本\"}"))
    wireOf(new Flusher(), [a, "[\"EOSE\",\"q\"]", stored, b])
  })

  it("writes the same bytes to all who have the same to be told", () => {
    const flusher = new Flusher()
    assert.strictEqual(wireOf(flusher, [a, b]), wireOf(flusher, [a, b]))
  })

  it("writes other bytes where a frame, their order or their number differs", () => {
    const flusher = new Flusher()
    for (const frames of [[a, b], [b, a], [b, b], [a, b, a], [a, b, "[]"], [a, "[]"]]) wireOf(flusher, frames)
  })

  it("keeps no bytes beyond the turn in which they were written", async () => {
    const flusher = new Flusher()
    const before = wireOf(flusher, [a, b])
    await new Promise<void>((resolve) => flusher.add({ flush: resolve }))
    await Promise.resolve()
    assert.notStrictEqual(wireOf(flusher, [a, b]), before)
  })
})
