/** Commands sign as the relay does, to relays that want to know who asks (NIP-42). */
import { Effect, Option } from "effect"
import { existsSync } from "node:fs"
import { Settings } from "../config/Settings.ts"
import * as RelayKey from "../crypto/RelayKey.ts"
import { signed } from "../crypto/WorkerVerifier.ts"
import type { EventTemplate } from "../domain/Event.ts"

/** Signs with the relay's own key; undefined where it has none yet, as a command makes none. */
export const signer = Effect.gen(function*() {
  const { relayKeyPath, relaySecretKey } = yield* Settings
  if (Option.isNone(relaySecretKey) && !existsSync(relayKeyPath)) return undefined
  const key = yield* RelayKey.make
  return (template: EventTemplate) => signed(key, template)
})
