/** What every engine behind the `Database` contract is held to: a function of its layer. */
import { assert, it as vitest } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, PubSub, Scope } from "effect"
import { describe } from "vitest"
import { Database, DatabaseError, type Operation, type Outcome, textOf } from "../../src/database/Database.ts"
import type { Event } from "../../src/domain/Event.ts"
import type { Filter } from "../../src/domain/Filter.ts"
import { certify } from "../../src/lifecycle/Certificate.ts"
import type { MailboxClosed } from "../../src/lifecycle/Mailbox.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { deletionEvent, epoch, keyOf, profileEvent, signed } from "../support/events.ts"
import type { TestLayer } from "./support.ts"

export interface Options {
  /** How time passes for the layer: `it.live` for threads and files, `it.effect` for the test clock. */
  readonly clock: "live" | "test"
  /** A store that its owner can close and open again; absent when it does not outlive its layer. */
  readonly reopen?: () => TestLayer
}

const save = (event: Event): Operation => ({ _tag: "Save", event })
const tags = (outcomes: ReadonlyArray<Outcome>) => outcomes.map(({ _tag }) => _tag)

/** Saves one by one and says what became of each. */
export const saveAll = (events: ReadonlyArray<Event>) =>
  Effect.scoped(Effect.gen(function*() {
    const { write } = yield* (yield* Database).sender("test")
    return tags(yield* Effect.forEach(events, (event) => Effect.map(write([save(event)]), ([outcome]) => outcome!)))
  }))

export const write = (operations: ReadonlyArray<Operation>) =>
  Effect.scoped(
    Effect.flatMap(Database, ({ sender }) => Effect.flatMap(sender("test"), ({ write }) => write(operations)))
  )

/** Ids of what a query finds, in its order. */
export const idsOf = (filters: ReadonlyArray<Filter>, limitMax = 500) =>
  Effect.flatMap(
    Database,
    ({ query }) =>
      Effect.map(
        query(filters, { limitMax }),
        ({ events }) => events.map((raw) => (JSON.parse(textOf(raw)) as Event).id)
      )
  )

const article = (created_at: number, tags: Array<Array<string>>, author = "a", kind = 30023) =>
  signed({ kind, created_at, tags }, author)
const vanish = (relay: string) => signed({ kind: 62, created_at: epoch + 5, tags: [["relay", relay]] })
const expiring = (at: number) => signed({ created_at: 0, tags: [["expiration", `${at}`]] })
const put = (space: string, key: string, value: string | null, due: number | null = null): Operation => ({
  _tag: "Record",
  space,
  key,
  value,
  due
})
const retry = (key: string, due: number | null) => put("retry", key, key, due)

const ids = (events: ReadonlyArray<Event>) => events.map(({ id }) => id)
const byId = (events: ReadonlyArray<Event>) => events.toSorted((a, b) => a.id < b.id ? -1 : 1)

const authorOf = (raw: string) => (JSON.parse(raw) as Event).pubkey

export const suite = (name: string, layer: TestLayer, options: Options): void => {
  const it = (title: string, body: () => Effect.Effect<void, unknown, Database | Shutdown | Scope.Scope>) =>
    (options.clock === "live" ? vitest.live : vitest.effect)(
      title,
      () => Effect.provide(Effect.scoped(body()), Layer.fresh(layer))
    )

  describe(`Database over ${name}`, () => {
    describe("committedAfter", () => {
      it("answers what is stored still, in the order in which it was committed, from a place on", () =>
        Effect.gen(function*() {
          const { committedAfter } = yield* Database
          assert.deepStrictEqual(yield* committedAfter(0, 10), [])
          const [first, second, third] = ["a", "b", "c"].map((author, n) =>
            profileEvent({}, author, { created_at: epoch - n })
          )
          const newer = profileEvent({ name: "newer" }, "a", { created_at: epoch + 1 })
          yield* saveAll([first!, second!, third!, newer])
          const all = yield* committedAfter(0, 10)
          assert.deepStrictEqual(
            all.map(({ event }) => (JSON.parse(textOf(event)) as Event).id),
            ids([second!, third!, newer])
          )
          assert.deepStrictEqual(yield* committedAfter(0, 2), all.slice(0, 2))
          assert.deepStrictEqual(yield* committedAfter(all[0]!.seq, 10), all.slice(1))
          assert.deepStrictEqual(yield* committedAfter(all[2]!.seq, 10), [])
        }))
    })

    describe("draw", () => {
      it("gives everybody one turn in an order that a seed picks, page by page, and nobody else", () =>
        Effect.gen(function*() {
          const { draw } = yield* Database
          const all = Array.from({ length: 40 }, (_, n) => profileEvent({}, `drawn ${n}`))
          yield* saveAll([...all.flatMap((event, n) => [event, signed({}, `drawn ${n}`)]), signed({}, "nobody")])
          const pages: Array<ReadonlyArray<string>> = []
          let page = yield* draw({ kind: 0, seed: 7, from: 0, count: 7 })
          const { top } = page
          for (; page.next < top; page = yield* draw({ kind: 0, seed: 7, top, from: page.next, count: 7 })) {
            assert.strictEqual(page.events.length, 7)
            pages.push(page.events)
          }
          pages.push(page.events)
          const drawn = pages.flat().map(authorOf)
          assert.deepStrictEqual(drawn.toSorted(), all.map(({ pubkey }) => pubkey).toSorted())
          const again = yield* draw({ kind: 0, seed: 7, top, from: 0, count: 7 })
          assert.deepStrictEqual(again.events, pages[0])
          const other = yield* draw({ kind: 0, seed: 8, top, from: 0, count: 40 })
          assert.notDeepEqual(other.events.map(authorOf), drawn)
        }))

      it("keeps its order while others come, leaves out who is gone, and has none in an empty store", () =>
        Effect.gen(function*() {
          const { draw } = yield* Database
          assert.deepStrictEqual(yield* draw({ kind: 0, seed: 1, from: 0, count: 5 }), { top: 0, next: 0, events: [] })
          const all = Array.from({ length: 10 }, (_, n) => profileEvent({}, `drawn ${n}`))
          yield* saveAll(all)
          const whole = yield* draw({ kind: 0, seed: 3, from: 0, count: 10 })
          const gone = all[4]!
          yield* saveAll([profileEvent({}, "late"), deletionEvent([gone.id], "drawn 4")])
          const later = yield* draw({ kind: 0, seed: 3, top: whole.top, from: 0, count: 10 })
          assert.deepStrictEqual(
            later.events.map(authorOf),
            whole.events.map(authorOf).filter((pubkey) => pubkey !== gone.pubkey)
          )
          assert.strictEqual(later.next, whole.top)
        }))
    })

    describe("NIP-01, kinds", () => {
      it("answers Duplicate when the same event is saved twice, replaceable or not", () =>
        Effect.gen(function*() {
          const note = signed()
          const profile = profileEvent()
          const recipe = article(epoch, [["d", "a"]])
          assert.deepStrictEqual(yield* saveAll([note, profile, recipe]), ["Saved", "Saved", "Saved"])
          assert.deepStrictEqual(yield* saveAll([note, profile, recipe]), ["Duplicate", "Duplicate", "Duplicate"])
          assert.deepStrictEqual((yield* (yield* Database).stats).events, 3)
        }))

      it("keeps the newest version of a replaceable event, in either order of arrival", () =>
        Effect.gen(function*() {
          const older = profileEvent({}, "a", { created_at: epoch })
          const newer = profileEvent({}, "a", { created_at: epoch + 1 })
          assert.deepStrictEqual(yield* saveAll([older, newer, older]), ["Saved", "Saved", "Superseded"])
          assert.deepStrictEqual(yield* idsOf([{ kinds: [0] }]), [newer.id])
          assert.deepStrictEqual(yield* idsOf([{ ids: [older.id] }]), [])
        }))

      it("keeps the lowest id when versions are of the same second", () =>
        Effect.gen(function*() {
          const [low, high] = byId([profileEvent({ name: "x" }), profileEvent({ name: "y" })]) as [Event, Event]
          assert.deepStrictEqual(yield* saveAll([low, high]), ["Saved", "Superseded"])
          const [first, second] = byId([profileEvent({ name: "x" }, "b"), profileEvent({ name: "y" }, "b")]) as [
            Event,
            Event
          ]
          assert.deepStrictEqual(yield* saveAll([second, first]), ["Saved", "Saved"])
          assert.sameMembers([...yield* idsOf([{ kinds: [0] }])], [low.id, first.id])
        }))

      it("keeps one addressable event per author, kind and first d tag", () =>
        Effect.gen(function*() {
          const first = article(epoch, [["d", "x"], ["d", "y"]])
          const second = article(epoch + 1, [["d", "x"]])
          const none = article(epoch, [])
          const empty = article(epoch + 1, [["d", ""]])
          const others = [
            article(epoch, [["d", "y"]]),
            article(epoch, [["d", "x"]], "b"),
            article(epoch, [["d", "x"]], "a", 30024)
          ]
          yield* saveAll([first, second, none, empty, ...others])
          assert.sameMembers([...yield* idsOf([{}])], ids([second, empty, ...others]))
        }))

      it("announces ephemeral events and does not store them", () =>
        Effect.gen(function*() {
          const database = yield* Database
          const commits = yield* database.commits
          const [note, ephemeral] = [signed(), signed({ kind: 20001 })]
          assert.deepStrictEqual(yield* saveAll([note, ephemeral]), ["Saved", "Ephemeral"])
          const seen = [...yield* PubSub.take(commits), ...yield* PubSub.take(commits)]
          assert.deepStrictEqual(seen.map(({ seq, event }) => [seq, event.id]), [[1, note.id], [1, ephemeral.id]])
          assert.deepStrictEqual(yield* idsOf([{}]), [note.id])
        }))
    })

    describe("the commit log", () => {
      it("numbers commits upwards without ever using a number twice, and announces them in order", () =>
        Effect.gen(function*() {
          const database = yield* Database
          const commits = yield* database.commits
          const events = Array.from(
            { length: 20 },
            (_, i) => profileEvent({ name: `${i}` }, "a", { created_at: epoch + i })
          )
          const outcomes = yield* write(events.map(save))
          assert.deepStrictEqual(outcomes, events.map((_, i) => ({ _tag: "Saved", seq: i + 1 })))
          yield* write([{ _tag: "Delete", ids: [events[19]!.id] }])
          assert.deepStrictEqual(yield* write([save(signed())]), [{ _tag: "Saved", seq: 21 }])
          const seen: Array<number> = []
          while (seen.length < 21) seen.push(...(yield* PubSub.take(commits)).map(({ seq }) => seq))
          assert.deepStrictEqual(seen, Array.from({ length: 21 }, (_, i) => i + 1))
        }))

      it("says as of which commit an answer is, empty or not", () =>
        Effect.gen(function*() {
          const { query } = yield* Database
          const empty = yield* query([{}], { limitMax: 10 })
          assert.deepStrictEqual(empty, { asOf: 0, events: [], complete: true })
          yield* saveAll([signed({ content: "1" }), signed({ content: "2" })])
          assert.strictEqual((yield* query([{ kinds: [7] }], { limitMax: 10 })).asOf, 2)
        }))

      it("misses nothing and doubles nothing between a query and the commits after it", () =>
        Effect.gen(function*() {
          const { commits, query, sender } = yield* Database
          const events = Array.from({ length: 200 }, (_, i) => signed({ content: `${i}`, created_at: epoch + i }))
          const { write } = yield* sender("test")
          const writer = yield* Effect.forEach(events, (event) => write([save(event)]), { concurrency: 16 }).pipe(
            Effect.forkChild({ startImmediately: true })
          )
          yield* write([save(signed({ content: "first" }))])
          const subscription = yield* commits
          const stored = yield* query([{ kinds: [1] }], { limitMax: 1000 })
          const live: Array<string> = []
          yield* Fiber.join(writer)
          const last = (yield* (yield* Database).stats).seq
          for (let seq = stored.asOf; seq < last;) {
            for (const commit of yield* PubSub.take(subscription)) {
              seq = commit.seq
              if (commit.seq > stored.asOf) live.push(commit.raw)
            }
          }
          const all = [...stored.events, ...live]
          assert.strictEqual(all.length, 201)
          assert.strictEqual(new Set(all).size, 201)
        }))
    })

    describe("writing", () => {
      it("applies all operations of a write, one outcome each, in order", () =>
        Effect.gen(function*() {
          const { record } = yield* Database
          const [a, b] = [signed({ content: "a" }), signed({ content: "b" })]
          const outcomes = yield* write([
            save(a),
            { _tag: "Record", space: "coverage", key: "relay", value: "{}", due: null },
            save(a),
            { _tag: "Delete", ids: [a.id, "0".repeat(64)] },
            save(b)
          ])
          assert.deepStrictEqual(tags(outcomes), ["Saved", "Done", "Duplicate", "Done", "Saved"])
          assert.deepStrictEqual(yield* idsOf([{}]), [b.id])
          assert.deepStrictEqual(yield* record("coverage", "relay"), { key: "relay", value: "{}", due: null })
        }))

      it("refuses a write that the store cannot hold as a whole, and commits its neighbours", () =>
        Effect.gen(function*() {
          const { sender } = yield* Database
          const { write } = yield* sender("test")
          const impossible: Operation = {
            _tag: "Record",
            space: "s",
            key: "k",
            value: 1.5 as unknown as string,
            due: 0.5
          }
          const [before, inside, after] = [signed({ content: "1" }), signed({ content: "2" }), signed({ content: "3" })]
          const exits = yield* Effect.forEach(
            [[save(before)], [save(inside), impossible], [save(after)]],
            (operations) => Effect.exit(write(operations)),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, true])
          assert.sameMembers([...yield* idsOf([{}])], ids([before, after]))
          const { seq, events } = yield* (yield* Database).stats
          assert.deepStrictEqual({ seq, events }, { seq: 2, events: 2 })
        }))

      it("does not lose a write whose caller was interrupted", () =>
        Effect.gen(function*() {
          const { sender } = yield* Database
          const { write } = yield* sender("test")
          const [first, second] = [signed({ content: "1" }), signed({ content: "2" })]
          const caller = yield* Effect.forkChild(write([save(first)]), { startImmediately: true })
          yield* Fiber.interrupt(caller)
          yield* write([save(second)])
          assert.sameMembers([...yield* idsOf([{}])], ids([first, second]))
        }))

      it("commits everything that was accepted when it is released, and answers it", () =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          const context = yield* Layer.buildWithScope(Layer.fresh(layer), scope)
          const events = Array.from({ length: 300 }, (_, i) => signed({ content: `${i}` }))
          type Answer = Exit.Exit<ReadonlyArray<Outcome>, DatabaseError | MailboxClosed>
          const callers = yield* Effect.gen(function*() {
            const { sender } = yield* Database
            const { write } = yield* Effect.provideService(sender("test"), Scope.Scope, scope)
            return yield* Effect.forEach(events, (event) =>
              Effect.forkChild(Effect.exit(write([save(event)])), { startImmediately: true }))
          }).pipe(Effect.provide(context))
          yield* Scope.close(scope, Exit.void)
          const exits: ReadonlyArray<Answer> = yield* Effect.forEach(callers, Fiber.join)
          assert.deepStrictEqual(
            exits.map((exit) =>
              Exit.isSuccess(exit) && exit.value[0]?._tag
            ),
            events.map(() => "Saved" as const)
          )
          const { journal } = yield* Effect.provide(Shutdown, context)
          const { committed, proofs, queue, wal } = certify(journal, [])
          assert.deepStrictEqual(
            [committed, proofs.ingesterExited, proofs.noWriteAfterClose, queue],
            [300, true, true, 0]
          )
          assert.deepStrictEqual([wal, journal.forced, journal.released], ["checkpointed", [], ["database"]])
        }))

      if (options.reopen !== undefined) {
        const reopened = options.reopen
        it("has everything when it is opened again, sequence numbers included", () =>
          Effect.gen(function*() {
            const target = reopened()
            const note = signed()
            const gone = signed({ content: "gone" })
            const deletion = deletionEvent([gone.id])
            yield* saveAll([gone, note, deletion]).pipe(Effect.provide(Layer.fresh(target)))
            yield* Effect.gen(function*() {
              assert.sameMembers([...yield* idsOf([{}])], ids([note, deletion]))
              assert.deepStrictEqual(yield* saveAll([gone, note]), ["Deleted", "Duplicate"])
              assert.deepStrictEqual(yield* write([save(signed({ content: "new" }))]), [{ _tag: "Saved", seq: 4 }])
            }).pipe(Effect.provide(Layer.fresh(target)))
          }))
      }
    })

    describe("NIP-09 deletion", () => {
      it("removes what its author names, keeps the request, and never lets it come back", () =>
        Effect.gen(function*() {
          const note = signed({ tags: [["t", "x"]] })
          const deletion = deletionEvent([note.id])
          assert.deepStrictEqual(yield* saveAll([note, deletion, note]), ["Saved", "Saved", "Deleted"])
          assert.deepStrictEqual(yield* idsOf([{}]), [deletion.id])
          assert.deepStrictEqual(yield* idsOf([{ tags: new Map([["t", ["x"]]]) }]), [])
          assert.strictEqual(yield* (yield* Database).preview(note), "Deleted")
        }))

      it("refuses what was deleted before it arrived, but only from the author who deleted it", () =>
        Effect.gen(function*() {
          const mine = signed({ content: "mine" })
          const theirs = signed({ content: "theirs" }, "other")
          yield* saveAll([deletionEvent([mine.id, theirs.id])])
          assert.deepStrictEqual(yield* saveAll([mine, theirs]), ["Deleted", "Saved"])
        }))

      it("ignores a request to delete somebody else's event", () =>
        Effect.gen(function*() {
          const theirs = signed({}, "other")
          const theirArticle = article(epoch, [["d", "x"]], "other")
          const address = `30023:${keyOf("other").pubkey}:x`
          yield* saveAll([
            theirs,
            theirArticle,
            signed({ kind: 5, created_at: epoch + 1, tags: [["e", theirs.id], ["a", address]] })
          ])
          assert.deepStrictEqual(yield* saveAll([theirs, theirArticle]), ["Duplicate", "Duplicate"])
        }))

      it("has no effect on deletions and requests to vanish, stored or not", () =>
        Effect.gen(function*() {
          const deletion = deletionEvent(["0".repeat(64)])
          const later = deletionEvent(["1".repeat(64)])
          const vanish = signed({ kind: 62, tags: [["relay", "wss://elsewhere.example"]] })
          yield* saveAll([deletion, vanish, deletionEvent([deletion.id, later.id, vanish.id], "author", epoch + 2)])
          assert.deepStrictEqual(yield* saveAll([deletion, vanish, later]), ["Duplicate", "Duplicate", "Saved"])
        }))

      for (const kind of [0, 10002, 30023]) {
        it(`removes versions of a kind ${kind} address up to the second of the request, and not later ones`, () =>
          Effect.gen(function*() {
            const { pubkey } = keyOf("author")
            const version = (created_at: number) => signed({ kind, created_at, tags: [["d", "x"]] })
            const deletion = signed({
              kind: 5,
              created_at: epoch + 5,
              tags: [["a", `${kind}:${pubkey}:${kind < 30000 ? "" : "x"}`]]
            })
            assert.deepStrictEqual(
              yield* saveAll([
                version(epoch + 5),
                deletion,
                version(epoch + 5),
                version(epoch + 4),
                version(epoch + 6)
              ]),
              ["Saved", "Saved", "Deleted", "Deleted", "Saved"]
            )
            assert.deepStrictEqual(yield* idsOf([{ kinds: [kind] }]), [version(epoch + 6).id])
          }))
      }

      it("keeps the later of two requests for one address", () =>
        Effect.gen(function*() {
          const { pubkey } = keyOf("author")
          const request = (created_at: number) => signed({ kind: 5, created_at, tags: [["a", `0:${pubkey}:`]] })
          yield* saveAll([request(epoch + 9), request(epoch + 3)])
          assert.deepStrictEqual(
            yield* saveAll([
              profileEvent({}, "author", { created_at: epoch + 9 }),
              profileEvent({}, "author", { created_at: epoch + 10 })
            ]),
            ["Deleted", "Saved"]
          )
        }))
    })

    describe("NIP-62 requests to vanish", () => {
      it("removes everything by the author up to the request, deletions and gift wraps included", () =>
        Effect.gen(function*() {
          const { pubkey } = keyOf("author")
          const old = [signed(), profileEvent(), deletionEvent(["0".repeat(64)])]
          const wrap = signed({ kind: 1059, tags: [["p", pubkey]] }, "stranger")
          const mention = signed({ tags: [["p", pubkey]] }, "stranger")
          const recent = signed({ created_at: epoch + 6 })
          const request = vanish("ALL_RELAYS")
          yield* saveAll([...old, wrap, mention, recent, request])
          assert.sameMembers([...yield* idsOf([{}])], ids([mention, recent, request]))
          assert.deepStrictEqual(yield* saveAll([...old, wrap]), ["Deleted", "Deleted", "Deleted", "Deleted"])
          assert.deepStrictEqual(yield* saveAll([profileEvent({}, "author", { created_at: epoch + 6 })]), ["Saved"])
        }))

      it("counts when it names this relay, however it is spelled, and not when it names another", () =>
        Effect.gen(function*() {
          const note = signed()
          yield* saveAll([note, vanish("wss://elsewhere.example")])
          assert.deepStrictEqual(yield* saveAll([note]), ["Duplicate"])
          yield* saveAll([vanish("WS://LOCALHOST:8080/")])
          assert.deepStrictEqual(yield* saveAll([note]), ["Deleted"])
        }))

      it("removes more than one transaction may in the sweeps that follow", () =>
        Effect.gen(function*() {
          const template = signed()
          const many = Array.from({ length: 2500 }, (_, i): Event => ({
            ...template,
            id: i.toString(16).padStart(8, "0").padEnd(64, "a"),
            kind: 1
          }))
          yield* write(many.map(save))
          yield* saveAll([vanish("ALL_RELAYS")])
          assert.isBelow(yield* (yield* Database).count([{ kinds: [1] }]), 2500)
          assert.deepStrictEqual(yield* saveAll([many[2499]!]), ["Deleted"])
        }))
    })

    describe("NIP-40 expiration", () => {
      it("refuses what has expired, and keeps what has not", () =>
        Effect.gen(function*() {
          const now = yield* Effect.clockWith((clock) =>
            Effect.map(clock.currentTimeMillis, (ms) => Math.floor(ms / 1000))
          )
          assert.deepStrictEqual(yield* saveAll([expiring(now), expiring(now + 1000)]), ["Expired", "Saved"])
          assert.strictEqual(yield* (yield* Database).preview(expiring(now)), "Expired")
        }))
    })

    describe("many writes at once", () => {
      it("have one answer each, in order, and each of them stands by itself", () =>
        Effect.gen(function*() {
          const { writeAll } = yield* (yield* Database).sender("test")
          const notes = Array.from({ length: 3 }, (_, n) => signed({ content: `note ${n}` }))
          const saves = notes.map((event): Operation => ({ _tag: "Save", event }))
          const results = yield* writeAll([
            ...saves.map((save) => [save]),
            saves.slice(0, 2),
            []
          ])
          const tags = results.map((written) =>
            written instanceof DatabaseError ? "refused" : written.map(({ _tag }) => _tag)
          )
          assert.deepStrictEqual(tags, [["Saved"], ["Saved"], ["Saved"], ["Duplicate", "Duplicate"], []])
          assert.deepStrictEqual(yield* writeAll([]), [])
          let isQueued = false
          const writing = yield* Effect.forkChild(
            writeAll([[{ _tag: "Save", event: signed({ content: "queued" }) }]], () => void (isQueued = true)),
            { startImmediately: true }
          )
          assert.deepStrictEqual([isQueued, writing.pollUnsafe()], [true, undefined])
          yield* Fiber.join(writing)
          const { previewAll } = yield* Database
          assert.deepStrictEqual(yield* previewAll([signed({ content: "new" }), ...notes]), [
            "New",
            "Duplicate",
            "Duplicate",
            "Duplicate"
          ])
        }))
    })

    describe("preview", () => {
      it("says what a save would do", () =>
        Effect.gen(function*() {
          const { preview } = yield* Database
          const [note, old, profile] = [
            signed(),
            profileEvent({}, "a", { created_at: epoch }),
            profileEvent({}, "a", { created_at: epoch + 1 })
          ]
          const all = [note, old, profile, signed({ kind: 20000 })]
          assert.deepStrictEqual(yield* Effect.forEach(all, preview), ["New", "New", "New", "New"])
          yield* saveAll([note, profile])
          assert.deepStrictEqual(yield* Effect.forEach(all, preview), ["Duplicate", "Superseded", "Duplicate", "New"])
        }))
    })

    describe("records", () => {
      it("remembers, replaces and forgets by space and key", () =>
        Effect.gen(function*() {
          const { record, records } = yield* Database
          yield* write([put("a", "2", "two"), put("a", "1", "one"), put("b", "1", "other"), put("a", "2", "zwei")])
          assert.deepStrictEqual(yield* records("a"), [
            { key: "1", value: "one", due: null },
            { key: "2", value: "zwei", due: null }
          ])
          yield* write([put("a", "1", null), put("a", "never", null)])
          assert.strictEqual(yield* record("a", "1"), undefined)
          assert.deepStrictEqual(yield* record("b", "1"), { key: "1", value: "other", due: null })
        }))

      it("returns what is due, soonest first, up to the limit", () =>
        Effect.gen(function*() {
          const { due } = yield* Database
          yield* write([retry("c", 30), retry("a", 10), retry("b", 20), retry("never", null), retry("later", 31)])
          assert.deepStrictEqual((yield* due("retry", 30, 10)).map(({ key }) => key), ["a", "b", "c"])
          assert.deepStrictEqual((yield* due("retry", 30, 2)).map(({ key }) => key), ["a", "b"])
          assert.deepStrictEqual(yield* due("retry", 9, 10), [])
        }))

      it("pages through more documents than one statement reads", () =>
        Effect.gen(function*() {
          const keys = Array.from({ length: 2001 }, (_, i) => i.toString().padStart(5, "0"))
          yield* write(keys.map((key) => ({ _tag: "Record", space: "many", key, value: "1", due: null })))
          assert.deepStrictEqual((yield* (yield* Database).records("many")).map(({ key }) => key), keys)
        }))
    })

    describe("queries", () => {
      const events = Array.from(
        { length: 12 },
        (_, i) =>
          signed(
            { content: `${i}`, created_at: epoch + Math.floor(i / 3), tags: [["t", `${i % 2}`]] },
            `author ${i % 4}`
          )
      )
      const expected = events.toSorted((a, b) => b.created_at - a.created_at || (a.id < b.id ? -1 : 1))

      it("sorts by time descending, then by lowest id, and cuts a second where the limit falls into it", () =>
        Effect.gen(function*() {
          yield* saveAll(events)
          for (let limit = 1; limit <= 12; limit++) {
            assert.deepStrictEqual(yield* idsOf([{ kinds: [1], limit }]), ids(expected.slice(0, limit)))
          }
        }))

      it("applies each filter's limit to it, the relay's to all, and returns no event twice", () =>
        Effect.gen(function*() {
          yield* saveAll(events)
          const zero: Filter = { tags: new Map([["t", ["0"]]]), limit: 2 }
          const evens = new Set(expected.filter((event) => event.tags[0]?.[1] === "0").slice(0, 2))
          const newest = new Set(expected.slice(0, 3))
          assert.deepStrictEqual(
            yield* idsOf([zero, { limit: 3 }]),
            ids(expected.filter((event) => evens.has(event) || newest.has(event)))
          )
          assert.deepStrictEqual(yield* idsOf([{ limit: 9 }], 4), ids(expected.slice(0, 4)))
        }))

      it("says whether a limit cut the answer short (NIP-67)", () =>
        Effect.gen(function*() {
          const { query } = yield* Database
          yield* saveAll(events)
          const complete = (filters: ReadonlyArray<Filter>, limitMax = 500) =>
            Effect.map(query(filters, { limitMax }), ({ complete }) => complete)
          assert.deepStrictEqual(
            [
              yield* complete([{ limit: 11 }]),
              yield* complete([{ limit: 12 }]),
              yield* complete([{}], 11),
              yield* complete([{}], 12),
              yield* complete([{ limit: 0 }]),
              yield* complete([{ kinds: [7], limit: 1 }]),
              yield* complete([{ limit: 12 }, { limit: 1 }])
            ],
            [false, true, false, true, false, true, false]
          )
        }))

      it("matches nothing for an empty list, or when since is after until", () =>
        Effect.gen(function*() {
          yield* saveAll(events)
          const filters: ReadonlyArray<Filter> = [
            { ids: [] },
            { authors: [] },
            { kinds: [] },
            { tags: new Map([["t", []]]) },
            { since: epoch + 1, until: epoch }
          ]
          for (const filter of filters) assert.deepStrictEqual(yield* idsOf([filter]), [])
        }))

      it("counts each event once, over all filters", () =>
        Effect.gen(function*() {
          const { count } = yield* Database
          yield* saveAll(events)
          assert.strictEqual(yield* count([{ kinds: [1, 1, 2] }]), 12)
          assert.strictEqual(yield* count([{ kinds: [1], since: epoch + 1, until: epoch + 2 }]), 6)
          assert.strictEqual(yield* count([{ tags: new Map([["t", ["0"]]]) }, { authors: [events[0]!.pubkey] }]), 6)
          assert.strictEqual(yield* count([{ tags: new Map([["t", ["0", "1"]]]), limit: 1 }]), 12)
        }))

      it("returns the event as it was signed", () =>
        Effect.gen(function*() {
          const event = signed({ content: "quote \" slash / \u2028 emoji 🦩 \u0001", tags: [["t", "ü"], ["x"]] })
          yield* saveAll([event])
          const { events } = yield* (yield* Database).query([{}], { limitMax: 1 })
          assert.deepStrictEqual(JSON.parse(textOf(events[0]!)), event)
        }))
    })
  })
}
