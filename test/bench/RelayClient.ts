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

export class RelayClient {
  readonly #stream: Socket
  #rest: Buffer | undefined
  #closeCode = 1006
  listener: Listener = { message: () => {} }

  constructor(stream: Socket) {
    this.#stream = stream
    stream.on("data", (chunk: Buffer) => this.#read(chunk))
    stream.on("error", () => {})
    stream.on("close", () => this.listener.closed?.(this.#closeCode))
  }

  write(frames: Buffer): void {
    this.#stream.write(frames)
  }

  end(): void {
    this.#stream.destroy()
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    this.#rest = undefined
    let at = 0
    while (at + 2 <= bytes.length) {
      const short = (bytes[at + 1] as number) & 0x7f
      const header = short < 126 ? 2 : short === 126 ? 4 : 10
      if (at + header > bytes.length) break
      const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : bytes.readUInt32BE(at + 6)
      const start = at + header
      const end = start + length
      if (end > bytes.length) break
      this.#frame((bytes[at] as number) & 0x0f, bytes, start, end)
      at = end
    }
    // A copy, so that a few bytes do not keep a whole chunk.
    if (at < bytes.length) this.#rest = Buffer.from(bytes.subarray(at))
    this.listener.turn?.()
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
      const stream = connectTcp({ host: hostname, port: Number(port) || 80, noDelay: true })
      const fail = (detail: string) => {
        stream.destroy()
        resume(Effect.fail(new RelayFailed({ detail: `${url}: ${detail}` })))
      }
      stream.once("error", (error) => fail(error.message))
      stream.once("connect", () =>
        stream.write([
          `GET ${pathname} HTTP/1.1`,
          `Host: ${host}`,
          "Upgrade: websocket",
          "Connection: Upgrade",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
          "Sec-WebSocket-Version: 13",
          "",
          ""
        ].join("\r\n")))
      stream.once("data", (head: Buffer) => {
        const answer = head.toString("latin1")
        const end = answer.indexOf("\r\n\r\n")
        if (!answer.startsWith("HTTP/1.1 101") || end < 0) return fail(answer.slice(0, 40))
        stream.removeAllListeners("error")
        const client = new RelayClient(stream)
        // A greeting may have come with the handshake's answer.
        if (head.length > end + 4) stream.unshift(head.subarray(end + 4))
        resume(Effect.succeed(client))
      })
    }),
    (client) => Effect.sync(() => client.end())
  )

/** Several connections, opened a few at a time, as a listener's backlog is short. */
export const connectMany = (url: string, count: number) =>
  Effect.forEach(Array.from({ length: count }), () => connect(url), { concurrency: 64 })
