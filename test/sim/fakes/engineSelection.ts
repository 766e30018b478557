/** An engine that believes every signature that does not begin with a zero byte. */
import type { Engine } from "../../../src/crypto/engines/Engine.ts"

export const engine: Engine = { name: "noble", inline: false, verify: (_id, _pubkey, sig) => sig[0] !== 0 }

export const selectEngine = async () => ({ engine, refused: [] })
