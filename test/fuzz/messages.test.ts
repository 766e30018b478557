/**
 * Messages of a grammar, mutated, over a real socket: whatever a client says, the connection lives on, and each frame gets
 * the one answer that is due, and none takes the thread for long. The relay's store and its signatures are in this thread,
 * too, so it is measured by more than the service's main thread would have to do.
 *
 * `SEED=n` repeats a run, `RUNS=n` makes more of them. A run that fails prints the frames that led to it, each as a line
 * for `corpus.jsonl`: what is found goes there, and is played at every run.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { readFileSync } from "node:fs"
import { verifyEvent } from "nostr-tools"
import { Settings } from "../../src/config/Settings.ts"
import { Database, textOf } from "../../src/database/Database.ts"
import { type Event, isAddressable, isEphemeral, isReplaceable } from "../../src/domain/Event.ts"
import { RelayAddress } from "../../src/websocket/RelayServer.ts"
import { randomOf } from "../database/random.ts"
import { challengeOf, relayUrl } from "../support/authentication.ts"
import { relay } from "../support/relay.ts"
import { connect, type Message, type TestClient } from "../support/TestClient.ts"
import { grammarOf, slowProfiles } from "./Grammar.ts"
import { mutateBytes, mutateTokens } from "./Mutation.ts"
import { type Due, dueFor, isLast, type Limits, wrongAnswer } from "./Oracle.ts"

const seed = Number(process.env["SEED"] ?? 20_261_125)
const runs = Number(process.env["RUNS"] ?? 1000)
const framesPerRun = 12

/** Texts as long as a message lets them be, in fewer runs. */
const longText = 60_000
const longRuns = Math.ceil(runs / 10)

/** Milliseconds of CPU that one frame may take, with all that comes of it, the client's side included. */
const frameMillisMax = 50

/** Milliseconds of CPU that this thread has used: a machine that is busy with other work does not matter. */
const worked = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}

const limits = {
  frameBytesMax: 4096,
  jsonDepthMax: 16,
  subscriptionsMax: 3,
  filtersMax: 5,
  ratePerConnection: 0,
  ratePerAddress: 0
}

/** A frame as `corpus.jsonl` has it: its text, or its bytes in hex where it is not UTF-8. */
const CorpusLine = Schema.Union([Schema.String, Schema.Struct({ hex: Schema.String })])

const corpus: ReadonlyArray<Uint8Array> = readFileSync(new URL("corpus.jsonl", import.meta.url), "utf8").trimEnd()
  .split("\n").map((line) => Schema.decodeUnknownSync(CorpusLine)(JSON.parse(line)))
  .map((frame) => typeof frame === "string" ? Buffer.from(frame) : Buffer.from(frame.hex, "hex"))

const lineOf = (frame: Uint8Array): string => {
  const text = Buffer.from(frame).toString()
  return JSON.stringify(Buffer.from(text).equals(frame) ? text : { hex: Buffer.from(frame).toString("hex") })
}

/** What was taken from any client: id to event. */
type Taken = Map<string, Event>

interface Session {
  readonly limits: Limits
  readonly client: TestClient
  readonly taken: Taken
  /** Ids by which live events may come. */
  readonly open: Set<string>
  fences: number
}

const session = Effect.fnUntraced(function*(taken: Taken, limits: Limits) {
  const { url } = yield* RelayAddress
  const client = yield* connect(url)
  // Where only some kinds are kept, nobody is asked who they are at first.
  const { admission } = yield* Settings
  if (admission === "open") yield* client.next("AUTH")
  return { limits, client, taken, open: new Set<string>(), fences: 0 } satisfies Session
})

/** The event in an EVENT message, as far as it is one. */
const eventIn = (frame: Uint8Array): Event => {
  const [, { content, created_at, id, kind, pubkey, sig, tags }] = JSON.parse(
    Buffer.from(frame).toString()
  ) as readonly [string, Event]
  return { id, pubkey, created_at, kind, tags, content, sig }
}

/** Of all frames so far. */
const longest = { millis: 0 }

const isOwn = ([type, id]: Message, fence: string): boolean => type !== "AUTH" && !(type === "COUNT" && id === fence)

/** Sends one frame, and looks at all that comes of it. Says whether the connection is still there. */
const exchange = Effect.fnUntraced(function*(session: Session, frame: Uint8Array) {
  const { client, open, taken } = session
  const due: Due = dueFor(frame, session.limits)
  const began = worked()
  const from = client.received().length
  // As text, whatever the bytes are.
  yield* Effect.sync(() => client.socket.send(frame, { binary: false }))
  const fence = `fence ${session.fences++}`
  if (due.by === "close") assert.strictEqual((yield* client.closed()).code, due.code)
  else {
    if (due.by !== "silence") yield* client.next((message) => isLast(due, message))
    yield* client.send(["COUNT", fence, { ids: [] }])
    yield* client.next(["COUNT", fence])
  }
  const millis = worked() - began
  longest.millis = Math.max(longest.millis, millis)
  assert.isBelow(millis, frameMillisMax, `milliseconds for ${lineOf(frame).slice(0, 200)}`)
  if (due.by === "REQ") open.add(due.id)
  const came = client.received().slice(from).filter((message) => isOwn(message, fence))
  const answers = came.filter(([type]) => type !== "EVENT")
  assert.isUndefined(wrongAnswer(due, answers))
  const [type, , isAccepted, reason] = answers[0] ?? []
  const event = type === "OK" && isAccepted === true ? eventIn(frame) : undefined
  if (event !== undefined && reason === "") {
    assert.isTrue(verifyEvent({ ...event, tags: event.tags.map((tag) => [...tag]) }), "took what is not valid")
    taken.set(event.id, event)
  } else if (event !== undefined) {
    // Known by its id: whatever came under it is thrown away.
    assert.match(String(reason), /^duplicate: /u)
    assert.isTrue(taken.has(event.id), "a duplicate of nothing")
  }
  for (const [type, subscription, event] of came) {
    if (type === "CLOSED") open.delete(String(subscription))
    if (type !== "EVENT") continue
    assert.isTrue(open.has(String(subscription)), "an event of a subscription that is not open")
    assert.deepStrictEqual(event, taken.get((event as Event).id), "another event than was taken")
  }
  return due.by !== "close"
})

/** Plays frames on one connection until there is none or it is closed, and says whether there are more. */
const playOnOne = Effect.fnUntraced(function*(
  taken: Taken,
  limits: Limits,
  next: (client: TestClient) => Uint8Array | undefined,
  played: Array<string>
) {
  const current = yield* session(taken, limits)
  for (let isOpen = true; isOpen;) {
    const frame = next(current.client)
    if (frame === undefined) return false
    played.push(lineOf(frame))
    isOpen = yield* exchange(current, frame)
  }
  return true
}, Effect.scoped)

/** Plays frames, on a new connection wherever one was closed. */
const play = (taken: Taken, limits: Limits, next: (client: TestClient) => Uint8Array | undefined) =>
  Effect.suspend(() => {
    const played: Array<string> = []
    return playOnOne(taken, limits, next, played).pipe(
      Effect.repeat({ while: (isMore) => isMore }),
      Effect.tapCause(() => Effect.sync(() => console.log(`failed after\n${played.join("\n")}`)))
    )
  })

/** Nothing is there that was not taken, and all that was taken and that nothing removed is. */
const expectStored = Effect.fnUntraced(function*(taken: Taken) {
  const { query } = yield* Database
  const stored = (yield* query([{ limit: 1_000_000 }], { limitMax: 1_000_000 })).events
    .map((raw) => JSON.parse(textOf(raw)) as Event)
  for (const event of stored) assert.deepStrictEqual(event, taken.get(event.id), "stored, and never taken")
  const deleted = new Set([...taken.values()].filter(({ kind }) => kind === 5).flatMap(({ tags }) => tags).flat())
  const ids = new Set(stored.map(({ id }) => id))
  for (const { id, kind } of taken.values()) {
    if (isEphemeral(kind)) assert.isFalse(ids.has(id), "an ephemeral event was stored")
    else if (isReplaceable(kind) || isAddressable(kind) || deleted.has(id)) continue
    else assert.isTrue(ids.has(id), `${id} was taken, and is not stored`)
  }
  return stored.length
})

const encoder = new TextEncoder()

/** Runs made by the grammar, with texts made for backtracking of so many characters. */
const playRuns = Effect.fnUntraced(function*(taken: Taken, limits: Limits, runs: number, longestText: number) {
  yield* Effect.sync(() => console.log(`seed ${seed}`))
  for (let run = 0; run < runs; run++) {
    const random = randomOf(seed + run)
    // Mixes the seeds of neighbours.
    for (let i = 0; i < 8; i++) random.int(2)
    let frames = 0
    const next = (client: TestClient) => {
      if (frames++ === framesPerRun) return undefined
      const text = grammarOf(random, challengeOf(client), longestText).message()
      if (random.chance(60)) return encoder.encode(text)
      return random.chance(60)
        ? encoder.encode(mutateTokens(text, random))
        : mutateBytes(encoder.encode(text), random)
    }
    yield* Effect.tapCause(play(taken, limits, next), () => Effect.sync(() => console.log(`SEED=${seed + run}`)))
  }
  yield* Effect.sync(() => console.log(`${longest.millis.toFixed(1)} ms of CPU at most for one frame`))
})

layer(relay({ relayUrl, limits }), { excludeTestServices: true })("client messages", (it) => {
  const taken: Taken = new Map()

  it.effect(`get the answer that is due, ${corpus.length} nasty ones`, () =>
    Effect.gen(function*() {
      assert.isAbove(corpus.length, 50)
      const frames = corpus.values()
      yield* play(taken, limits, () => frames.next().value)
      yield* expectStored(taken)
    }), 60_000)

  it.effect(
    `get the answer that is due, ${runs} runs of ${framesPerRun} made by a grammar and mutated`,
    () =>
      Effect.gen(function*() {
        yield* playRuns(taken, limits, runs, 1000)
        assert.isAbove(yield* expectStored(taken), 10)
      }),
    300_000
  )
})

/** As the service is set by itself, but for what it would ask others. */
const wide = { ...limits, frameBytesMax: 131_072 }

layer(
  relay({ relayUrl, limits: wide, admission: "profiles", nip05: "off", pictures: "off", proof: "off" }),
  { excludeTestServices: true }
)("client messages of a relay with rules", (it) => {
  it.effect(
    `are judged without a stall, ${longRuns} runs with texts of ${longText} characters`,
    () => playRuns(new Map(), wide, longRuns, longText),
    300_000
  )

  it.effect(
    "fault 103: are judged without a stall, each field of a profile made for backtracking in each way",
    () =>
      Effect.suspend(() => {
        const frames = slowProfiles(longText)
        return play(new Map(), wide, () => {
          const { done, value } = frames.next()
          return done === true ? undefined : encoder.encode(value)
        })
      }),
    300_000
  )
})
