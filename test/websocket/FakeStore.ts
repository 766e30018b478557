/**
 * A store, a verifier and a way in that do as they are told: for tests of what happens between them and a client.
 *
 * `pace` holds a query between its read and its answer, and `submit` decides what becomes of an event.
 */
import { Context, Effect, Layer, PubSub, References } from "effect"
import { Admission, type AdmissionOutcome, type AdmissionSender } from "../../src/aggregation/admission/Admission.ts"
import { Moderation } from "../../src/aggregation/admission/Moderation.ts"
import { Settings } from "../../src/config/Settings.ts"
import type { Overrides } from "../../src/config/Settings.ts"
import { Verifier } from "../../src/crypto/Verifier.ts"
import { type Commit, Database, DatabaseError } from "../../src/database/Database.ts"
import { AnswerBuffers } from "../../src/database/sqlite/thread/AnswerBuffers.ts"
import { pack } from "../../src/database/sqlite/thread/packedSelection.ts"
import { type Event, isEphemeral, newestFirst, rawOf } from "../../src/domain/Event.ts"
import { type Filter, matches, matchesAny } from "../../src/domain/Filter.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"
import * as RelayServer from "../../src/websocket/RelayServer.ts"

export class FakeStore extends Context.Service<FakeStore, {
  /** Commits an event as a writer would, and announces it. */
  readonly save: (event: Event) => Effect.Effect<AdmissionOutcome>
  /** Runs in every query, after its read and before its answer. */
  pace: Effect.Effect<void, DatabaseError>
  /** Does the store answer in messages that are framed already, as a thread of its own does? */
  isPacking: boolean
  /** How often the memory of such an answer was given back. */
  givenBack: number
  /** What becomes of a client's event. */
  submit: (event: Event) => Effect.Effect<AdmissionOutcome>
  /** What admission took at once, and how to decide it; undefined where it has no room. */
  taken: Array<{ readonly event: Event; readonly decide: Parameters<AdmissionSender["offer"]>[2] }> | undefined
  /** Names of those who hold a sender to admission. */
  readonly holders: Set<string>
  readonly commits: Array<Commit>
  readonly saved: PubSub.PubSub<ReadonlyArray<Commit>>
}>()("test/websocket/FakeStore") {
  static readonly layer = Layer.effect(
    FakeStore,
    Effect.gen(function*() {
      const commits: Array<Commit> = []
      const saved = yield* PubSub.unbounded<ReadonlyArray<Commit>>()
      const save = (event: Event): Effect.Effect<AdmissionOutcome> =>
        Effect.suspend(() => {
          if (commits.some((commit) => commit.event.id === event.id)) {
            return Effect.succeed<AdmissionOutcome>({ _tag: "Duplicate" })
          }
          const seq = commits.length + (isEphemeral(event.kind) ? 0 : 1)
          const commit: Commit = { seq, event, raw: rawOf(event) }
          if (!isEphemeral(event.kind)) commits.push(commit)
          const outcome: AdmissionOutcome = isEphemeral(event.kind) ? { _tag: "Ephemeral" } : { _tag: "Saved", seq }
          return Effect.as(PubSub.publish(saved, [commit]), outcome)
        })
      return FakeStore.of({
        save,
        pace: Effect.void,
        isPacking: false,
        givenBack: 0,
        submit: save,
        taken: undefined,
        holders: new Set(),
        commits,
        saved
      })
    })
  )
}

const query = (commits: ReadonlyArray<Commit>, filters: ReadonlyArray<Filter>, limitMax: number) => {
  const found = new Map<string, Commit>()
  let complete = true
  for (const filter of filters) {
    const all = commits.filter(({ event }) => matches(filter, event)).toSorted((a, b) => newestFirst(a.event, b.event))
    const limit = Math.min(limitMax, filter.limit ?? limitMax)
    if (all.length > limit) complete = false
    for (const commit of all.slice(0, limit)) found.set(commit.event.id, commit)
  }
  const events = [...found.values()].toSorted((a, b) => newestFirst(a.event, b.event)).map(({ raw }) => raw)
  return { asOf: commits.length, events, complete }
}

const unused = Effect.die("not part of this fake")

const layerDatabase = Layer.effect(
  Database,
  Effect.map(FakeStore, (store) =>
    Database.of({
      sender: () => unused,
      commits: PubSub.subscribe(store.saved),
      query: (filters, { limitMax, subscription }) =>
        Effect.suspend(() => {
          const found = query(store.commits, filters, limitMax)
          if (!store.isPacking || subscription === undefined) return Effect.as(store.pace, found)
          const { bytes, ends } = pack(found, new AnswerBuffers(), subscription)
          return Effect.as(store.pace, {
            ...found,
            events: [],
            messages: { bytes, ends, giveBack: () => store.givenBack++ }
          })
        }),
      count: (filters) => Effect.sync(() => store.commits.filter(({ event }) => matchesAny(filters, event)).length),
      sketch: () => unused,
      items: () => unused,
      draw: () => unused,
      ranked: () => unused,
      committedAfter: () => unused,
      preview: () => unused,
      previewAll: () => unused,
      record: () => unused,
      records: () => unused,
      due: () => unused,
      stats: unused
    }))
)

const layerAdmission = Layer.effect(
  Admission,
  Effect.map(FakeStore, (store) =>
    Admission.of({
      sender: (holder) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            store.holders.add(holder)
            return {
              submit: (event) => store.submit(event),
              offer: (event, _from, decide) => store.taken !== undefined && store.taken.push({ event, decide }) > 0
            }
          }),
          () => Effect.sync(() => void store.holders.delete(holder))
        )
    }))
)

/** An operator who has said nothing. */
const layerModeration = Layer.succeed(Moderation, {
  stateOf: () => undefined,
  isTrusted: () => false,
  rules: () => [],
  text: () => undefined,
  isTakenDown: () => false,
  apply: () => Effect.void
})

const layerVerifier = Layer.succeed(Verifier, {
  sender: () => Effect.succeed({ verify: () => unused, verifyAll: () => unused, sign: () => unused }),
  pubkey: "0".repeat(63).concat("1"),
  engine: "none"
})

/** The fakes, and what lies beneath a component. */
export const layerStore = (overrides: Overrides = {}) =>
  layerAdmission.pipe(
    Layer.provideMerge(layerDatabase),
    Layer.provideMerge(FakeStore.layer),
    Layer.provideMerge(layerVerifier),
    Layer.provideMerge(layerModeration),
    Layer.provideMerge(Supervisor.layer),
    Layer.provideMerge(Shutdown.layerTest),
    Layer.provideMerge(Settings.layerTest({ bindAddr: { host: "127.0.0.1", port: 0 }, ...overrides })),
    // What a test finds, it asserts.
    Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
  )

/** A relay on a free port over the fakes. */
export const layer = (overrides: Overrides = {}) => RelayServer.layer.pipe(Layer.provideMerge(layerStore(overrides)))

export const readError = new DatabaseError({ operation: "read", cause: new Error("the disk is gone") })
