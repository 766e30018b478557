/** `demo`: the service over a made-up world, which is loaded when it is run. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import { defaults } from "../../demo/Options.ts"
import type { ProcessHost } from "../../lifecycle/process.ts"
import { Service } from "../../main.ts"
import { number } from "../flags.ts"

/** With native code that signs for made-up people. */
const load = Effect.promise(() => import("../../demo/Demo.ts"))

export const command = (host: ProcessHost) =>
  Command.make("demo", {
    profiles: number("profiles", defaults.profiles, "People in the made-up world."),
    seed: number("seed", defaults.seed, "The same seed makes the same world."),
    port: number("port", defaults.port, "Where to listen; 0 takes a free port.")
  }, (options) => Effect.flatMap(load, ({ demo }) => demo(host, Service, options))).pipe(
    Command.withDescription(
      "Run the service over a made-up world on this machine; needs no network, takes no settings."
    )
  )
