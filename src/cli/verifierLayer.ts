/** The service's verifier for a command, which signs nothing: it neither needs nor makes the relay's key. */
import { Effect, Layer, Option, Redacted } from "effect"
import { randomBytes } from "node:crypto"
import { Settings } from "../config/Settings.ts"
import * as WorkerVerifier from "../crypto/WorkerVerifier.ts"

const keyless = Layer.effect(
  Settings,
  Effect.map(Settings, (settings) => ({
    ...settings,
    relaySecretKey: Option.some(Redacted.make(randomBytes(32).toString("hex")))
  }))
)

export const verifierLayer = Layer.provide(WorkerVerifier.layer, keyless)
