/**
 * One connection against a reference model: random commands, each answered exactly as the model says, and nothing else.
 *
 * Every run has authors of its own, so that runs share a relay without seeing one another. `SEED=n` repeats a run of runs,
 * and a difference is reported with the commands that led to it.
 */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { nip77 } from "nostr-tools"
import type { Event } from "../../src/domain/Event.ts"
import { RelayAddress } from "../../src/websocket/RelayServer.ts"
import { type Random, randomOf } from "../database/random.ts"
import { authEvent, challengeOf, relayUrl } from "../support/authentication.ts"
import { epoch, keyOf, signed, withForgedSignature } from "../support/events.ts"
import { relay } from "../support/relay.ts"
import { connect, type Message, type TestClient } from "../support/TestClient.ts"
import { anyHint, type Expected, Model, type WireFilter } from "./Model.ts"

const seed = Number(process.env["SEED"] ?? 20_261_124)
const runs = 1000
const commandsPerRun = 16
const subscriptionsMax = 3

interface World {
  readonly random: Random
  readonly authors: ReadonlyArray<string>
  readonly events: ReadonlyArray<Event>
  readonly client: TestClient
  readonly model: Model
  readonly log: Array<string>
}

/** The same two authors, known by name only, and what they might publish. */
const eventsOf = (random: Random, authors: ReadonlyArray<string>): ReadonlyArray<Event> => {
  const events: Array<Event> = []
  const now = Math.floor(Date.now() / 1000)
  for (let i = 0; i < 14; i++) {
    const author = random.pick(authors)
    const kind = random.pick([0, 0, 1, 1, 1, 4, 1059, 20_001, 5])
    const tags: Array<ReadonlyArray<string>> = []
    if (kind === 4 || kind === 1059 || random.chance(20)) tags.push(["p", keyOf(random.pick(authors)).pubkey])
    if (kind === 1 && random.chance(25)) tags.push(["-"])
    if (kind === 5 && events.length > 0) {
      for (const { id, kind } of random.some(events, 2)) if (kind !== 5) tags.push(["e", id])
    }
    const created_at = kind === 20_001 ? now : epoch + random.int(5)
    events.push(signed({ kind, tags, created_at, content: `${i}` }, author))
  }
  return events
}

const filterOf = ({ authors, events, random }: World): WireFilter => {
  const keys = authors.map((author) => keyOf(author).pubkey)
  const base: WireFilter = random.chance(30)
    ? { ids: random.some(events, 5).map(({ id }) => id) }
    : random.chance(30)
    ? { "#p": [random.pick(keys)] }
    : { authors: random.chance(50) ? keys : [random.pick(keys)] }
  return {
    ...base,
    ...(random.chance(40) ? { kinds: random.some([0, 1, 4, 5, 1059, 20_001], 3) } : {}),
    ...(random.chance(30) ? { limit: random.int(4) } : {})
  }
}

const prefixOf = (reply: unknown) => String(reply).split(": ")[0]

const sort = (frames: ReadonlyArray<Expected>) => frames.map((frame) => JSON.stringify(frame)).toSorted()

/** As the model writes it. */
const simplest = (message: Message): Expected => {
  const [type, id, third, fourth] = message
  if (type === "EVENT") return [type, id, (third as Event).id]
  if (type === "OK") return [type, id, third, prefixOf(fourth)]
  if (type === "CLOSED" || type === "NEG-ERR") return [type, id, prefixOf(third)]
  return type === "COUNT" ? [type, id, (third as { readonly count: number }).count] : message
}

/** Takes what is expected, in any order but that of stored events, and then an answer to a fence. */
const expect = Effect.fnUntraced(function*({ client }: World, expected: ReadonlyArray<Expected>, from: number) {
  const isEither = expected.at(-1)?.[2] === anyHint
  const simplified = (message: Message): Expected =>
    isEither && message[0] === "EOSE" ? [message[0], message[1], anyHint] : simplest(message)
  for (const frame of expected) {
    const text = JSON.stringify(frame)
    yield* client.next((message) => JSON.stringify(simplified(message)) === text)
  }
  yield* client.send(["COUNT", "fence", { ids: [] }])
  yield* client.next(["COUNT", "fence"])
  const came = client.received().slice(from).filter(([type, id]) => type !== "AUTH" && id !== "fence").map(simplified)
  assert.deepStrictEqual(sort(came), sort(expected))
  if (expected.at(-1)?.[0] === "EOSE") assert.deepStrictEqual(came, expected, "stored events, then EOSE")
})

/** A whole reconciliation, as a client sees it that holds some of the events. */
const reconcile = Effect.fnUntraced(function*(world: World, filter: WireFilter, mine: ReadonlyArray<Event>) {
  const { client, model } = world
  const storage = new nip77.NegentropyStorageVector()
  for (const { created_at, id } of mine) storage.insert(created_at, id)
  storage.seal()
  const negentropy = new nip77.Negentropy(storage, 50_000)
  const [have, need]: [Array<string>, Array<string>] = [[], []]
  const refusal = model.refusal([filter])
  yield* client.send(["NEG-OPEN", "neg", filter, negentropy.initiate()])
  for (;;) {
    const answer = yield* client.next(([type, id]) => (type === "NEG-MSG" || type === "NEG-ERR") && id === "neg")
    if (answer[0] === "NEG-ERR") {
      assert.deepStrictEqual(simplest(answer), ["NEG-ERR", "neg", refusal])
      return
    }
    assert.isUndefined(refusal)
    const next = negentropy.reconcile(String(answer[2]), (id) => void have.push(id), (id) => void need.push(id))
    if (next === null) break
    yield* client.send(["NEG-MSG", "neg", next])
  }
  yield* client.send(["NEG-CLOSE", "neg"])
  const theirs = model.find(filter).slice(0, filter.limit ?? Infinity).map(({ id }) => id)
  const ours = mine.map(({ id }) => id)
  assert.sameMembers(need, theirs.filter((id) => !ours.includes(id)))
  assert.sameMembers(have, ours.filter((id) => !theirs.includes(id)))
})

const command = (world: World): Effect.Effect<void, unknown> => {
  const { authors, client, events, log, model, random } = world
  const from = client.received().length
  const run = (message: ReadonlyArray<unknown>, expected: ReadonlyArray<Expected>) => {
    log.push(JSON.stringify(message))
    return Effect.andThen(client.send(message), expect(world, expected, from))
  }
  const id = random.pick(["a", "b", "c", "d"])
  const filters = () => Array.from({ length: 1 + random.int(2) }, () => filterOf(world))
  switch (random.pick(["EVENT", "EVENT", "EVENT", "REQ", "REQ", "CLOSE", "COUNT", "AUTH", "NEG", "BAD"])) {
    case "EVENT": {
      const event = random.pick(events)
      const isForged = random.chance(15)
      return run(["EVENT", isForged ? withForgedSignature(event) : event], model.publish(event, isForged))
    }
    case "REQ": {
      const asked = filters()
      return run(["REQ", id, ...asked], model.request(id, asked))
    }
    case "COUNT": {
      const asked = filters()
      return run(["COUNT", id, ...asked], model.count(id, asked))
    }
    case "CLOSE":
      return run(["CLOSE", id], model.close(id))
    case "AUTH": {
      const isRight = random.chance(70)
      const event = authEvent(isRight ? challengeOf(client) : "wrong", random.pick(authors))
      return run(["AUTH", event], model.authenticate(event, isRight))
    }
    case "NEG": {
      const filter = filterOf(world)
      log.push(JSON.stringify(["NEG-OPEN", "neg", filter]))
      const mine = [...new Map(random.some(events, 6).map((event) => [event.id, event])).values()]
      return reconcile(world, filter, mine)
    }
    default:
      log.push("[\"REQ\",\"bad\",{\"limit\":-1}]")
      return Effect.andThen(
        client.sendRaw("[\"REQ\",\"bad\",{\"limit\":-1}]"),
        expect(world, [["CLOSED", "bad", "invalid"]], from)
      )
  }
}

const limits = { subscriptionsMax, ratePerConnection: 0, ratePerAddress: 0, limitDefault: 500 }

layer(relay({ relayUrl, limits }), { excludeTestServices: true })("a connection", (it) => {
  it.effect(`answers as its model does, ${runs} runs of ${commandsPerRun} commands`, () =>
    Effect.gen(function*() {
      yield* Effect.sync(() => console.log(`seed ${seed}`))
      const { url } = yield* RelayAddress
      for (let n = 0; n < runs; n++) {
        const random = randomOf(seed + n)
        // Mixes the seeds of neighbours.
        for (let i = 0; i < 8; i++) random.int(2)
        const authors = [`model ${n} ann`, `model ${n} bob`]
        const log: Array<string> = []
        const run = Effect.scoped(Effect.gen(function*() {
          const client = yield* connect(url)
          yield* client.next("AUTH")
          const model = new Model(subscriptionsMax)
          const world = { random, authors, events: eventsOf(random, authors), client, model, log }
          for (let i = 0; i < commandsPerRun; i++) yield* command(world)
          yield* client.close()
          yield* client.closed()
        }))
        yield* Effect.tapCause(run, () =>
          Effect.sync(() => console.log(`SEED=${seed + n} differs after\n${log.join("\n")}`)))
      }
    }), 300_000)
})
