/**
 * Who wants to hear of which new events.
 *
 * A subscription is entered here before its stored events are read, so nothing committed meanwhile is missed; the
 * connection keeps those commits until the stored events are sent, and drops the ones the read already saw (`seq`).
 *
 * Each filter is indexed by its most selective field only. An event is looked up by its id, author, tags and kind, and
 * tested against the few filters that come up: the cost of an event grows with its readers, not with all clients.
 */
import { Effect, Metric, PubSub } from "effect"
import { type Commit, Database } from "../../database/Database.ts"
import type { Event } from "../../domain/Event.ts"
import { type Filter, matches } from "../../domain/Filter.ts"
import { profileKind } from "../../domain/Kinds.ts"
import { profileOf } from "../../domain/Profile.ts"
import * as RelayMessage from "../../domain/RelayMessage.ts"
import {
  isAnswer,
  keysOf,
  keysOfQuery,
  mayAnswer,
  type SearchDocument,
  searchDocumentOf,
  type SearchQuery,
  searchQueryOf
} from "../../domain/SearchQuery.ts"
import { Supervisor } from "../../lifecycle/Supervisor.ts"
import { websocketEventsSent } from "../../observability/Metrics.ts"
import { SharedFrame } from "./Frames.ts"

/** What the index knows of a subscription; `Connection` has the rest. */
export interface Subscriber {
  /** The client's name for it. */
  readonly id: string
  readonly filters: ReadonlyArray<Filter>
  /** May the client see it? Asked of every event that matches. */
  readonly mayRead: (event: Event) => boolean
  /** Called once per commit that matches any filter, in commit order. `frame` is shared by all clients with this id. */
  readonly deliver: (commit: Commit, frame: SharedFrame) => void
}

interface Entry {
  readonly subscriber: Subscriber
  readonly filter: Filter
  /** What a new profile has to answer, however relevantly: live events have no order but that of their commits (NIP-50). */
  readonly query: SearchQuery | undefined
}

const queryOf = ({ search }: Filter): SearchQuery | undefined =>
  search === undefined ? undefined : searchQueryOf(search)

/** What a new profile is found by. */
const documentOf = (event: Event): SearchDocument | undefined => {
  const profile = event.kind === profileKind ? profileOf(event.content, Infinity) : undefined
  return typeof profile === "object" ? searchDocumentOf(profile, event.pubkey) : undefined
}

/** Filters under one key, such as an author. Most keys have one, which is worth no set: a REQ of 100 authors has 100 keys. */
type Index<K> = Map<K, Entry | Set<Entry>>

/** Events to deliver before other fibers get their turn: about 5 ms. */
const deliveriesPerTurn = 4096

/** Looking up a profile by its words takes as long as so many deliveries: 20 to 50 µs. */
const wordsCost = 32

export class Subscriptions {
  readonly #ids: Index<string> = new Map()
  readonly #authors: Index<string> = new Map()
  /** By letter and value, such as `pabc…`. */
  readonly #tags: Index<string> = new Map()
  /** By words of the query, each filter under a few. */
  readonly #words: Index<string> = new Map()
  readonly #kinds: Index<number> = new Map()
  readonly #rest = new Set<Entry>()
  readonly #entries = new Map<Subscriber, ReadonlyArray<() => void>>()
  #stopped = false

  /** Subscriptions that are entered. */
  get size(): number {
    return this.#entries.size
  }

  add(subscriber: Subscriber): void {
    this.#entries.set(subscriber, subscriber.filters.map((filter) => this.#enter(subscriber, filter)))
  }

  remove(subscriber: Subscriber): void {
    for (const leave of this.#entries.get(subscriber) ?? []) leave()
    this.#entries.delete(subscriber)
  }

  /** No live events any more. */
  stop(): void {
    this.#stopped = true
  }

  /** Delivers to everyone who wants it; returns to how many. */
  announce(commit: Commit): number {
    const found = this.#stopped ? undefined : this.#find(commit.event)
    if (found === undefined) return 0
    const frames = new Map<string, SharedFrame>()
    for (const subscriber of found) {
      let frame = frames.get(subscriber.id)
      if (frame === undefined) {
        frame = new SharedFrame(RelayMessage.event(subscriber.id, commit.raw))
        frames.set(subscriber.id, frame)
      }
      subscriber.deliver(commit, frame)
    }
    return found.size
  }

  /** What it takes to find out who wants to hear of it, in deliveries. */
  costOf({ kind }: Event): number {
    return kind === profileKind && this.#words.size > 0 ? wordsCost : 1
  }

  /** Would anybody be told of this event now? */
  isAwaited(event: Event): boolean {
    return this.#find(event) !== undefined
  }

  /** Everyone who wants it and may have it; undefined is nobody. */
  #find(event: Event): ReadonlySet<Subscriber> | undefined {
    let found: Set<Subscriber> | undefined
    // Taken apart when first asked for: most events are no profiles, and few clients wait for one that they describe.
    let document: SearchDocument | undefined | null = null
    const ask = ({ subscriber, filter, query }: Entry) => {
      if (found?.has(subscriber) === true || !matches(filter, event) || !subscriber.mayRead(event)) return
      if (query !== undefined) {
        if (document === null) document = documentOf(event)
        if (document === undefined || !isAnswer(query, document)) return
      }
      found ??= new Set()
      found.add(subscriber)
    }
    const look = (entries: Entry | Set<Entry> | undefined, askOne = ask) => {
      if (entries instanceof Set) { for (const entry of entries) askOne(entry) }
      else if (entries !== undefined) askOne(entries)
    }
    look(this.#rest)
    look(this.#kinds.get(event.kind))
    look(this.#authors.get(event.pubkey))
    look(this.#ids.get(event.id))
    if (this.#tags.size > 0) {
      for (const [name, value] of event.tags) {
        if (name?.length === 1 && value !== undefined) look(this.#tags.get(name + value))
      }
    }
    if (this.#words.size > 0) {
      document = documentOf(event)
      const keys: ReadonlySet<string> = document === undefined ? new Set() : keysOf(document)
      // Any number of clients may wait for a common word beside one that nobody has.
      const askPromising = (entry: Entry) => {
        if (entry.query !== undefined && mayAnswer(entry.query, keys)) ask(entry)
      }
      for (const key of keys) look(this.#words.get(key), askPromising)
    }
    return found
  }

  /** Returns how to leave again. An empty list matches nothing, so its filter has no key and is never looked at. */
  #enter(subscriber: Subscriber, filter: Filter): () => void {
    const entry: Entry = { subscriber, filter, query: queryOf(filter) }
    const { ids, authors, tags, kinds } = filter
    if (ids !== undefined) return enter(this.#ids, ids, entry)
    if (authors !== undefined) return enter(this.#authors, authors, entry)
    if (tags !== undefined && tags.size > 0) {
      const [letter, values] = fewest(tags)
      return enter(this.#tags, values.map((value) => letter + value), entry)
    }
    if (entry.query !== undefined) return enter(this.#words, keysOfQuery(entry.query), entry)
    if (kinds !== undefined) return enter(this.#kinds, kinds, entry)
    this.#rest.add(entry)
    return () => this.#rest.delete(entry)
  }
}

/** The tag condition with the fewest values; all must hold, so any one of them may be the key. */
const fewest = (
  tags: NonNullable<Filter["tags"]>
): readonly [letter: string, values: ReadonlyArray<string>] => {
  let best: readonly [string, ReadonlyArray<string>] | undefined
  for (const tag of tags) if (best === undefined || tag[1].length < best[1].length) best = tag
  return best ?? ["", []]
}

const enter = <K>(index: Index<K>, keys: ReadonlyArray<K>, entry: Entry): () => void => {
  for (const key of keys) {
    const there = index.get(key)
    if (there === undefined) index.set(key, entry)
    else if (there instanceof Set) there.add(entry)
    // A key may come twice in one list.
    else if (there !== entry) index.set(key, new Set([there, entry]))
  }
  return () => {
    for (const key of keys) {
      const there = index.get(key)
      if (there === entry) index.delete(key)
      else if (there instanceof Set && there.delete(entry) && there.size === 0) index.delete(key)
    }
  }
}

/** A register that is told of every commit by a fiber of its own, which ends with the scope. */
export const make = Effect.gen(function*() {
  const database = yield* Database
  const supervisor = yield* Supervisor
  const subscriptions = new Subscriptions()
  const commits = yield* database.commits
  yield* supervisor.fork(
    "websocket/subscriptions",
    Effect.gen(function*() {
      let delivered = 0
      let sent = 0
      while (true) {
        for (const batch of yield* PubSub.takeAll(commits)) {
          for (const commit of batch) {
            const readers = subscriptions.announce(commit)
            sent += readers
            delivered += subscriptions.costOf(commit.event) + readers
            if (delivered < deliveriesPerTurn) continue
            delivered = 0
            yield* Effect.yieldNow
          }
        }
        yield* Metric.update(websocketEventsSent, sent)
        sent = 0
      }
    })
  )
  return subscriptions
})
