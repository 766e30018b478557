/** Random filters over a socket, against a matcher that looks at everything. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { hash } from "node:crypto"
import { Database } from "../src/database/Database.ts"
import type { Event } from "../src/domain/Event.ts"
import { RelayAddress } from "../src/websocket/RelayServer.ts"
import { type Random, randomOf } from "./database/random.ts"
import { epoch } from "./support/events.ts"
import { relay } from "./support/relay.ts"
import { connect } from "./support/TestClient.ts"

const seed = Number(process.env["SEED"] ?? 20_261_124)
const eventCount = 10_000
const filterCount = 2000
const limits = {
  limitMax: 1000,
  limitDefault: 200,
  filtersMax: 3,
  subscriptionsMax: 4,
  ratePerConnection: 0,
  ratePerAddress: 0
}

/** As on the wire. */
interface WireFilter {
  ids?: ReadonlyArray<string>
  authors?: ReadonlyArray<string>
  kinds?: ReadonlyArray<number>
  since?: number
  until?: number
  limit?: number
  "#t"?: ReadonlyArray<string>
  "#p"?: ReadonlyArray<string>
  "#e"?: ReadonlyArray<string>
}

const hex = (text: string) => hash("sha256", text)
const authors = Array.from({ length: 40 }, (_, i) => hex(`author ${i}`))
const topics = ["a", "b", "A", "boats", "", "日本"]
/** Regular ones: each event is kept. */
const kinds = [1, 6, 7, 9, 42, 1111, 1984, 40_000]

/** Events of a few authors, kinds, tags and seconds, so that conditions meet. The store does not look at signatures. */
const eventOf = (random: Random, i: number): Event => {
  const tags: Array<ReadonlyArray<string>> = []
  for (let n = random.int(4); n > 0; n--) {
    const tag = random.pick(["t", "t", "p", "e", "x"])
    const value = tag === "t"
      ? random.pick(topics)
      : tag === "p"
      ? random.pick(authors)
      : hex(`id ${random.int(100)}`)
    tags.push([tag, value, ...(random.int(4) === 0 ? [random.pick(topics)] : [])])
  }
  return {
    id: hex(`id ${i}`),
    pubkey: random.pick(authors),
    created_at: epoch + random.int(600),
    kind: random.pick(kinds),
    tags,
    content: `${i}`,
    sig: "0".repeat(128)
  }
}

const listOf = <A>(random: Random, most: number, one: () => A): ReadonlyArray<A> =>
  Array.from({ length: random.int(most + 1) }, one)

const filterOf = (random: Random): WireFilter => {
  const filter: WireFilter = {}
  const sometimes = (n: number) => random.int(n) === 0
  if (sometimes(8)) filter.ids = listOf(random, 40, () => hex(`id ${random.int(eventCount + 500)}`))
  if (sometimes(2)) filter.authors = listOf(random, 12, () => sometimes(10) ? hex("nobody") : random.pick(authors))
  if (sometimes(2)) filter.kinds = listOf(random, 5, () => sometimes(10) ? 2 : random.pick(kinds))
  if (sometimes(3)) filter.since = epoch + random.int(700) - 50
  if (sometimes(3)) filter.until = epoch + random.int(700) - 50
  if (sometimes(3)) filter["#t"] = listOf(random, 3, () => random.pick(topics))
  if (sometimes(5)) filter["#p"] = listOf(random, 3, () => random.pick(authors))
  if (sometimes(8)) filter["#e"] = listOf(random, 3, () => hex(`id ${random.int(100)}`))
  if (sometimes(2)) filter.limit = random.pick([0, 1, 2, 10, 100, 999, 1000, 5000])
  return filter
}

const hasTag = (event: Event, name: string, values: ReadonlyArray<string>) =>
  event.tags.some((tag) => tag[0] === name && values.some((value) => value === tag[1]))

/** NIP-01, word by word. */
const isMatch = (filter: WireFilter, event: Event): boolean =>
  (filter.ids === undefined || filter.ids.some((id) => id === event.id)) &&
  (filter.authors === undefined || filter.authors.some((author) => author === event.pubkey)) &&
  (filter.kinds === undefined || filter.kinds.some((kind) => kind === event.kind)) &&
  (filter.since === undefined || event.created_at >= filter.since) &&
  (filter.until === undefined || event.created_at <= filter.until) &&
  (filter["#t"] === undefined || hasTag(event, "t", filter["#t"])) &&
  (filter["#p"] === undefined || hasTag(event, "p", filter["#p"])) &&
  (filter["#e"] === undefined || hasTag(event, "e", filter["#e"]))

const inOrder = (events: ReadonlyArray<Event>) =>
  events.toSorted((a, b) => b.created_at - a.created_at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))

/** A filter that gives no limit gets the default one, or as many as it names ids. */
const limitOf = ({ ids, limit }: WireFilter) =>
  Math.min(limits.limitMax, limit ?? Math.max(limits.limitDefault, ids?.length ?? 0))

const random = randomOf(seed)
const stored = Array.from({ length: eventCount }, (_, i) => eventOf(random, i))

const filled = Layer.effectDiscard(Effect.gen(function*() {
  const { write } = yield* (yield* Database).sender("test")
  for (let i = 0; i < stored.length; i += 1000) {
    yield* write(stored.slice(i, i + 1000).map((event) => ({ _tag: "Save", event })))
  }
}))

layer(Layer.provideMerge(filled, relay({ limits })), { excludeTestServices: true, timeout: 60_000 })(
  "filters",
  (it) => {
    it.effect(
      `are answered as a slow matcher does, ${filterCount} of them over ${eventCount} events`,
      () =>
        Effect.gen(function*() {
          yield* Effect.sync(() => console.log(`seed ${seed}`))
          const client = yield* Effect.flatMap(RelayAddress, ({ url }) => connect(url))
          let [found, whole, differences] = [0, 0, 0]
          for (let n = 0; n < filterCount; n++) {
            const filters = Array.from({ length: 1 + random.int(3) }, () => filterOf(random))
            const { end, events } = yield* client.req("a", ...filters)
            const parts = filters.map((filter) => inOrder(stored.filter((event) => isMatch(filter, event))))
            const limited = parts.map((events, i) => events.slice(0, limitOf(filters[i] ?? {})))
            const expected = inOrder([...new Set(limited.flat())])
            const isSame = events.length === expected.length && events.every(({ id }, i) => id === expected[i]?.id)
            if (!isSame) differences++
            assert.isTrue(isSame, `seed ${seed}, filters ${JSON.stringify(filters)}`)
            if ((end[2] as ReadonlyArray<string>)[0] === "finish") {
              whole++
              assert.deepStrictEqual(limited.map(({ length }) => length), parts.map(({ length }) => length))
            }
            yield* client.send(["COUNT", "c", ...filters])
            const [, , count] = yield* client.next(["COUNT", "c"])
            assert.strictEqual((count as { readonly count: number }).count, new Set(parts.flat()).size)
            found += events.length
          }
          console.log(`${filterCount} filters, ${found} events, ${whole} whole answers, ${differences} differences`)
          assert.isAbove(found, filterCount)
        }),
      60_000
    )
  }
)
