/**
 * The relay's own key: from `RELAY_SECRET_KEY`, or from a file that is made at the first start.
 *
 * The secret stays inside this module's closure. What leaves it is the public key and signatures.
 */
import { schnorr, secp256k1 } from "@noble/curves/secp256k1.js"
import { Effect, Redacted } from "effect"
import { createECDH, hash } from "node:crypto"
import { closeSync, fstatSync, fsyncSync, linkSync, openSync, readFileSync, unlinkSync, writeSync } from "node:fs"
import { dirname } from "node:path"
import { Settings } from "../config/Settings.ts"
import { ExitCode } from "../lifecycle/Certificate.ts"
import { StartError } from "../lifecycle/StartError.ts"
import { messageOf } from "../observability/messageOf.ts"
import { decodeSecretKey } from "./Nsec.ts"

export interface RelayKey {
  /** X-only, 64 lower-case hex characters. */
  readonly pubkey: string
  /**
   * BIP-340 signature of a 32-byte event id, with fresh auxiliary randomness, as 128 lower-case hex characters. Runs in
   * plain JavaScript on the calling thread, one to two milliseconds: the relay signs a handful of events in its life, and a
   * key that never crosses a thread boundary has one place less to leak from.
   */
  readonly sign: (id: Uint8Array) => string
}

/**
 * sha256 of secret keys that everybody knows: the examples of NIP-19, NIP-06 and BIP-340, and a sample key that relay
 * software has shipped as its default.
 */
const published: ReadonlySet<string> = new Set([
  "37bd6f6e63829ae7a671506a3cf51cae3c92ac84b62b03ba2d0efc0d4f63131d",
  "e9b95da9f594a6d5ae005398872e745fc5c7d2d5be0361dc3f9a3f42f01010e0",
  "babe0bcf0431ed7a459dc77462221d6182bca6bb39a0bdbf42ec94ec14785be9",
  "21fc8e0447f82257f11bd1e96e24319944a7aeafad583b55c9cd150439a93f0b",
  "ac9f43e28270c3174d19b1c01563bfdf63450e228f055614be5dbf4a3241d593",
  "d5753c69bf2226c4817576f7fc9f426b2e7ddc81914b566a6c452695871928fd",
  "1c613f1b168d9d65070304c7a856f017d06cfc8caa632c1b8dd42d973f7dceee"
])

/** Why a key must not be used, or undefined. */
const flawOf = (key: Uint8Array): string | undefined => {
  if (!secp256k1.utils.isValidSecretKey(key)) return "is not a number that can be a secret key"
  if (key.subarray(0, 30).every((byte) => byte === 0) || key.every((byte) => byte === key[0])) return "can be guessed"
  if (published.has(hash("sha256", key))) return "is a published sample, so anybody can sign with it"
  return undefined
}

const refused = (message: string, exitCode: StartError["exitCode"]) =>
  new StartError({ component: "crypto", message, exitCode })

/** The key as bytes, checked; `source` says where it came from, in the operator's words. */
const decode = (text: string, source: string): Effect.Effect<Uint8Array, StartError> => {
  const key = decodeSecretKey(text.trim())
  const problem = key === undefined ? "must be 64 hex characters or nsec1… with a correct checksum" : flawOf(key)
  return key === undefined || problem !== undefined
    ? Effect.fail(refused(`${source} ${problem}`, ExitCode.Configuration))
    : Effect.succeed(key)
}

interface KeyFile {
  readonly text: string
  /** Permission bits. */
  readonly mode: number
}

/** Undefined when there is no such file. Other failures are thrown. */
const readKeyFile = (path: string): KeyFile | undefined => {
  let file: number
  try {
    file = openSync(path, "r")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw error
  }
  try {
    return { text: readFileSync(file, "utf8"), mode: fstatSync(file).mode & 0o777 }
  } finally {
    closeSync(file)
  }
}

const syncFolder = (path: string): void => {
  const folder = openSync(dirname(path), "r")
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/**
 * Appears complete or not at all, and never over an existing file: written and synced under another name, then linked.
 * Whoever comes second keeps the key of the first.
 */
const createKeyFile = (path: string, key: Uint8Array): void => {
  const draft = `${path}.${process.pid}.new`
  const file = openSync(draft, "wx", 0o600)
  try {
    writeSync(file, `${Buffer.from(key).toString("hex")}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  try {
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
  } finally {
    unlinkSync(draft)
  }
  syncFolder(path)
}

/** The operating system's generator, not `Random`: a key that a seed could reproduce would be no secret. */
const generate = (): Uint8Array => schnorr.utils.randomSecretKey()

const fromFile = Effect.fnUntraced(function*(path: string) {
  const attempt = <A>(what: string, run: () => A) =>
    Effect.try({
      try: run,
      catch: (cause) => refused(`cannot ${what} the relay's key in ${path}: ${messageOf(cause)}`, ExitCode.Storage)
    })

  let file = yield* attempt("read", () => readKeyFile(path))
  if (file === undefined) {
    yield* attempt("create", () => createKeyFile(path, generate()))
    yield* Effect.logInfo("relay key created").pipe(Effect.annotateLogs({ component: "crypto", path }))
    file = yield* attempt("read", () => readKeyFile(path))
  }
  if (file === undefined) return yield* refused(`the relay's key in ${path} vanished`, ExitCode.Storage)
  if ((file.mode & 0o077) !== 0) {
    yield* Effect.logWarning("relay key can be read by others").pipe(
      Effect.annotateLogs({ component: "crypto", path, mode: file.mode.toString(8), wanted: "600" })
    )
  }
  return yield* decode(file.text, `the relay's key in ${path}`)
})

/** X-only, by OpenSSL: the first multiplication in plain JavaScript builds tables, which were an eighth of every start. */
const publicKeyOf = (secret: Uint8Array): string => {
  const curve = createECDH("secp256k1")
  curve.setPrivateKey(secret)
  return curve.getPublicKey("hex", "compressed").slice(2)
}

/** Reads the key, or makes it at the first start. Fails with 78 for a key that must not be used, 74 for a file that fails. */
export const make: Effect.Effect<RelayKey, StartError, Settings> = Effect.gen(function*() {
  const { relayKeyPath, relaySecretKey } = yield* Settings
  const secret = relaySecretKey._tag === "Some"
    ? yield* decode(Redacted.value(relaySecretKey.value), "RELAY_SECRET_KEY")
    : yield* fromFile(relayKeyPath)
  return {
    pubkey: publicKeyOf(secret),
    sign: (id) => Buffer.from(schnorr.sign(id, secret)).toString("hex")
  }
})
