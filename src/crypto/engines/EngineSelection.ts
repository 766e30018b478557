/** Which engine a thread uses: the best one that loads here and passes its self-test. */
import { messageOf } from "../../observability/messageOf.ts"
import { type Engine, type EngineName, engineNames, selfTested } from "./Engine.ts"

/** A setting: an engine's name, or the best available. */
export type EnginePreference = "auto" | EngineName

/** An engine that was tried before the chosen one, and why it cannot be used. */
export interface Refusal {
  readonly name: EngineName
  readonly reason: string
}

export interface Selection {
  readonly engine: Engine
  readonly refused: ReadonlyArray<Refusal>
}

export type Loaders = Readonly<Record<EngineName, () => Promise<Engine>>>

/** Each engine's modules are imported only when it is its turn, so that a thread starts quickly. */
export const loaders: Loaders = {
  libsecp256k1: async () => (await import("./LibSecp256k1.ts")).load(),
  "secp256k1-native": async () => {
    const fallback = (await import("./Noble.ts")).load()
    return (await import("./Secp256k1Native.ts")).load(fallback)
  },
  wasm: async () => (await import("./Wasm.ts")).load(),
  noble: async () => (await import("./Noble.ts")).load()
}

/** Best first; a preferred engine goes before all others, which stay as what to fall back to. */
const candidates = (preference: EnginePreference): ReadonlyArray<EngineName> =>
  preference === "auto" ? engineNames : [preference, ...engineNames.filter((name) => name !== preference)]

/** Rejects only when every engine fails, which means that this Node cannot compute. */
export const selectEngine = async (preference: EnginePreference, available: Loaders = loaders): Promise<Selection> => {
  const refused: Array<Refusal> = []
  for (const name of candidates(preference)) {
    try {
      return { engine: selfTested(await available[name]()), refused }
    } catch (error) {
      refused.push({ name, reason: messageOf(error) })
    }
  }
  throw new Error(`no engine works: ${refused.map(({ name, reason }) => `${name} ${reason}`).join("; ")}`)
}
