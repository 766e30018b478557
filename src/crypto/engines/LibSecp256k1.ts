/** The system's libsecp256k1 through koffi: the fastest engine, where the library is installed. */
import koffi from "koffi"
import { type Engine, wellSized } from "./Engine.ts"

/** Sonames since 0.2.0, newest last as its ABI is the least tried; `.so.0` came before BIP-340 was final. */
const candidates: Readonly<Record<string, ReadonlyArray<string>>> = {
  darwin: ["", "/opt/homebrew/lib/", "/usr/local/lib/"].flatMap((folder) =>
    ["libsecp256k1.dylib", ...[1, 2, 3, 4, 5, 6].map((version) => `libsecp256k1.${version}.dylib`)]
      .map((name) => folder + name)
  ),
  win32: ["libsecp256k1.dll", ...[1, 2, 3, 4, 5, 6].map((version) => `libsecp256k1-${version}.dll`)]
}
const elsewhere = [...[1, 2, 3, 4, 5, 6].map((version) => `libsecp256k1.so.${version}`), "libsecp256k1.so"]

/** `SECP256K1_CONTEXT_VERIFY`: required before 0.2.0, and the same as `NONE` since. */
const contextVerify = 257

const open = () => {
  for (const name of candidates[process.platform] ?? elsewhere) {
    try {
      return koffi.load(name)
    } catch {
      // Not under this name.
    }
  }
  throw new Error("libsecp256k1 is not installed")
}

/** Throws where the library is absent, too old, or built without BIP-340. */
export const load = (): Engine => {
  const library = open()
  // Added by the change that gave `schnorrsig_verify` its message length: calling an older one would crash the process.
  library.func("secp256k1_schnorrsig_sign_custom", "int", ["void *", "void *", "void *", "size_t", "void *", "void *"])
  const createContext = library.func("secp256k1_context_create", "void *", ["uint"])
  const parsePubkey = library.func("secp256k1_xonly_pubkey_parse", "int", ["void *", "_Out_ uint8_t *", "uint8_t *"])
  const verifySignature = library.func("secp256k1_schnorrsig_verify", "int", [
    "void *",
    "uint8_t *",
    "uint8_t *",
    "size_t",
    "uint8_t *"
  ])
  // Never destroyed: it lives as long as the thread.
  const context: unknown = createContext(contextVerify)
  /** `secp256k1_xonly_pubkey` is opaque and 64 bytes long. */
  const parsed = new Uint8Array(64)

  return {
    name: "libsecp256k1",
    inline: true,
    verify: (id, pubkey, sig) =>
      wellSized(id, pubkey, sig) &&
      parsePubkey(context, parsed, pubkey) === 1 &&
      verifySignature(context, sig, id, 32, parsed) === 1
  }
}
