import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import { createSocket, type Socket } from "node:dgram"
import { type Options, Resolver } from "../../src/fetch/Resolver.ts"

/** What a name server says to one question: addresses, an error code (RFC 1035, 4.1.1), or nothing. */
type Answer = ReadonlyArray<string> | "SERVFAIL" | "NXDOMAIN" | "silence"

interface NameServer {
  readonly address: string
  readonly questions: ReadonlyArray<string>
}

const codes = { SERVFAIL: 2, NXDOMAIN: 3 } as const

const uint16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff])

const bytesOf = (address: string): Buffer =>
  address.includes(":")
    ? Buffer.concat(address.split(":").map((part) => uint16(Number.parseInt(part, 16))))
    : Buffer.from(address.split(".").map(Number))

/** The question's labels, its type, and where it ends. */
const questionOf = (message: Buffer) => {
  const labels: Array<string> = []
  let at = 12
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString("latin1", at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join("."), isAaaa: message.readUInt16BE(at + 1) === 28, end: at + 5 }
}

const respond = (message: Buffer, end: number, answer: Exclude<Answer, "silence">): Buffer => {
  const addresses = typeof answer === "string" ? [] : answer.map(bytesOf)
  const flags = 0x8180 | (typeof answer === "string" ? codes[answer] : 0)
  const header = [message.subarray(0, 2), uint16(flags), uint16(1), uint16(addresses.length), uint16(0), uint16(0)]
  const records = addresses.map((data) =>
    Buffer.concat([
      uint16(0xc00c),
      uint16(data.length === 4 ? 1 : 28),
      uint16(1),
      Buffer.alloc(4),
      uint16(data.length),
      data
    ])
  )
  return Buffer.concat([...header, message.subarray(12, end), ...records])
}

/** Keys are `name A` and `name AAAA`; what is not listed has no records. */
const nameServer = (answers: Readonly<Record<string, Answer>>): Effect.Effect<NameServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const questions: Array<string> = []
    const socket = yield* Effect.acquireRelease(
      Effect.callback<Socket>((resume) => {
        const made = createSocket("udp4")
        made.bind(0, "127.0.0.1", () => resume(Effect.succeed(made)))
      }),
      (made) => Effect.sync(() => made.close())
    )
    socket.on("message", (message, from) => {
      const { end, isAaaa, name } = questionOf(message)
      const key = `${name.toLowerCase()} ${isAaaa ? "AAAA" : "A"}`
      questions.push(key)
      const answer = answers[key] ?? []
      if (answer !== "silence") socket.send(respond(message, end, answer), from.port, from.address)
    })
    return { address: `127.0.0.1:${socket.address().port}`, questions }
  })

const resolve = (server: NameServer, host: string, options: Partial<Options> = {}) =>
  Effect.flatMap(Resolver, (resolver) => resolver.resolve(host)).pipe(
    Effect.map((addresses) => addresses.join(" ")),
    Effect.catch(({ reason }) => Effect.succeed<string>(reason)),
    Effect.provide(Resolver.layerWith({ servers: [server.address], ...options }))
  )

describe("Resolver", () => {
  it.live("collects the addresses of both families", () =>
    Effect.gen(function*() {
      const server = yield* nameServer({
        "both.example A": ["93.184.216.34", "93.184.216.35"],
        "both.example AAAA": ["2606:4700:0:0:0:0:0:1111"],
        "four.example A": ["93.184.216.34"]
      })
      assert.strictEqual(yield* resolve(server, "both.example"), "2606:4700::1111 93.184.216.34 93.184.216.35")
      assert.strictEqual(yield* resolve(server, "four.example"), "93.184.216.34")
    }))

  it.live("tells a name that does not exist from a server that could not say", () =>
    Effect.gen(function*() {
      const server = yield* nameServer({
        "none.example A": "NXDOMAIN",
        "none.example AAAA": "NXDOMAIN",
        "broken.example A": "SERVFAIL",
        "broken.example AAAA": "SERVFAIL",
        "half.example A": "SERVFAIL",
        "half.example AAAA": "NXDOMAIN"
      })
      assert.strictEqual(yield* resolve(server, "none.example"), "NoSuchName")
      assert.strictEqual(yield* resolve(server, "empty.example"), "NoSuchName")
      assert.strictEqual(yield* resolve(server, "broken.example"), "Unavailable")
      assert.strictEqual(yield* resolve(server, "half.example"), "Unavailable")
      assert.strictEqual(yield* resolve(server, `${"x".repeat(300)}.example`), "NoSuchName")
    }))

  it.live("makes do with one family when the server is silent about the other", () =>
    Effect.gen(function*() {
      const server = yield* nameServer({ "a.example A": ["93.184.216.34"], "a.example AAAA": "silence" })
      assert.strictEqual(
        yield* resolve(server, "a.example", { attemptMillis: 100, totalMillis: 2000 }),
        "93.184.216.34"
      )
    }))

  it.live("gives up on a silent server in time, and at once when interrupted", () =>
    Effect.gen(function*() {
      const server = yield* nameServer({ "a.example A": "silence", "a.example AAAA": "silence" })
      const start = performance.now()
      assert.strictEqual(yield* resolve(server, "a.example", { totalMillis: 200 }), "Unavailable")
      assert.isBelow(performance.now() - start, 600)
      const fiber = yield* Effect.forkScoped(resolve(server, "a.example"), { startImmediately: true })
      const interrupted = performance.now()
      yield* Fiber.interrupt(fiber)
      assert.isBelow(performance.now() - interrupted, 100)
    }))

  it.live("asks nobody about localhost, nor about onion services (RFC 6761, RFC 7686)", () =>
    Effect.gen(function*() {
      const server = yield* nameServer({})
      assert.strictEqual(yield* resolve(server, "localhost"), "::1 127.0.0.1")
      assert.strictEqual(yield* resolve(server, "a.localhost"), "::1 127.0.0.1")
      assert.strictEqual(yield* resolve(server, "abc.onion"), "NoSuchName")
      assert.deepStrictEqual(server.questions, [])
    }))
})
