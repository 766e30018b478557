/**
 * What a thread that has nothing to do can give back, and when it has nothing to do.
 *
 * V8 collects as memory is asked for, and then nobody asks; what is freed stays with the C library, which returns to the kernel
 * only what lies at the end of one of its arenas.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8"
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
const collect = (): void => {
  gc ??= collector()
  // The first one empties pages of the heap, the second one unmaps them.
  gc()
  gc()
  void trim()
}

/** Milliseconds from a look at a thread to the next. */
export const lookAfter = 3000
/** Milliseconds of work in that time up to which it has next to nothing to do. */
const restUpTo = 150
/** Bytes by which its heap may have grown since its garbage was collected, and which are not worth the while. */
const growthMax = 25_165_824

/** Milliseconds of CPU that this thread has used, as of the kernel's last tick. */
export const worked = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (system + user) / 1000
}

/** Says at each look whether the thread has rested since the one before. */
export const resting = () => {
  let before = worked()
  return (): boolean => {
    const now = worked()
    const isResting = now - before <= restUpTo
    before = now
    return isResting
  }
}

/** Collects where the heap has grown since it last did; the first time, where there is much at all. */
export const collecting = () => {
  let settled = 0
  return (): void => {
    if (getHeapStatistics().total_heap_size <= settled + growthMax) return
    collect()
    settled = getHeapStatistics().total_heap_size
  }
}
