/**
 * Everything the demo needs from outside, on this machine: upstream relays full of made-up people, hosts with their
 * pictures, and a folder to forget afterwards. Released after the service that reads from it.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Settings, type SettingsShape } from "../config/Settings.ts"
import type { Event } from "../domain/Event.ts"
import { nowSeconds } from "../lifecycle/Now.ts"
import { DemoImages } from "./DemoImages.ts"
import * as DemoUpstream from "./DemoUpstream.ts"
import * as HarvestReport from "./HarvestReport.ts"
import type { Options } from "./Options.ts"
import * as Population from "./Population.ts"
import type { Screen } from "./Screen.ts"

export class DemoWorld extends Context.Service<DemoWorld, {
  readonly upstreams: ReadonlyArray<DemoUpstream.DemoUpstream>
  /** Somebody turns up: tells one of the upstreams about them. */
  readonly arrive: Effect.Effect<Population.Person>
  readonly settings: SettingsShape
}>()("profile-aggregator/demo/DemoWorld") {
  static readonly layer = (options: Options, screen: Screen): Layer.Layer<DemoWorld> =>
    Layer.effect(DemoWorld, make(options, screen)).pipe(Layer.provide(DemoImages.layer))
}

/** The service's settings, as the world wants them. */
export const settingsLayer: Layer.Layer<Settings, never, DemoWorld> = Layer.unwrap(
  Effect.map(DemoWorld, ({ settings }) => Settings.layerOf(settings))
)

const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "profile-aggregator-demo-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 3 }))
)

const portsTried = 10

/** The first of a few ports that nobody listens on, so that the usual one serves while it can; 0 when all are taken. */
const freePort = Effect.fnUntraced(function*(first: number) {
  if (first === 0) return 0
  for (let port = first; port < Math.min(first + portsTried, 65_536); port++) {
    const isFree = yield* Effect.callback<boolean>((resume) => {
      const probe = createServer()
      probe.once("error", () => resume(Effect.succeed(false)))
      probe.listen(port, "127.0.0.1", () => void probe.close(() => resume(Effect.succeed(true))))
    })
    if (isFree) return port
  }
  return 0
})

/** Some events are on one upstream, some on another, and many on both, as on the public network. */
const shareOut = (index: number, upstreams: ReadonlyArray<DemoUpstream.DemoUpstream>) =>
  index % 3 === 2 ? upstreams : upstreams.slice(index % 3, index % 3 + 1)

const eventsOf = (
  { lists, notes, profiles }: Population.Person
): ReadonlyArray<Event> => [...profiles, ...lists, ...notes]

/** People signed between two looks at the world: some milliseconds. */
const batch = 100

const make = Effect.fnUntraced(function*(options: Options, screen: Screen) {
  const images = yield* DemoImages
  const path = yield* folder
  const upstreams = [yield* DemoUpstream.make(0), yield* DemoUpstream.make(0)] as const
  const urls = upstreams.map(({ url }) => url)
  const people = {
    seed: options.seed,
    imageOrigins: images.origins,
    relays: [upstreams[0].url, upstreams[1].url]
  } as const

  let count = 0
  for (const person of Population.people(options.profiles, { ...people, now: yield* nowSeconds })) {
    for (const upstream of shareOut(count, upstreams)) upstream.add(eventsOf(person))
    count += 1
    if (count % batch !== 0) continue
    screen.status(`people  ${HarvestReport.bar(count, options.profiles)}  ${count} of ${options.profiles}`)
    // A Ctrl-C is noticed in between.
    yield* Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))
  }
  screen.clear()

  const port = yield* freePort(options.port)
  let now = 0
  const newcomers = Population.newcomers(people, () => now)
  return DemoWorld.of({
    upstreams,
    arrive: Effect.map(nowSeconds, (second) => {
      now = second
      const person = newcomers.next().value
      // What proves that somebody posts is there before anybody can ask for it.
      for (const event of [...person.notes, ...person.lists, ...person.profiles]) upstreams[0].publish(event)
      return person
    }),
    settings: {
      ...Settings.defaults,
      bindAddr: { host: "127.0.0.1", port },
      databasePath: join(path, "demo.db"),
      stateDir: path,
      relayKeyPath: join(path, "demo.db.key"),
      relayUrl: `ws://127.0.0.1:${port}`,
      relayName: "profile aggregator demo",
      relayDescription: "Made-up people, harvested from two relays on this machine.",
      upstreams: urls,
      outboxRelays: urls,
      // The made-up hosts are all on this machine.
      fetchAllow: [{ address: "127.0.0.0", prefix: 8, family: "ipv4" }],
      logFormat: "pretty"
    }
  })
})
