/** The flags that Node is started with, wherever the service is: those of `npm start`. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

/** Of the checkout at `root`. */
export const nodeFlagsOf = (root: string): ReadonlyArray<string> => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly scripts: { readonly start: string }
  }
  return scripts.start.match(/(?<= )--\S+/g) ?? []
}

export const nodeFlags = nodeFlagsOf(join(import.meta.dirname, "../.."))
