/** `serve`: the service, until it is told to stop. It is what runs without a command, too. */
import { Effect } from "effect"
import { Command } from "effect/cli"
import type { ProcessHost } from "../../lifecycle/process.ts"
import { Service } from "../../main.ts"
import { serve } from "../../serve.ts"
import { type Given, serviceFlags, settingsLayer, settingsOf } from "../Root.ts"

export const command = (host: ProcessHost) =>
  Command.make(
    "serve",
    serviceFlags,
    (own) => Effect.flatMap(settingsOf(own), (settings) => serve(host, Service, settings))
  ).pipe(
    Command.withAlias("relay"),
    Command.withDescription("Harvest, check, store and serve profiles until told to stop.")
  )

/** Without a name. */
export const unnamed = (host: ProcessHost, given: Given) => serve(host, Service, settingsLayer(given))
