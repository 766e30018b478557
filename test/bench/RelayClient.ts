/**
 * A Nostr client that costs its machine as little as it can, since the relay under test shares it: frames are masked
 * before the clock starts, and answers are told apart by a few bytes instead of being parsed.
 */
import { Effect, Schema, type Scope } from "effect"
import { connect as connectTcp, type Socket } from "node:net"

/** The relay could not be reached, ended the connection, or answered what a benchmark has no use for. */
export class RelayFailed extends Schema.TaggedError<RelayFailed>()("RelayFailed", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

/** RFC 6455 §5.3. Not zero, which some servers do not bother to undo. */
const mask = [0x37, 0xfa, 0x21, 0x3d] as const

/** A masked, final frame. */
const frameOf = (opcode: number, payload: Buffer): Buffer => {
  const extended = payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8
  const frame = Buffer.allocUnsafe(6 + extended + payload.length)
  frame[0] = 0x80 | opcode
  frame[1] = 0x80 | (extended === 0 ? payload.length : extended === 2 ? 126 : 127)
  if (extended === 2) frame.writeUInt16BE(payload.length, 2)
  if (extended === 8) frame.writeBigUInt64BE(BigInt(payload.length), 2)
  const start = 6 + extended
  for (let i = 0; i < 4; i++) frame[start - 4 + i] = mask[i] as number
  for (let i = 0; i < payload.length; i++) frame[start + i] = (payload[i] as number) ^ (mask[i & 3] as number)
  return frame
}

/** A text message, ready to be written. */
export const message = (text: string): Buffer => frameOf(1, Buffer.from(text))
export const eventMessage = (raw: string): Buffer => message(`["EVENT",${raw}]`)
export const reqMessage = (subscription: string, filter: object): Buffer =>
  message(JSON.stringify(["REQ", subscription, filter]))
export const countMessage = (subscription: string, filter: object): Buffer =>
  message(JSON.stringify(["COUNT", subscription, filter]))

/** What a relay says, by the bytes that differ. */
export type Verb = "EVENT" | "EOSE" | "OK" | "CLOSED" | "COUNT" | "NOTICE" | "other"

const verbOf = (bytes: Buffer, at: number): Verb => {
  // `["OK"`, `["EVENT"`, `["EOSE"`, `["CLOSED"`, `["NOTICE"`
  switch (bytes[at + 2]) {
    case 0x4f:
      return "OK"
    case 0x45:
      return bytes[at + 3] === 0x56 ? "EVENT" : "EOSE"
    case 0x43:
      return bytes[at + 3] === 0x4c ? "CLOSED" : "COUNT"
    case 0x4e:
      return "NOTICE"
    default:
      return "other"
  }
}

export interface Listener {
  /** One text message: `bytes` from `start` to `end`, which are only good during the call. */
  readonly message: (verb: Verb, bytes: Buffer, start: number, end: number) => void
  /** All messages of one chunk have been given. */
  readonly turn?: () => void
  readonly closed?: (code: number) => void
}

/**
 * What all sockets read into, one after the other: a chunk, and before it room for what its client has left of the last
 * one, so that a message is always in one piece. A buffer for each chunk is garbage that costs more than reading it.
 */
const room = 1_048_576
const arena = Buffer.allocUnsafeSlow(room + 262_144)

export class RelayClient {
  readonly #stream: Socket
  /** The beginning of a message of which the rest is still to come. */
  #rest: Buffer | undefined
  #closeCode = 1006
  /** Takes what comes before the first frame, and says how much of it is not one; undefined once it has. */
  #greeting: ((answer: Buffer) => number) | undefined
  listener: Listener = { message: () => {} }

  /** `greeting` is called until it says that the handshake's answer is complete. */
  constructor(address: { readonly host: string; readonly port: number }, greeting: (answer: Buffer) => number) {
    this.#greeting = greeting
    this.#stream = connectTcp({
      ...address,
      noDelay: true,
      onread: { buffer: arena.subarray(room), callback: (length) => this.#read(length) }
    })
    this.#stream.on("error", () => {})
    this.#stream.on("close", () => this.listener.closed?.(this.#closeCode))
  }

  get stream(): Socket {
    return this.#stream
  }

  write(frames: Buffer | string): void {
    this.#stream.write(frames)
  }

  end(): void {
    this.#stream.destroy()
  }

  /** `length` more bytes are in the arena. */
  #read(length: number): boolean {
    let at = room - (this.#rest?.length ?? 0)
    if (at < 0) throw new Error(`a message of more than ${room} bytes`)
    this.#rest?.copy(arena, at)
    const until = room + length
    if (this.#greeting !== undefined) {
      const taken = this.#greeting(arena.subarray(at, until))
      if (taken > 0) this.#greeting = undefined
      at += taken
    }
    if (this.#greeting === undefined) at = this.#frames(at, until)
    this.#rest = at < until ? Buffer.from(arena.subarray(at, until)) : undefined
    this.listener.turn?.()
    return true
  }

  /** The whole frames of these bytes; says where the first one begins that is not whole. */
  #frames(from: number, until: number): number {
    let at = from
    while (at + 2 <= until) {
      const short = (arena[at + 1] as number) & 0x7f
      const header = short < 126 ? 2 : short === 126 ? 4 : 10
      if (at + header > until) break
      const length = short < 126 ? short : short === 126 ? arena.readUInt16BE(at + 2) : arena.readUInt32BE(at + 6)
      const start = at + header
      const end = start + length
      if (end > until) break
      this.#frame((arena[at] as number) & 0x0f, arena, start, end)
      at = end
    }
    return at
  }

  #frame(opcode: number, bytes: Buffer, start: number, end: number): void {
    if (opcode === 1) return this.listener.message(verbOf(bytes, start), bytes, start, end)
    if (opcode === 9) return this.write(frameOf(10, bytes.subarray(start, end)))
    if (opcode !== 8) return
    if (end - start >= 2) this.#closeCode = bytes.readUInt16BE(start)
    this.#stream.end(frameOf(8, bytes.subarray(start, end)))
  }
}

/** Opens a connection; closed with the scope. */
export const connect = (url: string): Effect.Effect<RelayClient, RelayFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<RelayClient, RelayFailed>((resume) => {
      const { host, hostname, pathname, port } = new URL(url)
      const fail = (detail: string): number => {
        client.end()
        resume(Effect.fail(new RelayFailed({ detail: `${url}: ${detail}` })))
        return 0
      }
      const client = new RelayClient({ host: hostname, port: Number(port) || 80 }, (bytes) => {
        const answer = bytes.toString("latin1")
        const end = answer.indexOf("\r\n\r\n")
        if (end < 0) return 0
        if (!answer.startsWith("HTTP/1.1 101")) return fail(answer.slice(0, 40))
        client.stream.off("error", refused)
        resume(Effect.succeed(client))
        return end + 4
      })
      const refused = (error: Error) => void fail(error.message)
      client.stream.once("error", refused)
      client.stream.once("close", () => fail("closed before it was open"))
      client.write([
        `GET ${pathname} HTTP/1.1`,
        `Host: ${host}`,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "",
        ""
      ].join("\r\n"))
    }),
    (client) => Effect.sync(() => client.end())
  )

/** Several connections, opened a few at a time, as a listener's backlog is short. */
export const connectMany = (url: string, count: number) =>
  Effect.forEach(Array.from({ length: count }), () => connect(url), { concurrency: 64 })
