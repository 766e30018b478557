import { assert, describe, it } from "@effect/vitest"
import { schnorr } from "@noble/curves/secp256k1.js"
import { Cause, Effect, Exit, Logger, Option, Redacted, Runtime } from "effect"
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Settings } from "../../src/config/Settings.ts"
import * as RelayKey from "../../src/crypto/RelayKey.ts"
import { StartError } from "../../src/lifecycle/StartError.ts"

/** An ordinary secret that was made up for this file. */
const secret = "29cf".repeat(16)
const nsec = "nsec1988jnnefeu5u72w0988jnnefeu5u72w0988jnnefeu5u72w0988sgjmwme"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "relay-key-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)
const fromSecret = (text: string) =>
  RelayKey.make.pipe(Effect.provide(Settings.layerTest({ relaySecretKey: Option.some(Redacted.make(text)) })))
const fromFile = (relayKeyPath: string) => RelayKey.make.pipe(Effect.provide(Settings.layerTest({ relayKeyPath })))

const startErrorOf = (exit: Exit.Exit<unknown, unknown>): StartError => {
  const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  assert.instanceOf(error, StartError)
  return error
}
const codeOf = (error: StartError) => Runtime.getErrorExitCode(error)

describe("RelayKey from RELAY_SECRET_KEY", () => {
  it.effect("takes hex and nsec for the same key, with space around it", () =>
    Effect.gen(function*() {
      const key = yield* fromSecret(secret)
      assert.strictEqual(key.pubkey, Buffer.from(schnorr.getPublicKey(Buffer.from(secret, "hex"))).toString("hex"))
      for (const text of [nsec, ` ${secret}\n`]) assert.strictEqual((yield* fromSecret(text)).pubkey, key.pubkey)
    }))

  it.effect("signs with fresh randomness each time", () =>
    Effect.gen(function*() {
      const { pubkey, sign } = yield* fromSecret(secret)
      const id = new Uint8Array(32).fill(9)
      const [first, second] = [sign(id), sign(id)]
      assert.notStrictEqual(first, second)
      for (const sig of [first, second]) {
        assert.isTrue(schnorr.verify(Buffer.from(sig, "hex"), id, Buffer.from(pubkey, "hex")))
      }
    }))

  it.effect.each<readonly [string, string]>([
    ["too short", secret.slice(1)],
    ["too long", `${secret}0`],
    ["not hex", `g${secret.slice(1)}`],
    ["empty", ""],
    ["a public key", "npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6"],
    ["an nsec with one letter wrong", "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe4"],
    ["an nsec in mixed case", "nsec1VL029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5"],
    ["zero", "0".repeat(64)],
    ["one", "1".padStart(64, "0")],
    ["a small number", "ffff".padStart(64, "0")],
    ["one byte repeated", "ab".repeat(32)],
    ["the order of the curve", "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"],
    ["the example of NIP-19", "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5"],
    ["an example of BIP-340", "b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfef"]
  ])("refuses %s with exit 78, naming the variable and not the value", ([, text]) =>
    Effect.gen(function*() {
      const error = startErrorOf(yield* Effect.exit(fromSecret(text)))
      assert.strictEqual(codeOf(error), 78)
      assert.strictEqual(error.component, "crypto")
      assert.include(error.message, "RELAY_SECRET_KEY")
      if (text.length > 8) assert.notInclude(error.message, text.slice(0, 8))
    }))
})

describe("RelayKey from a file", () => {
  it.effect("makes one at first start, for its owner only, and keeps it", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "relay.key")
      const { pubkey } = yield* fromFile(path)
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      assert.match(readFileSync(path, "utf8"), /^[0-9a-f]{64}\n$/)
      assert.deepStrictEqual(readdirSync(join(path, "..")), ["relay.key"])
      const before = readFileSync(path, "utf8")
      assert.strictEqual((yield* fromFile(path)).pubkey, pubkey)
      assert.strictEqual(readFileSync(path, "utf8"), before)
    }).pipe(Effect.scoped))

  it.effect("makes another one elsewhere", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const keys = yield* Effect.all([fromFile(join(path, "a")), fromFile(join(path, "b"))])
      assert.notStrictEqual(keys[0].pubkey, keys[1].pubkey)
    }).pipe(Effect.scoped))

  it.effect("reads what an operator wrote: hex or nsec, with or without a line end", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "relay.key")
      const { pubkey } = yield* fromSecret(secret)
      for (const text of [secret, `${nsec}\n`, `${secret.toUpperCase()}\r\n`]) {
        writeFileSync(path, text, { mode: 0o600 })
        assert.strictEqual((yield* fromFile(path)).pubkey, pubkey)
      }
    }).pipe(Effect.scoped))

  it.effect("warns of a file that others can read, and leaves it as it is", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "relay.key")
      const warnings: Array<unknown> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel === "Warn") warnings.push(message)
      })
      const quiet = fromFile(path).pipe(Effect.provide(Logger.layer([logger])))
      yield* quiet
      assert.deepStrictEqual(warnings, [])
      chmodSync(path, 0o640)
      yield* quiet
      assert.deepStrictEqual(warnings.map(String), ["relay key can be read by others"])
      assert.strictEqual(statSync(path).mode & 0o777, 0o640)
    }).pipe(Effect.scoped))

  it.effect("refuses a damaged or published key with exit 78, naming the file, and does not replace it", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "relay.key")
      for (const text of ["", "\n", secret.slice(2), "0".repeat(64)]) {
        writeFileSync(path, text)
        const error = startErrorOf(yield* Effect.exit(fromFile(path)))
        assert.strictEqual(codeOf(error), 78)
        assert.include(error.message, path)
        assert.strictEqual(readFileSync(path, "utf8"), text)
      }
    }).pipe(Effect.scoped))

  it.effect("fails with exit 74 where no file can be made or read", () =>
    Effect.gen(function*() {
      const path = yield* folder
      for (const at of [join(path, "missing", "relay.key"), path]) {
        const error = startErrorOf(yield* Effect.exit(fromFile(at)))
        assert.strictEqual(codeOf(error), 74)
        assert.include(error.message, at)
      }
    }).pipe(Effect.scoped))
})
