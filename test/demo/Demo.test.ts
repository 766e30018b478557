import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import { existsSync } from "node:fs"
import { createServer } from "node:http"
import { dirname } from "node:path"
import { HarvestStatus, Progress } from "../../src/aggregation/harvest/HarvestStatus.ts"
import { Settings } from "../../src/config/Settings.ts"
import { layer } from "../../src/demo/Demo.ts"
import { DemoWorld, settingsLayer } from "../../src/demo/DemoWorld.ts"
import { listen } from "../../src/demo/loopback.ts"
import * as Screen from "../../src/demo/Screen.ts"
import { Shutdown } from "../../src/lifecycle/Shutdown.ts"
import { Supervisor } from "../../src/lifecycle/Supervisor.ts"
import { RelayAddress } from "../../src/websocket/RelayServer.ts"
import { noLeaks } from "../support/leaks.ts"
import { connect } from "../support/TestClient.ts"

const lifecycle = Supervisor.layer.pipe(Layer.provideMerge(Shutdown.layerTest))

/** Lines that stay, and a way to wait for one. */
const recorder = () => {
  const lines: Array<string> = []
  const waiting: Array<{ readonly text: string; readonly found: Deferred.Deferred<void> }> = []
  const write = (line: string) => {
    lines.push(line)
    for (const { found, text } of waiting) if (line.includes(text)) Deferred.doneUnsafe(found, Effect.void)
  }
  const line = (text: string) =>
    Effect.suspend(() => {
      if (lines.some((known) => known.includes(text))) return Effect.void
      const found = Deferred.makeUnsafe<void>()
      waiting.push({ text, found })
      return Effect.timeout(Deferred.await(found), "5 seconds")
    })
  const screen = Screen.make(
    { write, writeSync: write, dropped: () => 0, pending: () => 0, isTerminal: false },
    { write: () => {} },
    () => 0
  )
  return { screen, lines, line }
}

const idle = { waiting: 0, unchecked: 0, checking: 0, outcomes: {}, rejections: {} }

describe("Demo", () => {
  it.live("shows the harvest, and outlives it with newcomers", () => {
    const { line, lines, screen } = recorder()
    const progress = new Progress("ws://127.0.0.1:1", () => 500)
    const service = Layer.mergeAll(
      Layer.succeed(RelayAddress, { host: "127.0.0.1", port: 7777, url: "ws://127.0.0.1:7777" }),
      Layer.succeed(HarvestStatus, { upstreams: Effect.sync(() => [progress.view()]), retries: Effect.succeed(idle) })
    )
    const world = DemoWorld.layer({ profiles: 50, seed: 1, port: 0 }, screen)
    return noLeaks(
      Effect.gen(function*() {
        yield* line("Serving at http://127.0.0.1:7777/ and ws://127.0.0.1:7777")
        progress.count({ _tag: "Saved", seq: 1 })
        yield* line("harvest ")
        assert.isFalse(lines.some((text) => text.includes("Harvested")))
        progress.phase = "live"
        yield* line("Harvested 1 events from 2 upstreams")
        yield* line("Ctrl-C")
      }).pipe(Effect.provide(
        layer(service, screen).pipe(
          Layer.provide(settingsLayer),
          Layer.provide(world),
          Layer.provide(lifecycle)
        )
      ))
    )
  })

  it.live("releases the world after the service, and leaves nothing behind", () => {
    const { screen } = recorder()
    const facts: Array<string> = []
    const world = DemoWorld.layer({ profiles: 50, seed: 1, port: 0 }, screen)
    let folder = ""
    const service = Layer.effect(
      RelayAddress,
      Effect.gen(function*() {
        const settings = yield* Settings
        folder = dirname(settings.databasePath)
        const upstream = settings.upstreams[0] ?? ""
        const look = (when: string) =>
          Effect.scoped(Effect.flatMap(connect(upstream), (client) => client.req("a", { kinds: [0] }))).pipe(
            Effect.map(({ events }) => void facts.push(`${when}: ${events.length > 0} ${existsSync(folder)}`)),
            Effect.orDie
          )
        yield* look("start")
        yield* Effect.addFinalizer(() => look("stop"))
        return RelayAddress.of({ host: "", port: 0, url: "ws://127.0.0.1:0" })
      })
    ).pipe(
      Layer.provideMerge(Layer.succeed(HarvestStatus, { upstreams: Effect.succeed([]), retries: Effect.succeed(idle) }))
    )
    const app = layer(service, screen).pipe(
      Layer.provide(settingsLayer),
      Layer.provide(world),
      Layer.provide(lifecycle)
    )
    return Effect.gen(function*() {
      yield* noLeaks(Effect.provide(Effect.void, app))
      assert.deepStrictEqual(facts, ["start: true true", "stop: true true"])
      assert.isFalse(existsSync(folder))
    })
  })

  it.live("moves to the next port when the usual one is taken", () =>
    Effect.gen(function*() {
      const taken = yield* listen(createServer(), "127.0.0.1", 0)
      const { screen } = recorder()
      const settings = yield* DemoWorld.use(({ settings }) => Effect.succeed(settings)).pipe(
        Effect.provide(DemoWorld.layer({ profiles: 1, seed: 1, port: taken }, screen))
      )
      assert.notStrictEqual(settings.bindAddr.port, taken)
      assert.strictEqual(settings.relayUrl, `ws://127.0.0.1:${settings.bindAddr.port}`)
    }))

  it.live("sends newcomers to those who listen, proof first", () => {
    const { screen } = recorder()
    return noLeaks(
      Effect.gen(function*() {
        const world = yield* DemoWorld
        const client = yield* connect(world.upstreams[0]?.url ?? "")
        yield* client.req("live", { limit: 0 })
        const person = yield* world.arrive
        const sent = [...person.notes, ...person.lists, ...person.profiles]
        for (const event of sent) assert.deepStrictEqual(yield* client.next("EVENT"), ["EVENT", "live", event])
      }).pipe(Effect.provide(DemoWorld.layer({ profiles: 10, seed: 3, port: 0 }, screen)))
    )
  })
})
