/** Starting on a full store, stopping under load, and harvesting from an upstream. */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { block, blockEvents } from "./Corpus.ts"
import * as Load from "./Load.ts"
import type { Measures } from "./Measures.ts"
import { cpuTime } from "./ProcessMeter.ts"
import * as Relay from "./Relay.ts"
import { connect, connectMany, reqMessage } from "./RelayClient.ts"
import { database, type Group, publicationsOf, type Side, type Stage } from "./Stage.ts"

const starting = (side: Side, blocks: number): Stage => ({
  name: `start: on ${(blocks * blockEvents).toLocaleString("en")} events`,
  round: Effect.fnUntraced(function*() {
    const relay = yield* Relay.start({ program: side.program, database: yield* database(side, blocks) })
    const client = yield* connect(relay.url)
    const accepts = performance.now() - relay.startedAt
    yield* Load.query([client], [reqMessage("q", { kinds: [0], limit: 1 })], 0)
    const first = performance.now() - relay.startedAt
    const startCpu = cpuTime(relay.pid).process / 1000
    // Compiled code is kept at the end of a process that ends by itself: the first round is a first start, the others are not.
    yield* relay.stop
    return { accepts, first, startCpu } satisfies Measures
  })
})

export const start: Group = {
  name: "start",
  on: "started",
  prepare: (side) => Effect.map(database(side, 10), () => [starting(side, 10)])
}
export const startBig: Group = {
  name: "start",
  on: "started",
  prepare: (side) => Effect.map(database(side, 100), () => [starting(side, 100)])
}

/** Milliseconds of load before the signal. */
const loadBefore = 500

export const stop: Group = {
  name: "stop",
  on: "service",
  prepare: (side) =>
    Effect.succeed([{
      name: "stop: SIGTERM under 8 × 32 unanswered events",
      round: Effect.fnUntraced(function*(index) {
        const relay = yield* Relay.start({ program: side.program })
        const clients = yield* connectMany(relay.url, 8)
        const publications = publicationsOf(block("profiles", index + 1))
        // It ends when the relay says goodbye, which is a failure of any other load.
        const flood = Effect.ignore(Load.publish(clients, publications, 32))
        const [ended] = yield* Effect.all([Effect.delay(relay.stop, loadBefore), flood], { concurrency: 2 })
        const certificate = (JSON.parse(ended.lastLine) as { readonly stopped?: { readonly unanswered?: number } })
          .stopped
        return {
          stops: ended.millis,
          code: ended.code ?? Number.NaN,
          ...(certificate?.unanswered === undefined ? {} : { unanswered: certificate.unanswered })
        } satisfies Measures
      })
    }])
}

const upstreamEntry = join(import.meta.dirname, "../support/fakeUpstreamProcess.ts")
/** Events that the upstream has. */
const upstreamEvents = 2 * blockEvents

const upstreamProcess = Effect.fnUntraced(function*(path: string) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [upstreamEntry, "--events", path, "--page-max", "500"], {
        stdio: ["pipe", "pipe", "inherit"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  return yield* Effect.callback<string>((resume) => {
    createInterface({ input: child.stdout }).once(
      "line",
      (line) => resume(Effect.succeed((JSON.parse(line) as { readonly url: string }).url))
    )
  })
})

const harvesting = (side: Side, share: number): Stage => ({
  name: `harvest: ${100 * share} % known`,
  round: Effect.fnUntraced(function*() {
    const folder = yield* Relay.folder
    const events = [...block("profiles", 0), ...block("profiles", 1)]
    const known = events.filter((_, i) => (i * 7919) % 10 < 10 * share)
    const path = join(folder, "events.jsonl")
    writeFileSync(path, events.join("\n"))
    const stored = join(folder, "stored.db")
    yield* side.program.write(stored, [known])
    const url = yield* upstreamProcess(path)
    const relay = yield* Relay.start({
      program: side.program,
      flags: side.flags,
      database: stored,
      env: { DISCOVERY_RELAY_URL: url }
    })
    yield* relay.line("upstream connected")
    yield* relay.ask("begin")
    const before = cpuTime(relay.pid)
    const since = performance.now()
    yield* relay.line("upstream is covered")
    const seconds = (performance.now() - since) / 1000
    const after = cpuTime(relay.pid)
    const loop = yield* relay.ask("end")
    return {
      rate: upstreamEvents / seconds,
      cpu: (after.process - before.process) / upstreamEvents,
      main: (after.main - before.main) / upstreamEvents,
      ...(loop._tag === "Some" ? { loop: loop.value } : {})
    } satisfies Measures
  })
})

export const harvest: Group = {
  name: "harvest",
  on: "service",
  prepare: (side) => Effect.succeed([0, 0.5, 0.9].map((share) => harvesting(side, share)))
}
