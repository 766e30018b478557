import { assert, describe, it } from "@effect/vitest"
import { EventEmitter } from "node:events"
import { Duplex } from "node:stream"
import { WsClientSocket } from "../../../src/websocket/client/ClientSocket.ts"
import { type CopiedFrame, Flusher, FrameRun, SharedFrame } from "../../../src/websocket/client/Frames.ts"

/** A frame by RFC 6455 §5.2: final, text, unmasked, its length in as few bytes as it takes. */
const framed = (text: string): Buffer => {
  const payload = Buffer.from(text)
  const length = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff]
  return Buffer.concat([Buffer.from([0x81, ...length]), payload])
}

const wireOf = (flusher: Flusher, frames: ReadonlyArray<CopiedFrame>): Buffer => {
  const expected = Buffer.concat(frames.map((frame) => framed(typeof frame === "string" ? frame : frame.text)))
  const wire = flusher.wireOf(frames, expected.length)
  assert.deepStrictEqual(wire, expected)
  return wire
}

describe("WsClientSocket", () => {
  it("writes a run from where it lies, in its place among other frames, and says when it is written", async () => {
    const chunks: Array<Buffer> = []
    let calls = 0
    const stream = new Duplex({
      read: () => {},
      writev: (written, callback) => {
        calls++
        for (const { chunk } of written) chunks.push(chunk as Buffer)
        callback()
      }
    })
    const ws = Object.assign(new EventEmitter(), { readyState: 1, pause: () => {}, resume: () => {} })
    const socket = new WsClientSocket(ws as never, stream, new Flusher())
    const memory = new Uint8Array(framed("run"))
    await new Promise<void>((resolve) => {
      socket.send("first")
      socket.send(new SharedFrame("second"))
      socket.send(new FrameRun(memory, resolve))
      socket.send("last")
      assert.strictEqual(socket.waiting(), 7 + 8 + 5 + 6)
    })
    assert.deepStrictEqual(Buffer.concat(chunks), Buffer.concat(["first", "second", "run", "last"].map(framed)))
    assert.isTrue(chunks.some(({ buffer }) => buffer === memory.buffer), "it is not copied")
    assert.strictEqual(calls, 1, "all by one system call")
  })

  it("lets go of runs that are never written, when the socket ends and after it did", () => {
    const stream = new Duplex({ read: () => {}, write: () => {} })
    const ws = Object.assign(new EventEmitter(), { readyState: 1, pause: () => {}, resume: () => {} })
    const socket = new WsClientSocket(ws as never, stream, new Flusher())
    socket.listen({ closed: () => {} } as never)
    let gone = 0
    const run = () => new FrameRun(new Uint8Array(framed("run")), () => void gone++)
    socket.send(run())
    assert.strictEqual(gone, 0)
    ws.readyState = 3
    ws.emit("close", 1006)
    assert.strictEqual(gone, 1)
    socket.send(run())
    assert.strictEqual(gone, 2)
  })
})

describe("Flusher", () => {
  const a = new SharedFrame("[\"EVENT\",\"é\"]")
  const b = new SharedFrame(`["EVENT","${"b".repeat(200)}"]`)

  it("puts frames of all forms one after the other", () => {
    wireOf(new Flusher(), [a, "[\"EOSE\",\"日本\"]", b])
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
