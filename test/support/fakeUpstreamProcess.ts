/**
 * A `FakeUpstream` as a process of its own: prints `{"url":"ws://…"}`, and lives until a signal or the end of its stdin.
 *
 *     node test/support/fakeUpstreamProcess.ts [--events FILE.jsonl] [--port N] [--page-max N] [--faults JSON] [--log]
 *
 * With `--log` every request is a line too: `{"request": {…}}`.
 *
 * On stdin it takes one JSON per line: `{"behave": {…faults}}`, `{"publish": {…event}}`, `{"cutAll": true}`.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Deferred, Effect } from "effect"
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"
import type { Event } from "../../src/domain/Event.ts"
import { type Faults, make } from "./FakeUpstream.ts"

interface Command {
  readonly behave?: Faults
  readonly publish?: Event
  readonly cutAll?: boolean
}

const { values } = parseArgs({
  options: {
    events: { type: "string" },
    port: { type: "string", default: "0" },
    "page-max": { type: "string" },
    faults: { type: "string", default: "{}" },
    log: { type: "boolean", default: false }
  }
})

const events = values.events === undefined
  ? []
  : readFileSync(values.events, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line) as Event)

const print = (line: object) => void process.stdout.write(`${JSON.stringify(line)}\n`)

const program = Effect.gen(function*() {
  const upstream = yield* make({
    events,
    port: Number(values.port),
    faults: JSON.parse(values.faults) as Faults,
    ...(values.log ? { onRequest: (request) => print({ request }) } : {}),
    ...(values["page-max"] === undefined ? {} : { pageMax: Number(values["page-max"]) })
  })
  const ended = yield* Deferred.make<void>()
  const lines = yield* Effect.acquireRelease(
    Effect.sync(() => createInterface({ input: process.stdin })),
    (lines) =>
      Effect.sync(() => {
        lines.close()
        process.stdin.destroy()
      })
  )
  lines.on("line", (line) => {
    const command = JSON.parse(line) as Command
    if (command.behave !== undefined) upstream.behave(command.behave)
    if (command.publish !== undefined) upstream.publish(command.publish)
    if (command.cutAll === true) upstream.cutAll()
  })
  lines.on("close", () => Deferred.doneUnsafe(ended, Effect.void))
  print({ url: upstream.url })
  yield* Deferred.await(ended)
})

NodeRuntime.runMain(Effect.scoped(program))
