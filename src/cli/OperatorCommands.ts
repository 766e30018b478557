/** Commands that look after the service and its relay, as they are typed: flags, descriptions, examples. */
import { Effect, Layer, type Scope } from "effect"
import { Argument, Command } from "effect/cli"
import type { Settings } from "../config/Settings.ts"
import * as Engine from "../database/Engine.ts"
import type { ProcessHost } from "../lifecycle/process.ts"
import * as DataCommand from "./DataCommand.ts"
import { doctor } from "./Doctor.ts"
import * as Explain from "./Explain.ts"
import { flag } from "./flags.ts"
import * as Key from "./Key.ts"
import { lookEvery, monitor } from "./Monitor.ts"
import { pubkeyOf } from "./PublicKey.ts"
import { flagsFor, type Own, serviceFlags } from "./Root.ts"

const doctorCommand = (host: ProcessHost) =>
  Command.make("doctor", serviceFlags, (own) =>
    // What is wrong with the settings is a finding.
    DataCommand.runUnset(host, own, doctor)).pipe(
      Command.withShortDescription("Check settings, database, engines, key and upstreams."),
      Command.withDescription(
        "Check settings, database, engines, key and upstreams: one line each, ok, warn or fail. Exits with the first " +
          "failure's code; changes nothing, and works beside a running service."
      )
    )

const keyCommand = (host: ProcessHost) => {
  const own = flagsFor("RELAY_KEY_PATH")
  const run = <E>(given: Own, use: Effect.Effect<void, E, Settings | Scope.Scope>) =>
    DataCommand.run(host, given, { components: Layer.empty }, use)
  return Command.make("key").pipe(
    Command.withDescription("The relay's own key."),
    Command.withSubcommands([
      Command.make("show", own, (given) => run(given, Key.show)).pipe(
        Command.withDescription("Print the public key: a line of hex, a line of npub.")
      ),
      Command.make("rotate", own, (given) => run(given, Key.rotate)).pipe(
        Command.withDescription("Make a new key, print its public key, and keep the old one beside it as .bak.")
      )
    ])
  )
}

const monitorCommand = (host: ProcessHost) =>
  Command.make(
    "monitor",
    {},
    () => DataCommand.run(host, { settings: {} }, { components: Engine.archive, isEndless: true }, monitor())
  ).pipe(
    Command.withShortDescription("Write events that match subscriptions on stdin as they are committed."),
    Command.withDescription(
      `Write events that match subscriptions on stdin, one message per line, as they are committed by whatever process: ` +
        `looks every ${lookEvery} ms.`
    ),
    Command.withExamples([
      {
        command: "echo '[\"REQ\",\"new\",{\"kinds\":[0]}]' | profile-aggregator monitor",
        description: "Follow new profiles"
      }
    ])
  )

const explainCommand = (host: ProcessHost) =>
  Command.make("explain", {
    author: Argument.String("pubkey").pipe(Argument.withDescription("Hex or npub.")),
    ask: flag("ask", "Ask upstreams, the picture's host and the author's relays, as the service would."),
    ...serviceFlags
  }, ({ ask, author, ...own }) => {
    const pubkey = pubkeyOf(author)
    const known = pubkey === undefined
      ? Effect.fail(DataCommand.usage("the public key must be 64 hex characters or npub1… with a correct checksum"))
      : Effect.succeed(pubkey)
    return ask
      ? DataCommand.run(
        host,
        own,
        { components: Explain.askingComponents },
        Effect.flatMap(known, Explain.explainAsking)
      )
      : DataCommand.run(host, own, { components: Explain.components }, Effect.flatMap(known, Explain.explain))
  }).pipe(
    Command.withShortDescription("Say why an author's profile is kept or is not: every rule, its fact, its verdict."),
    Command.withDescription(
      "Say why an author's profile is kept or is not: every rule, the fact it goes by, and what it says. Reads what is " +
        "stored and remembered; with --ask, finds out anew. Changes nothing."
    ),
    Command.withExamples([{ command: "profile-aggregator explain npub1… --ask" }])
  )

/** All of them, for one process. */
export const operatorCommands = (host: ProcessHost) =>
  [explainCommand(host), doctorCommand(host), keyCommand(host), monitorCommand(host)] as const
