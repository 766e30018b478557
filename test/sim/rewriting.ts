/** Changes lines of real source files as they are loaded: how bugs are planted. */
import { registerHooks } from "node:module"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Module } from "../support/modules.ts"

const src = join(import.meta.dirname, "../../src")

export interface Rewrite {
  readonly file: Module
  /** Text that stands there exactly once, and what stands there instead. */
  readonly from: string
  readonly to: string
}

/** Call it before anything of the service is imported. */
export const install = (rewrites: ReadonlyArray<Rewrite>): void => {
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context)
      const here = url.startsWith("file:") ? rewrites.filter(({ file }) => fileURLToPath(url) === join(src, file)) : []
      if (here.length === 0) return loaded
      let source = Buffer.from(loaded.source as Uint8Array | string as Uint8Array).toString()
      for (const { file, from, to } of here) {
        const parts = source.split(from)
        if (parts.length !== 2) throw new Error(`${file} has the line to rewrite ${parts.length - 1} times: ${from}`)
        source = parts.join(to)
      }
      return { ...loaded, source }
    }
  })
}
