/**
 * Code that was stripped of its types and compiled once is kept on disk: that work is more than half of a start, and each
 * thread would do it again.
 *
 * The cache lies with the code, where only who may change the code may write. Where it cannot be written, a start takes
 * longer and nothing else changes.
 */
import { enableCompileCache, getCompileCacheDir } from "node:module"
import { basename, join } from "node:path"

/** The source has the folder of its packages beside it; what was built is one folder in a package of its own. */
const folder = basename(import.meta.dirname) === "lifecycle"
  ? "../../node_modules/.cache/compiled"
  : "../.cache/compiled"

/** For everything that this thread loads from now on. An operator's `NODE_COMPILE_CACHE` wins. */
export const enable = () => {
  enableCompileCache(join(import.meta.dirname, folder))
}

/**
 * The environment of a thread that needs nothing else of it.
 *
 * @returns {Record<string, string>}
 */
export const threadEnv = () => {
  const folder = getCompileCacheDir()
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: folder }
}
