/** `backup` and `restore`: a copy of the store, and where one goes to. */
import { Effect, Layer, Option } from "effect"
import { Argument, Command } from "effect/cli"
import * as fs from "node:fs"
import { resolve } from "node:path"
import { Settings } from "../../config/Settings.ts"
import type { Copied } from "../../database/Copy.ts"
import * as Engine from "../../database/Engine.ts"
import { ExitCode } from "../../lifecycle/Certificate.ts"
import type { ProcessHost } from "../../lifecycle/process.ts"
import { StartError } from "../../lifecycle/StartError.ts"
import { messageOf } from "../../observability/messageOf.ts"
import * as DataCommand from "../DataCommand.ts"
import { say, usage } from "../DataCommand.ts"
import { flag } from "../flags.ts"
import { flagsFor } from "../Root.ts"
import { tellTenths } from "../tellTenths.ts"

const failure = (message: string) => new StartError({ component: "backup", message, exitCode: ExitCode.Storage })

const sizesOf = ({ bytes, events, seq }: Copied): string =>
  `${events} events, seq ${seq}, ${(bytes / 1e6).toFixed(1)} MB`

/** Appears whole or not at all, never over a file that is there, for its owner's eyes alone. */
const copyKey = (from: string, to: string) =>
  Effect.try({
    try: () => {
      const file = fs.openSync(to, "wx", 0o600)
      try {
        fs.writeFileSync(file, fs.readFileSync(from))
        fs.fsyncSync(file)
      } catch (error) {
        fs.rmSync(to, { force: true })
        throw error
      } finally {
        fs.closeSync(file)
      }
    },
    catch: (error) => failure(`cannot copy the key from ${from} to ${to}: ${messageOf(error)}`)
  })

/** The key lies in a file, or there is none to copy. */
const keyPathOf = Effect.gen(function*() {
  const { relayKeyPath, relaySecretKey } = yield* Settings
  if (Option.isSome(relaySecretKey)) {
    return yield* usage("the key comes from RELAY_SECRET_KEY, so there is no file of it: leave --with-key out")
  }
  return relayKeyPath
})

const backup = Effect.fnUntraced(function*(target: string, withKey: boolean) {
  const keyPath = withKey ? yield* keyPathOf : undefined
  for (const path of [target, ...withKey ? [`${target}.key`] : []]) {
    if (fs.existsSync(path)) return yield* failure(`${path} is there already: name another file, or move it away`)
  }
  if (keyPath !== undefined) yield* copyKey(keyPath, `${target}.key`)
  const copied = yield* Engine.backup(target, tellTenths()).pipe(
    Effect.tapCause(() => Effect.sync(() => withKey && fs.rmSync(`${target}.key`, { force: true })))
  )
  return yield* say(
    `${target}: ${sizesOf(copied)}, every page read again${withKey ? `; the key is in ${target}.key` : ""}`
  )
})

const restore = Effect.fnUntraced(
  function*(source: string, { force, withKey }: { readonly force: boolean; readonly withKey: boolean }) {
    const { databasePath } = yield* Settings
    const keyPath = withKey ? yield* keyPathOf : undefined
    const own = `${source}.key`
    const isNew = keyPath !== undefined && !fs.existsSync(keyPath)
    if (keyPath !== undefined) {
      if (!fs.existsSync(own)) return yield* failure(`${own} does not exist: the backup was made without the key`)
      if (!isNew && !fs.readFileSync(keyPath).equals(fs.readFileSync(own))) {
        return yield* failure(`${keyPath} is another key: move it away first`)
      }
    }
    const hadStore = (fs.statSync(databasePath, { throwIfNoEntry: false })?.size ?? 0) > 0
    const { aside, ...copied } = yield* Engine.restore(source, { replace: force, told: tellTenths() })
    if (keyPath !== undefined && isNew) yield* copyKey(own, keyPath)
    return yield* say(
      `${resolve(databasePath)}: ${sizesOf(copied)}, every page read again` +
        (hadStore ? `; what was there is ${aside}` : "")
    )
  }
)

const file = (what: string) => Argument.String("file").pipe(Argument.withDescription(what))

export const backupCommand = (host: ProcessHost) =>
  Command.make("backup", {
    target: file("Where to: must not be there yet."),
    withKey: flag("with-key", "Copy the relay's key as well, to FILE.key: whoever has it can sign as this relay."),
    ...flagsFor("RELAY_KEY_PATH")
  }, ({ settings, target, withKey }) =>
    DataCommand.run(host, { settings }, { components: Layer.empty }, () =>
      backup(resolve(target), withKey))).pipe(
      Command.withDescription(
        "Copy the store as it is at this moment to a file of mode 0600, and read every page of the copy. Works beside a running " +
          "service, whose events of meanwhile are not in it."
      ),
      Command.withExamples([{ command: "profile-aggregator backup /var/backups/profiles.db --with-key" }])
    )

export const restoreCommand = (host: ProcessHost) =>
  Command.make("restore", {
    source: file("A backup."),
    force: flag("force", "Replace the store that is there; it is kept as <DATABASE_PATH>.before-restore."),
    withKey: flag("with-key", "Put FILE.key in the place of the relay's key, where there is none."),
    ...flagsFor("RELAY_KEY_PATH")
  }, ({ force, settings, source, withKey }) =>
    DataCommand.run(host, { settings }, { components: Layer.empty }, () =>
      restore(resolve(source), { force, withKey }))).pipe(
      Command.withDescription(
        "Put a backup in the place of the store. Refused (69) while a service runs on it; every page is read before anything is replaced."
      ),
      Command.withExamples([{ command: "profile-aggregator restore /var/backups/profiles.db" }])
    )
