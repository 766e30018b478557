/** `key`: who this relay is, and how it becomes somebody else. */
import { Effect, Layer, Option, type Scope } from "effect"
import { Command } from "effect/cli"
import * as fs from "node:fs"
import { dirname } from "node:path"
import { Settings } from "../../config/Settings.ts"
import * as StateFolder from "../../config/StateFolder.ts"
import * as RelayKey from "../../crypto/RelayKey.ts"
import * as Engine from "../../database/Engine.ts"
import { npubOf } from "../../domain/PublicKey.ts"
import { ExitCode } from "../../lifecycle/Certificate.ts"
import type { ProcessHost } from "../../lifecycle/process.ts"
import { StartError } from "../../lifecycle/StartError.ts"
import { messageOf } from "../../observability/messageOf.ts"
import * as DataCommand from "../DataCommand.ts"
import { say } from "../DataCommand.ts"
import { flagsFor, type Own } from "../Root.ts"
import * as Stdout from "../Stdout.ts"

const failure = (message: string, exitCode: StartError["exitCode"]) =>
  new StartError({ component: "key", message, exitCode })

/** Asking who it is must not make somebody. */
const requireKey = Effect.gen(function*() {
  const { relayKeyPath, relaySecretKey } = yield* Settings
  if (Option.isSome(relaySecretKey) || fs.existsSync(relayKeyPath)) return undefined
  return yield* failure(
    `there is no key in ${relayKeyPath} yet: the first start of the service makes one`,
    ExitCode.Storage
  )
})

const print = Effect.flatMap(RelayKey.make, ({ pubkey }) => Stdout.lines([pubkey, npubOf(pubkey)]))

/** The public key: a line of hex, a line of npub. */
const show = Effect.andThen(requireKey, print)

const move = (path: string, backup: string) => {
  // A link, as it never replaces an older backup: that key is somebody's, too.
  fs.linkSync(path, backup)
  fs.unlinkSync(path)
  const folder = fs.openSync(dirname(path), "r")
  fs.fsyncSync(folder)
  fs.closeSync(folder)
}

/** Makes a new key and keeps the old one as `<path>.bak`. Not while a service runs, which would go on with the old one. */
const rotate = Effect.gen(function*() {
  const { relayKeyPath, relaySecretKey } = yield* Settings
  if (Option.isSome(relaySecretKey)) {
    return yield* failure("the key comes from RELAY_SECRET_KEY: change it there", ExitCode.Configuration)
  }
  yield* requireKey
  yield* Engine.hold
  yield* StateFolder.hold
  const old = yield* RelayKey.make
  const backup = `${relayKeyPath}.bak`
  // After a crash between the two steps, the next start makes the new key.
  yield* Effect.uninterruptible(Effect.andThen(
    Effect.try({
      try: () => move(relayKeyPath, backup),
      catch: (error) =>
        (error as NodeJS.ErrnoException).code === "EEXIST"
          ? failure(`${backup} is there already: move it away first`, ExitCode.Storage)
          : failure(`cannot move ${relayKeyPath}: ${messageOf(error)}`, ExitCode.Storage)
    }),
    print
  ))
  return yield* say(`The key of ${npubOf(old.pubkey)} is kept in ${backup}.`)
})

export const command = (host: ProcessHost) => {
  const own = flagsFor("RELAY_KEY_PATH")
  const run = <E>(given: Own, use: Effect.Effect<void, E, Settings | Scope.Scope>) =>
    DataCommand.run(host, given, { components: Layer.empty }, () => use)
  return Command.make("key").pipe(
    Command.withDescription("The relay's own key."),
    Command.withSubcommands([
      Command.make("show", own, (given) => run(given, show)).pipe(
        Command.withDescription("Print the public key: a line of hex, a line of npub.")
      ),
      Command.make("rotate", own, (given) => run(given, rotate)).pipe(
        Command.withDescription("Make a new key, print its public key, and keep the old one beside it as .bak.")
      )
    ])
  )
}
