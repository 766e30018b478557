/**
 * `npm run demo`: the real service over a made-up world, on this machine alone. No network, no configuration.
 *
 * The service is the one that `serve` runs, and is given as a layer. Above it lies what shows it to a person, below it
 * the world it reads from; so Ctrl-C releases them in this order: the show, the service component by component, the world.
 */
import { Effect, Layer } from "effect"
import { HarvestStatus } from "../aggregation/harvest/HarvestStatus.ts"
import type { Settings } from "../config/Settings.ts"
import type { ProcessHost } from "../lifecycle/process.ts"
import { Shutdown } from "../lifecycle/Shutdown.ts"
import { Supervisor } from "../lifecycle/Supervisor.ts"
import { serve } from "../serve.ts"
import { RelayAddress } from "../websocket/RelayServer.ts"
import { DemoWorld, settingsLayer } from "./DemoWorld.ts"
import * as HarvestReport from "./HarvestReport.ts"
import { defaults, type Options } from "./Options.ts"
import * as Screen from "./Screen.ts"

/** What is shown needs to know where the service listens, and how its harvest goes. */
export type Service<E> = Layer.Layer<RelayAddress | HarvestStatus, E, Settings | Shutdown | Supervisor>

/** Between two looks at the harvest. */
const lookEvery = "250 millis"
/** Between two newcomers: often enough to be seen, seldom enough to be followed. */
const arrivalEvery = "3 seconds"

const pageOf = (url: string): string => `${url.replace(/^ws/, "http")}/`

const invitation = (url: string): ReadonlyArray<string> => [
  "",
  `  Open    ${pageOf(url)}`,
  `  Try     nak req -k 0 -l 3 ${url}`,
  `  or      npx node -e '${clientLine(url)}'`,
  "  Stop    Ctrl-C: every component is released in order, and the last line proves it.",
  "",
  "Somebody new turns up every 3 seconds."
]

/** A Nostr client in one line, for a machine that has no other: three profiles, then new ones as they come. */
const clientLine = (url: string): string =>
  `ws = new WebSocket("${url}"); ws.onmessage = (m) => console.log(m.data); ` +
  "ws.onopen = () => ws.send(JSON.stringify([\"REQ\", \"demo\", { kinds: [0], limit: 3 }]))"

const show = Effect.fnUntraced(function*(screen: Screen.Screen) {
  const { url } = yield* RelayAddress
  const { journal } = yield* Shutdown
  const status = yield* HarvestStatus
  const world = yield* DemoWorld
  const supervisor = yield* Supervisor
  const began = journal.now()
  const elapsed = () => (journal.now() - began) / 1000
  const offered = () => world.upstreams.reduce((sum, upstream) => sum + upstream.offered(), 0)
  const totals = Effect.zipWith(status.upstreams, status.retries, HarvestReport.totalsOf)

  yield* Effect.addFinalizer(() => Effect.sync(screen.clear))
  screen.line(`Serving at ${pageOf(url)} and ${url}, harvesting meanwhile.`)

  const watch = totals.pipe(
    Effect.tap((found) =>
      Effect.sync(() => {
        if (!found.complete) screen.status(HarvestReport.progressLine(found, offered(), elapsed()))
      })
    ),
    Effect.delay(lookEvery),
    Effect.repeat({ until: (found) => found.complete }),
    Effect.flatMap((found) =>
      Effect.sync(() => {
        for (const line of HarvestReport.summaryLines(found, world.upstreams.length, elapsed())) screen.line(line)
        for (const line of invitation(url)) screen.line(line)
      })
    )
  )
  const arrivals = Effect.gen(function*() {
    const before = yield* totals
    for (let arrived = 1;; arrived++) {
      yield* Effect.sleep(arrivalEvery)
      yield* world.arrive
      screen.live(HarvestReport.liveLine(arrived, before, yield* totals))
    }
  })
  yield* supervisor.fork("demo", Effect.andThen(watch, arrivals))
})

/** The service and what is shown of it. */
export const layer = <E>(service: Service<E>, screen: Screen.Screen) =>
  Layer.effectDiscard(show(screen)).pipe(Layer.provideMerge(service))

/** Runs the demo until the process is told to stop; its failures are the certificate's, as those of `serve`. */
export const demo = <E>(
  host: ProcessHost,
  service: Service<E>,
  options: Partial<Options> = {}
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const screen = Screen.make(host.output, process.stderr, () => host.journal.now())
    const world = DemoWorld.layer({ ...defaults, ...options }, screen)
    return serve(
      { ...host, output: screen.output },
      layer(service, screen).pipe(Layer.provide(world)),
      Layer.provide(settingsLayer, world)
    )
  })
