/** `package.json` of what is published: how it is run, and what npm installs beside it. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

export const own = {
  /** Packages with binaries, each of which the program does without where it cannot be loaded. */
  native: ["koffi", "secp256k1", "tiny-secp256k1"]
} as const

interface Manifest {
  readonly [key: string]: unknown
  readonly dependencies: { readonly [name: string]: string }
}

export const manifestOf = (root: string): Readonly<Record<string, unknown>> => {
  const source: Manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  const { bugs, dependencies, description, engines, homepage, keywords, license, name, repository, version } = source
  return {
    name,
    version,
    description,
    keywords,
    homepage,
    repository,
    bugs,
    license,
    type: "module",
    bin: { [String(name)]: "lib/entry.js" },
    engines,
    // Where one does not install, the next engine for signatures takes its place (`doctor` says which).
    optionalDependencies: Object.fromEntries(own.native.map((each) => [each, dependencies[each]]))
  }
}
