/** `profile-aggregator serve`: runs the service until it is told to stop. */
import { Duration, Effect, Layer } from "effect"
import { Settings, stateFileOf } from "./config/Settings.ts"
import { collecting, lookAfter, resting } from "./lifecycle/garbage.ts"
import { attach, launch } from "./lifecycle/Launch.ts"
import type { ProcessHost } from "./lifecycle/process.ts"
import * as ServiceManager from "./lifecycle/ServiceManager.ts"
import { Shutdown } from "./lifecycle/Shutdown.ts"
import { Supervisor } from "./lifecycle/Supervisor.ts"
import * as Logging from "./observability/Logging.ts"

/** What lies beneath the components, and is released after all of them. */
const foundation = (host: ProcessHost) =>
  Layer.unwrap(Effect.gen(function*() {
    const settings = yield* Settings
    host.setSignalExit(settings.signalExit)
    host.setWatchdogKill(Duration.toMillis(settings.watchdogKill))
    return Logging.layer({
      sink: host.output.write,
      isTerminal: host.output.isTerminal,
      level: () => settings.logLevel,
      format: settings.logFormat
    })
  }))

/** Built once the service is ready, so that a second instance, which never is, does not touch the file of the first. */
const certificateFile = (host: ProcessHost) =>
  Layer.effectDiscard(
    Settings.use((settings) => Effect.sync(() => host.keepCertificate(stateFileOf(settings, ".certificate.json"))))
  )

/** Gives back what much work has left in the heap of the main thread, whenever there is little. */
const memory = Layer.effectDiscard(
  Supervisor.use((supervisor) =>
    supervisor.fork(
      "memory",
      Effect.suspend(() => {
        const isResting = resting()
        const giveBack = collecting()
        return Effect.forever(
          Effect.andThen(Effect.sleep(lookAfter), Effect.sync(() => isResting() && giveBack()))
        )
      })
    )
  )
)

/** Logs of the time before the settings are known. */
const earlyLogging = (host: ProcessHost) =>
  Logging.layer({ sink: host.output.write, isTerminal: host.output.isTerminal, level: () => "Info", format: "auto" })

/**
 * Runs `service` as the process's program: its failures are the journal's and the certificate's, so this neither fails
 * nor dies but for a finalizer's defect.
 */
export const serve = <A, E, E2, R>(
  host: ProcessHost,
  service: Layer.Layer<A, E, R | Settings | Shutdown | Supervisor>,
  settings: Layer.Layer<Settings, E2, R>
): Effect.Effect<void, never, R> =>
  Effect.suspend(() => {
    host.serving()
    const app = Layer.merge(certificateFile(host), memory).pipe(
      Layer.provideMerge(service),
      Layer.provideMerge(ServiceManager.layer(process.env)),
      Layer.provideMerge(foundation(host)),
      Layer.provideMerge(settings)
    )
    return Effect.provide(
      attach(host, launch(app)),
      Supervisor.layer.pipe(
        Layer.provideMerge(Shutdown.layer(host.journal)),
        Layer.provideMerge(earlyLogging(host))
      )
    )
  })
