/**
 * What a stranger can say that is work: each attack fills its connections with messages, as fast as they are taken.
 *
 * Messages are made before the attack begins, so that the attacker's own work takes little of the machine.
 */
import { NodeWS } from "@effect/platform-node"
import { hash, randomBytes } from "node:crypto"
import { connect as dial, type Socket } from "node:net"
import { keyOf, signed } from "../support/events.ts"

export interface Attack {
  /** What is sent, for the table. */
  readonly says: string
  readonly connections: number
  /** Connections of one address. */
  readonly perAddress?: number
  /** Rows in the store from the start. */
  readonly rows?: number
  /** Reads nothing of what it is sent. */
  readonly isDeaf?: boolean
  /** Makes what is said, in turns: frames of one message each, as strings; a list is one message in fragments. */
  readonly messages: () => ReadonlyArray<string | ReadonlyArray<string>>
}

const seconds = () => Math.floor(Date.now() / 1000)
const ids = (count: number) => Array.from({ length: count }, () => randomBytes(32).toString("hex"))
const event = (template: Parameters<typeof signed>[0], author?: string) =>
  JSON.stringify(["EVENT", signed({ created_at: seconds(), ...template }, author)])
const tags = (count: number, name = "") => Array.from({ length: count }, (_, i) => ["t", `${name}${i}`])
const many = <A>(count: number, make: (n: number) => A) => Array.from({ length: count }, (_, n) => make(n))

/** Default limits: 30 connections stay below those of an address. */
export const attacks = {
  duplicates: {
    says: "one EVENT, again and again",
    connections: 30,
    messages: () => [event({ content: "again" })]
  },
  junk: {
    says: "a REQ of 8,000 filters",
    connections: 30,
    messages: () => [`["REQ","x",${"{\"kinds\":[1]},".repeat(8000)}{}]`]
  },
  ids: {
    says: "REQs of 1,900 random ids",
    connections: 30,
    messages: () => many(20, (n) => JSON.stringify(["REQ", `r${n % 8}`, { ids: ids(1900) }]))
  },
  counts: {
    says: "COUNTs of 1,900 tags",
    connections: 30,
    messages: () => [JSON.stringify(["COUNT", "c", { "#t": tags(1900).map(([, value]) => value) }])]
  },
  auth: {
    says: "AUTHs for a wrong challenge",
    connections: 30,
    messages: () => [
      JSON.stringify([
        "AUTH",
        signed({ kind: 22242, created_at: seconds(), tags: [["relay", "ws://localhost"], ["challenge", "x"]] })
      ])
    ]
  },
  fragments: {
    says: "messages in 1,000 fragments",
    connections: 30,
    messages: () => [["[\"REQ\",\"f\",{\"limit\":1", ...many(998, () => " "), "}]"]]
  },
  tags: {
    says: "EVENTs of 2,000 tags",
    connections: 30,
    messages: () => many(60, (n) => event({ content: `${n}`, tags: tags(2000, `${n} `) }, `tags ${n}`))
  },
  deletions: {
    says: "deletions of 1,600 ids",
    connections: 30,
    messages: () => many(60, (n) => event({ kind: 5, tags: ids(1600).map((id) => ["e", id]) }, `deletions ${n % 20}`))
  },
  vanish: {
    says: "authors of much in the indexes who vanish",
    connections: 30,
    messages: () =>
      many(12, (n) => {
        const author = `vanish ${n}`
        return [
          ...many(6, (i) =>
            event({ content: `${i}`, created_at: seconds() - 60, tags: tags(1900, `${n} ${i} `) }, author)),
          event({ kind: 62, tags: [["relay", "ALL_RELAYS"]] }, author)
        ]
      }).flat()
  },
  slow: {
    says: "32 REQs each for everything, and nothing read",
    connections: 800,
    perAddress: 100,
    rows: 6000,
    isDeaf: true,
    messages: () => many(32, (n) => JSON.stringify(["REQ", `s${n}`, { limit: 5000 }]))
  }
} satisfies Readonly<Record<string, Attack>>

export type AttackName = keyof typeof attacks

/** Lines for `import --no-verify`: of 1.7 kB, by as many authors. */
export const rows = (count: number): string =>
  many(count, (n) =>
    JSON.stringify({
      id: hash("sha256", `row ${n}`),
      pubkey: keyOf(`row ${n % 50}`).pubkey,
      created_at: seconds() - n,
      kind: 1,
      tags: [],
      content: "c".repeat(1500),
      sig: "0".repeat(128)
    })).join("\n")

/** Bytes that a connection has under way; what the service does not read stays with the attacker. */
const underWayMax = 2_000_000

/** Messages of one connection in each turn. */
const perTurn = 4

/** A masked text frame of less than 126 bytes (RFC 6455 §5.2). */
const frame = (text: string): Buffer => {
  const payload = Buffer.from(text)
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload])
}

/** Says all that it says once and listens to nothing: the kernel's buffers fill, and then the service's. */
const deaf = (port: number, address: string, messages: ReadonlyArray<string>): Promise<Socket> => {
  const key = randomBytes(16).toString("base64")
  return new Promise((resolve) => {
    const socket = dial({ host: "127.0.0.1", port, localAddress: address })
    socket.on("error", () => resolve(socket))
    socket.once("data", () => {
      socket.pause()
      socket.write(Buffer.concat(messages.map(frame)))
      resolve(socket)
    })
    socket.write(
      `GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`
    )
  })
}

const client = (url: string, address: string): Promise<NodeWS.WebSocket> =>
  new Promise((resolve) => {
    const socket = new NodeWS.WebSocket(url, { perMessageDeflate: false, localAddress: address })
    socket.on("message", () => {})
    socket.on("error", () => resolve(socket))
    socket.on("open", () => resolve(socket))
  })

/** Connects from addresses of its own, and goes on until the process ends. `begin` starts it, once all are connected. */
export const prepare = async (name: AttackName, port: number): Promise<() => void> => {
  const attack: Attack = attacks[name]
  const messages = attack.messages()
  const addressOf = (n: number) => `127.0.0.${3 + Math.floor(n / (attack.perAddress ?? 100))}`
  if (attack.isDeaf === true) {
    return () =>
      void (async () => {
        for (let n = 0; n < attack.connections; n++) await deaf(port, addressOf(n), messages.flat())
      })()
  }
  const sockets = await Promise.all(many(attack.connections, (n) => client(`ws://127.0.0.1:${port}`, addressOf(n))))
  let next = 0
  const say = (socket: NodeWS.WebSocket) => {
    const message = messages[next++ % messages.length]!
    if (typeof message === "string") return socket.send(message)
    message.forEach((part, i) => socket.send(part, { fin: i === message.length - 1 }))
  }
  return () =>
    void setInterval(() => {
      for (const socket of sockets) {
        for (let i = 0; i < perTurn && socket.readyState === 1 && socket.bufferedAmount < underWayMax; i++) say(socket)
      }
    }, 5)
}
