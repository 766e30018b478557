/**
 * What a thread that has nothing to do can give back.
 *
 * V8 collects as memory is asked for, and then nobody asks; what is freed stays with the C library, which returns to the kernel
 * only what lies at the end of one of its arenas.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

let gc: (() => void) | undefined

/** V8's own function, which it makes for contexts that begin after the flag was set. */
const collector = (): () => void => {
  setFlagsFromString("--expose-gc")
  return runInNewContext("gc") as () => void
}

/** Has all threads' free pages returned, where the C library is one that can (glibc). */
const trim = async (): Promise<void> => {
  try {
    const { default: koffi } = await import("koffi")
    koffi.load(null).func("malloc_trim", "int", ["size_t"])(0)
  } catch {
    // Another library, which has its own ways.
  }
}

/** Collects this thread's garbage, which takes it some milliseconds, and returns what is free. */
export const collect = (): void => {
  gc ??= collector()
  // The first one empties pages of the heap, the second one unmaps them.
  gc()
  gc()
  void trim()
}
