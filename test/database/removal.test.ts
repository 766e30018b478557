/** What is kept, against a slow and obvious reading of NIP-01, NIP-09 and NIP-62. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { describe } from "vitest"
import { Database, type Outcome, textOf } from "../../src/database/Database.ts"
import { addressOf, type Event, isReplaceable, newestFirst, wins } from "../../src/domain/Event.ts"
import { type Random, randomOf } from "./random.ts"
import { memory } from "./support.ts"

const seed = 62_09_01
const runs = 150
const stepsPerRun = 60
const relay = "ws://localhost:8080"

/** Keeps lists, and looks through all of them for every question. */
class Model {
  stored: Array<Event> = []
  readonly #deletions: Array<Event> = []
  readonly #vanishes: Array<Event> = []

  #isDeleted(event: Event): boolean {
    if (event.kind === 5 || event.kind === 62) return false
    return this.#deletions.some((deletion) =>
      deletion.pubkey === event.pubkey && deletion.tags.some(([name, value]) => {
        if (name === "e") return value === event.id
        const [kind, pubkey, ...d] = (value ?? "").split(":")
        const address = isReplaceable(Number(kind)) ? `${kind}:${pubkey}:` : `${kind}:${pubkey}:${d.join(":")}`
        return name === "a" && address === addressOf(event) && event.created_at <= deletion.created_at
      })
    )
  }

  #isVanished(event: Event): boolean {
    return event.kind !== 62 &&
      this.#vanishes.some((vanish) =>
        event.created_at <= vanish.created_at && (vanish.pubkey === event.pubkey ||
          (event.kind === 1059 && event.tags.some(([name, value]) => name === "p" && value === vanish.pubkey)))
      )
  }

  save(event: Event): Outcome["_tag"] {
    if (this.#isDeleted(event) || this.#isVanished(event)) return "Deleted"
    if (this.stored.some(({ id }) => id === event.id)) return "Duplicate"
    const address = addressOf(event)
    const rival = this.stored.find((other) => address !== undefined && addressOf(other) === address)
    if (rival !== undefined && wins(rival, event)) return "Superseded"
    this.stored = [...this.stored.filter((other) => other !== rival), event]
    if (event.kind === 5) this.#deletions.push(event)
    const named = event.tags.some(([name, value]) => name === "relay" && (value === relay || value === "ALL_RELAYS"))
    if (event.kind === 62 && named) this.#vanishes.push(event)
    this.stored = this.stored.filter((other) => !this.#isDeleted(other) && !this.#isVanished(other))
    return "Saved"
  }
}

const authors = ["a", "b", "c"].map((letter) => letter.repeat(64))

const eventOf = (random: Random, known: ReadonlyArray<Event>): Event => {
  const kind = random.pick([0, 0, 1, 1, 5, 5, 10002, 30023, 30023, 1059, 62])
  const pubkey = random.pick(authors)
  const target = () => known.length > 0 && random.chance(80) ? random.pick(known).id : random.hex(64)
  const address = () =>
    `${random.pick(["0", "10002", "30023", "30023", "1"])}:${random.chance(80) ? pubkey : random.pick(authors)}:${
      random.pick(["", "x", "y"])
    }`
  const tags: Array<Array<string>> = []
  if (kind === 5) {
    for (let i = random.int(3); i >= 0; i--) tags.push(random.chance(50) ? ["e", target()] : ["a", address()])
  }
  if (kind === 62) {
    tags.push(["relay", random.pick([relay, "ALL_RELAYS", "wss://elsewhere.example", "wss://other.example"])])
  }
  if (kind === 30023) tags.push(["d", random.pick(["x", "y", ""])])
  if (kind === 1059 || random.chance(20)) tags.push(["p", random.pick(authors)])
  return {
    id: random.hex(64),
    pubkey,
    created_at: 100 + random.int(kind === 62 ? 5 : 12),
    kind,
    tags,
    content: "",
    sig: "0".repeat(128)
  }
}

const run = (random: Random, name: string) =>
  Effect.gen(function*() {
    const { count, preview, query, sender } = yield* Database
    const { write } = yield* sender("test")
    const model = new Model()
    const sent: Array<Event> = []
    for (let step = 0; step < stepsPerRun;) {
      const batch = Array.from({ length: 1 + random.int(4) }, () => {
        const event = sent.length > 0 && random.chance(25) ? random.pick(sent) : eventOf(random, sent)
        sent.push(event)
        return event
      })
      step += batch.length
      const first = yield* preview(batch[0]!)
      const outcomes = (yield* write(batch.map((event) => ({ _tag: "Save", event })))).map(({ _tag }) => _tag)
      assert.deepStrictEqual(outcomes, batch.map((event) => model.save(event)), `${name}, step ${step}`)
      assert.strictEqual(first, outcomes[0] === "Saved" ? "New" : outcomes[0], `${name}, preview at step ${step}`)
    }
    const kept = model.stored.toSorted(newestFirst)
    const { events } = yield* query([{}], { limitMax: 1000 })
    assert.deepStrictEqual(events.map((raw) => JSON.parse(textOf(raw)) as Event), kept, name)
    // An event that goes takes its tags with it.
    for (const author of authors) {
      const tagged = kept.filter(({ tags }) => tags.some(([name, value]) => name === "p" && value === author))
      assert.strictEqual(yield* count([{ tags: new Map([["p", [author]]]) }]), tagged.length, name)
    }
  }).pipe(Effect.scoped, Effect.provide(Layer.fresh(memory)))

describe("replacing and removing", () => {
  it.effect(
    `agrees with an obvious model in ${runs} random histories (seed ${seed})`,
    () =>
      Effect.forEach(Array.from({ length: runs }, (_, i) => i), (i) => run(randomOf(seed + i), `seed ${seed + i}`), {
        discard: true
      }),
    60_000
  )
})
