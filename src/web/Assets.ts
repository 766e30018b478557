/** Files for browsers: read once, named by their hash, so that a browser may keep each for ever. */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"

export interface Asset {
  readonly type: string
  readonly body: Buffer
}

const sources = {
  style: ["theme.css", "text/css; charset=utf-8"],
  script: ["page.js", "text/javascript; charset=utf-8"],
  icon: ["icon.svg", "image/svg+xml"]
} as const

export interface Assets {
  /** Path of each below the base: `/-/<hash>.css`. */
  readonly paths: { readonly [name in keyof typeof sources]: string }
  readonly find: (path: string) => Asset | undefined
}

export const load = (): Assets => {
  const byPath = new Map<string, Asset>()
  const pathOf = (name: keyof typeof sources): string => {
    const [file, type] = sources[name]
    const body = readFileSync(new URL(`../pages/assets/${file}`, import.meta.url))
    const hash = createHash("sha256").update(body).digest("base64url").slice(0, 12)
    const path = `/-/${hash}${file.slice(file.lastIndexOf("."))}`
    byPath.set(path, { type, body })
    return path
  }
  return {
    paths: { style: pathOf("style"), script: pathOf("script"), icon: pathOf("icon") },
    find: (path) => byPath.get(path)
  }
}
