/** What is wrong on the wire, byte by byte, over raw TCP (RFC 6455). */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { createConnection, type Socket } from "node:net"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { relay } from "./support/relay.ts"
import { connect } from "./support/TestClient.ts"

interface Frame {
  readonly opcode: number
  readonly payload?: Buffer | string
  readonly fin?: boolean
  /** The three reserved bits, 0 to 7. */
  readonly reserved?: number
  readonly masked?: boolean
  /** What the header says, whatever follows. */
  readonly declared?: bigint
}

/** Bytes of a frame as a client sends it, masked with 1, 2, 3, 4 (§5.2, §5.3). */
const bytesOf = ({ declared, fin = true, masked = true, opcode, payload = "", reserved = 0 }: Frame): Buffer => {
  const body = Buffer.from(payload)
  const length = declared ?? BigInt(body.length)
  const mask = Buffer.from([1, 2, 3, 4])
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode
  const bit = masked ? 0x80 : 0
  const head = Buffer.alloc(length < 126n ? 2 : length < 65_536n ? 4 : 10)
  head[0] = first
  head[1] = bit | (length < 126n ? Number(length) : length < 65_536n ? 126 : 127)
  if (head.length === 4) head.writeUInt16BE(Number(length), 2)
  if (head.length === 10) head.writeBigUInt64BE(length, 2)
  return masked
    ? Buffer.concat([head, mask, body.map((byte, i) => byte ^ (mask[i % 4] ?? 0))])
    : Buffer.concat([head, body])
}

const handshake =
  "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"

interface Wire {
  readonly write: (...frames: ReadonlyArray<Frame>) => void
  readonly socket: Socket
  /** Status line and headers of the handshake's answer. */
  readonly head: string
  /** Frames from the relay so far: it sends none of 64 KiB here. */
  readonly frames: () => ReadonlyArray<{ readonly opcode: number; readonly payload: Buffer }>
  readonly until: <A>(look: () => A | undefined) => Effect.Effect<A>
}

const framesOf = (bytes: Buffer): ReadonlyArray<{ readonly opcode: number; readonly payload: Buffer }> => {
  const frames: Array<{ readonly opcode: number; readonly payload: Buffer }> = []
  for (let at = 0; at + 2 <= bytes.length;) {
    const short = (bytes[at + 1] ?? 0) & 0x7f
    const start = at + (short === 126 ? 4 : 2)
    const length = short === 126 ? bytes.readUInt16BE(at + 2) : short
    if (start + length > bytes.length) break
    frames.push({ opcode: (bytes[at] ?? 0) & 0x0f, payload: bytes.subarray(start, start + length) })
    at = start + length
  }
  return frames
}

/** An upgraded connection of bare bytes. */
const dial = Effect.fnUntraced(function*(): Effect.fn.Return<Wire, never, RelayAddress | Scope.Scope> {
  const { port } = yield* RelayAddress
  const chunks: Array<Buffer> = []
  const onChange = new Set<() => void>()
  const socket = yield* Effect.acquireRelease(
    Effect.sync(() => createConnection({ port, host: "127.0.0.1" })),
    (socket) => Effect.sync(() => socket.destroy())
  )
  socket.on("error", () => {})
  for (const event of ["data", "end", "close"]) {
    socket.on(event, (chunk: unknown) => {
      if (Buffer.isBuffer(chunk)) chunks.push(chunk)
      for (const look of onChange) look()
    })
  }
  const until: Wire["until"] = (look) =>
    Effect.callback((resume) => {
      const again = () => {
        const found = look()
        if (found === undefined) return
        onChange.delete(again)
        resume(Effect.succeed(found))
      }
      onChange.add(again)
      again()
      return Effect.sync(() => onChange.delete(again))
    })
  const received = () => Buffer.concat(chunks)
  socket.write(handshake)
  const end = yield* until(() => {
    const at = received().indexOf("\r\n\r\n")
    return at < 0 ? undefined : at + 4
  })
  return {
    socket,
    until,
    head: received().toString("latin1", 0, end),
    frames: () => framesOf(received().subarray(end)),
    write: (...frames) => void socket.write(Buffer.concat(frames.map(bytesOf)))
  }
})

/** The code of the Close frame that comes (§5.5.1). */
const closeCode = (wire: Wire) =>
  wire.until(() => wire.frames().find(({ opcode }) => opcode === 8)?.payload.readUInt16BE(0))

const text = (payload: Buffer | string, rest: Partial<Frame> = {}): Frame => ({ opcode: 1, payload, ...rest })
const more = (payload: Buffer | string, fin = false): Frame => ({ opcode: 0, payload, fin })
const close = (code: number, reason: Buffer | string = ""): Frame => {
  const head = Buffer.alloc(2)
  head.writeUInt16BE(code)
  return { opcode: 8, payload: Buffer.concat([head, Buffer.from(reason)]) }
}

/** Answered by a NOTICE, so it was read as a message. */
const hello = "é 🐢"

const frameBytesMax = 65_536

layer(relay({ limits: { frameBytesMax } }), { excludeTestServices: true })("RFC 6455", (it) => {
  const cases: ReadonlyArray<readonly [name: string, code: number, frames: ReadonlyArray<Frame>]> = [
    ["a message one byte too long", 1009, [text("x".repeat(frameBytesMax + 1))]],
    ["fragments that are too long together", 1009, [text("x".repeat(frameBytesMax), { fin: false }), more("x", true)]],
    ["a frame that declares 1 GiB", 1009, [text("", { declared: 2n ** 30n })]],
    ["a frame that declares 2^63 bytes", 1009, [text("", { declared: 2n ** 63n })]],
    ...[1, 2, 4, 7].map((reserved) => [`reserved bits ${reserved}`, 1002, [text("x", { reserved })]] as const),
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => [`opcode ${opcode}`, 1002, [{ opcode }]] as const),
    ["a frame without a mask", 1002, [text("x", { masked: false })]],
    ["a ping in fragments", 1002, [{ opcode: 9, fin: false }]],
    ["a ping of 126 bytes", 1002, [{ opcode: 9, payload: "x".repeat(126) }]],
    ["a continuation of nothing", 1002, [more("x", true)]],
    ["a message within a message", 1002, [text("x", { fin: false }), text("y")]],
    ["a Close frame of one byte", 1002, [{ opcode: 8, payload: "x" }]],
    ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000].map((code) => [`close code ${code}`, 1002, [close(code)]] as const),
    ["a reason that is not UTF-8", 1007, [close(1000, Buffer.from([0xc3, 0x28]))]],
    ["a byte that is not UTF-8", 1007, [text(Buffer.from([0xc3, 0x28]))]],
    ["a surrogate in UTF-8", 1007, [text(Buffer.from([0xed, 0xa0, 0x80]))]],
    ["an overlong slash", 1007, [text(Buffer.from([0xc0, 0xaf]))]],
    ["a character beyond Unicode", 1007, [text(Buffer.from([0xf4, 0x90, 0x80, 0x80]))]],
    ["a character that is cut off", 1007, [text(Buffer.from(hello).subarray(0, -1))]],
    ["10,000 fragments", 1008, [text("x", { fin: false }), ...Array.from({ length: 10_000 }, () => more("x"))]],
    ["10,000 empty fragments", 1008, [text("x", { fin: false }), ...Array.from({ length: 10_000 }, () => more(""))]],
    ["a binary message", 1003, [{ opcode: 2, payload: "x" }]]
  ]

  describe("closing codes (§7.4; faults 24 to 27)", () => {
    for (const [name, code, frames] of cases) {
      it.effect(`71. closes with ${code} at ${name}`, () =>
        Effect.gen(function*() {
          const wire = yield* dial()
          wire.write(...frames)
          assert.strictEqual(yield* closeCode(wire), code)
        }))
    }

    it.effect("answers a Close frame with its code", () =>
      Effect.gen(function*() {
        for (const code of [1000, 1001, 3000, 4999]) {
          const wire = yield* dial()
          wire.write(close(code, "bye"))
          assert.strictEqual(yield* closeCode(wire), code)
        }
      }))
  })

  describe("fragments (§5.4)", () => {
    const bytes = Buffer.from(hello)
    for (
      const [name, frames] of Object.entries({
        "whole": [text(bytes)],
        "cut in the middle of a character": [text(bytes.subarray(0, 1), { fin: false }), more(bytes.subarray(1), true)],
        "byte by byte": [
          text("", { fin: false }),
          ...Array.from(bytes, (byte) => more(Buffer.from([byte]))),
          more("", true)
        ],
        "with a ping in between": [
          text(bytes.subarray(0, 1), { fin: false }),
          { opcode: 9 },
          more(bytes.subarray(1), true)
        ]
      })
    ) {
      it.effect(`reads a message that comes ${name}`, () =>
        Effect.gen(function*() {
          const wire = yield* dial()
          wire.write(...frames)
          const notice = yield* wire.until(() => wire.frames().find(({ payload }) => payload.includes("NOTICE")))
          assert.strictEqual(notice.opcode, 1)
        }))
    }

    it.effect("reads a message that comes one byte of TCP at a time", () =>
      Effect.gen(function*() {
        const wire = yield* dial()
        wire.socket.setNoDelay(true)
        for (const byte of bytesOf(text(hello))) {
          wire.socket.write(Buffer.from([byte]))
          yield* Effect.yieldNow
        }
        yield* wire.until(() => wire.frames().find(({ payload }) => payload.includes("NOTICE")))
      }))
  })

  it.effect("72. answers a ping with what it said, at frame level", () =>
    Effect.gen(function*() {
      const wire = yield* dial()
      wire.write({ opcode: 9, payload: "are you there" })
      const pong = yield* wire.until(() => wire.frames().find(({ opcode }) => opcode === 10))
      assert.strictEqual(pong.payload.toString(), "are you there")
    }))

  it.effect("72. ends a connection that floods it with pings, one way or the other (fault 28)", () =>
    Effect.gen(function*() {
      // More than are answered at a time, and more than are answered at all.
      const [burst, steady] = [yield* dial(), yield* dial()]
      burst.write(...Array.from({ length: 10_000 }, () => ({ opcode: 9 })))
      yield* burst.until(() => burst.socket.destroyed || burst.socket.readableEnded ? true : undefined)
      for (let i = 1; i <= 300; i++) {
        steady.write({ opcode: 9 })
        yield* steady.until(() => steady.frames().filter(({ opcode }) => opcode === 10).length === i ? true : undefined)
      }
      steady.write({ opcode: 9 })
      assert.strictEqual(yield* closeCode(steady), 1008)
    }))

  it.effect("compresses nothing, so that there is nothing to inflate (fault 29)", () =>
    Effect.gen(function*() {
      const wire = yield* dial()
      assert.match(wire.head, /^HTTP\/1\.1 101 /u)
      assert.notMatch(wire.head, /permessage-deflate/iu)
    }))

  it.effect("allocates nothing for frames that declare 1 GiB (fault 24)", () =>
    Effect.gen(function*() {
      const before = process.memoryUsage()
      const wires = yield* Effect.forEach(Array.from({ length: 50 }), () => dial())
      for (const wire of wires) wire.write(text("x", { declared: 2n ** 30n }))
      yield* Effect.forEach(wires, closeCode)
      const after = process.memoryUsage()
      assert.isBelow(after.arrayBuffers - before.arrayBuffers, 32 * 1024 * 1024)
      assert.isBelow(after.rss - before.rss, 256 * 1024 * 1024)
    }))

  it.effect("serves others all the while", () =>
    Effect.gen(function*() {
      const client = yield* Effect.flatMap(RelayAddress, ({ url }) => connect(url))
      assert.strictEqual((yield* client.req("a", { limit: 1 })).end[0], "EOSE")
    }))
})
