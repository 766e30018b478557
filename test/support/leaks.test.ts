import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { closeSync, openSync } from "node:fs"
import { createServer } from "node:net"
import { Worker } from "node:worker_threads"
import { Journal } from "../../src/lifecycle/Journal.ts"
import * as FakeUpstream from "./FakeUpstream.ts"
import { noLeaks, remaining, settled, snapshot } from "./leaks.ts"
import { connect } from "./TestClient.ts"

const journal = () => new Journal({ now: () => 0, wallTime: () => 0, emit: () => {} })

describe("leaks", () => {
  it.live("finds a server that was left listening", () =>
    Effect.gen(function*() {
      const server = createServer()
      const left = yield* Effect.flip(noLeaks(Effect.callback<void>((resume) => {
        server.listen(0, () => resume(Effect.void))
      })))
      assert.deepStrictEqual(left._tag === "Leaked" ? left.what : [], ["TCPServerWrap"])
      server.close()
    }))

  it.live("finds a timer, a file and a thread", () =>
    Effect.gen(function*() {
      const before = snapshot()
      const timer = setInterval(() => {}, 1000)
      assert.include(remaining(before), "Timeout")
      clearInterval(timer)

      const file = openSync(import.meta.filename, "r")
      assert.include(remaining(before), `file ${import.meta.filename}`)
      closeSync(file)
      assert.notInclude(remaining(before), `file ${import.meta.filename}`)

      const worker = new Worker("setInterval(() => {}, 1000)", { eval: true, name: "verifier 1" })
      yield* Effect.callback<void>((resume) => void worker.once("online", () => resume(Effect.void)))
      assert.include(remaining(before), "thread verifier 1")
      yield* Effect.promise(() => worker.terminate())
      yield* settled(before)
    }))

  it("finds senders and fibers in a journal", () => {
    const book = journal()
    const before = snapshot()
    book.fibers.add({ name: "harvest", since: 0 })
    book.mailboxes.add({
      name: "database",
      capacity: 1,
      depth: () => 0,
      holders: () => [{ mailbox: "database", label: "websocket/connection 17", since: 0, site: [], inFlight: 0 }]
    })
    const left = remaining(before, book)
    assert.include(left, "sender of websocket/connection 17 to database")
    assert.include(left, "fiber harvest")
  })

  it.live("waits for what closes in the background", () =>
    noLeaks(Effect.gen(function*() {
      const upstream = yield* FakeUpstream.make()
      const client = yield* connect(upstream.url)
      yield* client.req("a", {})
      yield* Effect.acquireRelease(
        Effect.sync(() => new Worker("setInterval(() => {}, 1000)", { eval: true })),
        (worker) => Effect.sync(() => void worker.terminate())
      )
    })))

  it.live("keeps the failure of a test that fails", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Effect.flip(noLeaks(Effect.fail("mine"))), "mine")
      yield* settled(snapshot(), journal())
    }))
})
