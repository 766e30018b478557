/**
 * Two ways to ask for events against the slow and obvious one: a REQ over a socket and the command `scan`, on one file of
 * 10,000 events, for 2,000 random requests. `SEED=n` makes others.
 */
import { NodeWS } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { dirname } from "node:path"
import { vi } from "vitest"
import { scan as scanFile } from "../src/cli/commands/Scan.ts"
import { filtersOf } from "../src/cli/FilterArgument.ts"
import { Settings } from "../src/config/Settings.ts"
import { Database, textOf } from "../src/database/Database.ts"
import * as Engine from "../src/database/Engine.ts"
import * as SqliteDatabase from "../src/database/sqlite/SqliteDatabase.ts"
import type { Event } from "../src/domain/Event.ts"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { run } from "./cli/support.ts"
import { type Random, randomOf } from "./database/random.ts"
import { directory } from "./database/support.ts"
import { relay } from "./support/relay.ts"

const seed = Number(process.env["SEED"] ?? 20_261_125)
const requests = Number(process.env["RUNS"] ?? 2000)
const stored = 10_000

interface WireFilter {
  readonly ids?: ReadonlyArray<string>
  readonly authors?: ReadonlyArray<string>
  readonly kinds?: ReadonlyArray<number>
  readonly since?: number
  readonly until?: number
  readonly limit?: number
  readonly [tag: `#${string}`]: ReadonlyArray<string>
}

// What there is

const kinds = [0, 1, 1, 1, 3, 6, 7, 7, 1063, 10_002, 30_023, 30_023, 65_535]
const letters = ["e", "p", "t", "T", "d"]
const words = ["", "a", "A", "ä", "\u{1f422}", "a'b\"c", "%", "_", "\u0001", "nostr ".repeat(20)]

/** Few values, so that seconds are shared, lists overlap, and the first 13 digits of keys and ids coincide. */
const worldOf = (random: Random) => {
  const { chance, hex, int, pick, some } = random
  const key = (i: number) => `${i % 3 === 0 ? "0".repeat(13) : ""}${hex(64)}`.slice(0, 64)
  const authors = Array.from({ length: 80 }, (_, i) => key(i))
  const keys = Array.from({ length: 30 }, (_, i) => key(i))
  const second = () => 1_700_000_000 + int(400)
  const value = (letter: string) => letter === "e" || letter === "p" ? pick(keys) : pick(words)
  const tag = () => {
    const letter = pick(letters)
    return chance(5) ? [letter] : [letter, value(letter), ...(chance(20) ? [pick(words)] : [])]
  }
  const event = (): Event => ({
    id: `${chance(20) ? "f".repeat(13) : ""}${hex(64)}`.slice(0, 64),
    pubkey: pick(authors),
    created_at: second(),
    kind: pick(kinds),
    tags: Array.from({ length: int(5) }, tag),
    content: "",
    sig: hex(128)
  })
  const filter = (events: ReadonlyArray<Event>): WireFilter => {
    const conditions: WireFilter = {
      ...(chance(15) ? { ids: [...some(events, 8).map(({ id }) => id), ...(chance(30) ? [hex(64)] : [])] } : {}),
      ...(chance(50) ? { authors: some(authors, 4) } : {}),
      ...(chance(50) ? { kinds: some(kinds, 5) } : {}),
      ...(chance(25) ? { since: second() } : {}),
      ...(chance(25) ? { until: second() } : {}),
      ...Object.fromEntries(
        (chance(45) ? some(letters, 2) : []).map((
          letter
        ) => [`#${letter}`, Array.from({ length: int(4) }, () => value(letter))])
      )
    }
    // Whatever could be long is mostly cut, and always somewhere in the middle of a second.
    const isNarrow = conditions.ids !== undefined ||
      conditions.authors !== undefined && Object.keys(conditions).length > 1
    return chance(isNarrow ? 60 : 99) ? { ...conditions, limit: int(pick([2, 10, 80])) } : conditions
  }
  return { event, filter }
}

// The obvious way

const matches = (filter: WireFilter, event: Event): boolean => {
  for (const [key, wanted] of Object.entries(filter) as ReadonlyArray<[string, unknown]>) {
    const values = wanted as ReadonlyArray<unknown>
    if (key === "ids" && !values.includes(event.id)) return false
    if (key === "authors" && !values.includes(event.pubkey)) return false
    if (key === "kinds" && !values.includes(event.kind)) return false
    if (key === "since" && event.created_at < Number(wanted)) return false
    if (key === "until" && event.created_at > Number(wanted)) return false
    if (key.startsWith("#") && !event.tags.some(([name, value]) => name === key[1] && values.includes(value))) {
      return false
    }
  }
  return true
}

const inOrder = (a: Event, b: Event): number => b.created_at - a.created_at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/** What each filter finds, in the order of `sorted`, and whether its limit leaves something out. */
const found = (sorted: ReadonlyArray<Event>, filters: ReadonlyArray<WireFilter>) =>
  filters.map((filter) => {
    const all = sorted.filter((event) => matches(filter, event))
    return {
      events: all.slice(0, filter.limit ?? Infinity),
      isCut: all.length > (filter.limit ?? Infinity),
      count: all
    }
  })

// The ways under test

const lines: Array<string> = []

/** What the command writes, without a process of its own. */
const scan = Effect.fnUntraced(function*(filters: ReadonlyArray<WireFilter>) {
  lines.length = 0
  const write = vi.spyOn(process.stdout, "write").mockImplementation((text, ...rest: ReadonlyArray<unknown>) => {
    lines.push(...String(text).trimEnd().split("\n"))
    const [done] = rest
    if (typeof done === "function") queueMicrotask(() => void done())
    return true
  })
  yield* Effect.ensuring(
    Effect.flatMap(filtersOf(JSON.stringify(filters)), scanFile),
    Effect.sync(() => write.mockRestore())
  )
  return [...lines].filter((line) => line !== "")
})

/** The socket of a client that only reads what it is sent, as it is sent. */
const dial = (url: string) =>
  Effect.acquireRelease(
    Effect.callback<NodeWS.WebSocket>((resume) => {
      const socket = new NodeWS.WebSocket(url)
      socket.once("open", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.terminate())
  )

/** Sends a message, and takes all frames up to the first that begins like one of `ends`. */
const ask = (socket: NodeWS.WebSocket, message: ReadonlyArray<unknown>, ...ends: ReadonlyArray<string>) =>
  Effect.callback<ReadonlyArray<string>>((resume) => {
    const frames: Array<string> = []
    const take = (data: Buffer) => {
      const frame = data.toString()
      // The challenge comes when it comes.
      if (frame.startsWith("[\"AUTH\"")) return
      frames.push(frame)
      if (!ends.some((end) => frame.startsWith(end))) return
      socket.off("message", take)
      resume(Effect.succeed(frames))
    }
    socket.on("message", take)
    socket.send(JSON.stringify(message))
  }).pipe(Effect.timeout("60 seconds"))

const eventHead = "[\"EVENT\",\"r\","

/** The events as they came, and the hint that EOSE gives (NIP-67). */
const req = Effect.fnUntraced(function*(socket: NodeWS.WebSocket, filters: ReadonlyArray<WireFilter>) {
  const frames = yield* ask(socket, ["REQ", "r", ...filters], "[\"EOSE\"", "[\"CLOSED\"")
  yield* Effect.sync(() => socket.send("[\"CLOSE\",\"r\"]"))
  const texts = frames.slice(0, -1).map((frame) =>
    frame.startsWith(eventHead) ? frame.slice(eventHead.length, -1) : frame
  )
  return { texts, end: JSON.parse(frames.at(-1) ?? "") as ReadonlyArray<unknown> }
})

const limits = {
  limitMax: 2 * stored,
  limitDefault: 2 * stored,
  ratePerConnection: 0,
  ratePerAddress: 0,
  outboundBytesMax: 64 * 1024 * 1024
}

const served = Layer.unwrap(
  Effect.map(directory, (path) => relay({ databasePath: `${path}/events.db`, limits }, SqliteDatabase.layer))
)

layer(Layer.provideMerge(Engine.archive, served), { excludeTestServices: true })("a REQ and scan", (it) => {
  it.effect(
    `find what a walk over all events finds, ${requests} random requests, seed ${seed}`,
    () =>
      Effect.gen(function*() {
        const random = randomOf(seed)
        const world = worldOf(random)
        const database = yield* Database
        const { write } = yield* database.sender("test")
        while ((yield* database.stats).events < stored) {
          yield* write(Array.from({ length: 500 }, () => ({ _tag: "Save", event: world.event() })))
        }
        // Which versions survive is another test's question.
        const sorted = (yield* database.query([{ limit: limits.limitMax }], { limitMax: limits.limitMax })).events
          .map((raw) => JSON.parse(textOf(raw)) as Event).toSorted(inOrder)
        assert.isAtLeast(sorted.length, stored)

        const { url } = yield* RelayAddress
        const socket = yield* dial(url)
        const sizes = { events: 0, empty: 0, cut: 0 }
        for (let n = 0; n < requests; n++) {
          const filters = Array.from({ length: 1 + random.int(3) }, () => world.filter(sorted))
          const name = `request ${n}: ${JSON.stringify(filters)}`
          const answers = found(sorted, filters)
          const expected = [...new Set(answers.flatMap(({ events }) => events))].toSorted(inOrder)
          const { end, texts: served } = yield* req(socket, filters)
          // As texts: an event is served as it was stored, to the byte.
          const texts = expected.map((event) => JSON.stringify(event))
          assert.deepStrictEqual(served, texts, `${name}, REQ`)
          assert.deepStrictEqual(yield* scan(filters), texts, `${name}, scan`)
          if (answers.some(({ isCut }) => isCut)) assert.deepStrictEqual(end[2], ["more"], name)
          const [counted = ""] = yield* ask(socket, ["COUNT", "c", ...filters], "[\"COUNT\"", "[\"CLOSED\"")
          const [, , count] = JSON.parse(counted) as ReadonlyArray<unknown>
          assert.containSubset(count, { count: new Set(answers.flatMap(({ count }) => count)).size }, `${name}, COUNT`)
          sizes.events += expected.length
          if (expected.length === 0) sizes.empty++
          if (answers.some(({ isCut }) => isCut)) sizes.cut++
        }
        yield* Effect.sync(() => console.log(`seed ${seed}: ${sorted.length} events, ${JSON.stringify(sizes)}`))
        assert.isAbove(sizes.events, 10 * requests)
        assert.isBelow(sizes.empty, requests / 3)

        // The same command as its users start it, beside the relay that owns the file.
        const { databasePath } = yield* Settings
        for (const filters of [[{ kinds: [0], limit: 20 }], [{ "#T": ["a"] }, { kinds: [3] }]]) {
          const { code, stdout } = yield* run(dirname(databasePath), ["scan", JSON.stringify(filters)])
          assert.strictEqual(code, 0)
          const expected = [...new Set(found(sorted, filters).flatMap(({ events }) => events))].toSorted(inOrder)
          assert.deepStrictEqual(stdout.map((line) => JSON.parse(line) as Event), expected)
        }
      }),
    600_000
  )
})
