/**
 * What V8 must not do in this process, set before any code is optimized.
 *
 * Node 25 and 26 let optimized code call `Buffer.byteLength` in a way that must not allocate; it does, for a string that was put
 * together and is not yet in one piece. Where that collects garbage by which the calling code becomes invalid, V8 ends the
 * process: "Lazy deopt after a fast API call with return value is unsupported". Any client could be the one whose answer does it.
 * `test/lifecycle/v8Flags.test.ts` shows both, and fails once a Node no longer needs this.
 */
import { setFlagsFromString } from "node:v8"

/** Once, by whoever starts the process. */
export const set = () => setFlagsFromString("--no-turbo-fast-api-calls")
