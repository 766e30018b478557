/**
 * `npm run build`: the program as one package that is run as it is, in `dist/package`.
 *
 * What operators run has nothing of development and needs no build of its own: all code of ours, of Effect and of the patched
 * dependency lies in `lib/` as JavaScript, as patches and overrides do not reach whoever depends on a package, and Node strips
 * no types below `node_modules`. Packages with native code stay packages, since they bring a binary for each platform.
 *
 *     npm run build                     dist/package, and what it weighs
 *     npm run build -- --out FOLDER     somewhere else
 *     npm run build -- --commit HASH    where there is no history to ask, as in an image
 */
import { build, type Plugin } from "esbuild"
import { execFileSync } from "node:child_process"
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { basename, join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { licencesOf, withDependencies } from "./licences.ts"
import { manifestOf, own } from "./manifest.ts"

const root = join(import.meta.dirname, "../..")
const source = join(root, "src")

const { values } = parseArgs({
  options: { out: { type: "string", default: join(root, "dist/package") }, commit: { type: "string", default: "" } }
})

/** Where a file that is not imported is found: a thread's first file, or what browsers are given. */
const beside = /new URL\((["`])(?:\.{1,2}\/)+(?:[^"`/]+\/)*([^"`/]+)\1, import\.meta\.url\)/g

/** First files of threads, by what the code says of them. */
const threads = globSync("**/*.ts", { cwd: source }).flatMap((file) =>
  Array.from(
    readFileSync(join(source, file), "utf8").matchAll(/new URL\("([^"]+\.ts)", import\.meta\.url\)/g),
    ([, path]) => join(source, file, "..", path as string)
  )
)

/** The commit that is built; `-dirty` where files differ from it, and nothing outside of a checkout. */
const commitOf = (): string => {
  if (values.commit !== "") return values.commit
  try {
    return execFileSync("git", ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    }).trim()
  } catch {
    return ""
  }
}

/** All code lies in one folder: what is named by a path from a file of the source is beside whoever names it there. */
const flat: Plugin = {
  name: "flat",
  setup: (bundler) => {
    // Pages for developers, 5 MB of them, which nothing of ours serves.
    bundler.onResolve({ filter: /\/httpApi(?:Scalar|Swagger)\.(?:ts|js)$/ }, ({ path }) => ({ path, external: true }))
    // Of our own only what is published, and from which commit it was made.
    bundler.onLoad({ filter: /\/package\.json$/ }, ({ path }) =>
      path === join(root, "package.json")
        ? { contents: JSON.stringify({ ...manifestOf(root), commit: commitOf() }), loader: "json" }
        : undefined)
    bundler.onLoad({ filter: /\/src\/.*\.(?:ts|js)$/ }, ({ path }) => {
      if (!path.startsWith(source)) return undefined
      const loader = path.endsWith(".ts") ? "ts" as const : "js" as const
      const contents = readFileSync(path, "utf8").replace(
        beside,
        (_, quote: string, name: string) =>
          `new URL(${quote}./${
            name.endsWith(".ts") ? `${name.slice(0, -3)}.js` : `assets/${name}`
          }${quote}, import.meta.url)`
      )
      return { contents, loader }
    })
  }
}

const out = resolve(values.out)
const lib = join(out, "lib")
rmSync(out, { recursive: true, force: true })
mkdirSync(lib, { recursive: true })

const { metafile } = await build({
  entryPoints: [join(source, "entry.js"), ...new Set(threads)],
  outdir: lib,
  entryNames: "[name]",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node26",
  // Native code, and two accelerators of `ws` that it does without.
  external: [...own.native, "bufferutil", "utf-8-validate"],
  banner: {
    js: "import { createRequire as requireFrom } from \"node:module\"; const require = requireFrom(import.meta.url);"
  },
  minifySyntax: true,
  minifyWhitespace: true,
  keepNames: false,
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
  plugins: [flat]
})

cpSync(join(source, "pages/assets"), join(lib, "assets"), {
  recursive: true,
  filter: (path) => basename(path) !== "tsconfig.json"
})
for (const file of ["README.md", "CHANGELOG.md", "LICENSE", "SECURITY.md", ".env.example"]) {
  cpSync(join(root, file), join(out, file))
}
cpSync(join(root, "docs"), join(out, "docs"), { recursive: true, filter: (path) => !path.endsWith(".png") })
const bundled = [
  ...new Set(
    Object.keys(metafile.inputs).flatMap((input) =>
      /(?:^|.*\/)node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? []
    )
  )
]
writeFileSync(join(out, "LICENCES.md"), licencesOf(root, [...bundled, ...withDependencies(root, own.native)]))
writeFileSync(join(out, "package.json"), `${JSON.stringify(manifestOf(root), undefined, 2)}\n`)

const bytes = globSync("**/*", { cwd: out }).map((file) => statSync(join(out, file))).filter((entry) => entry.isFile())
  .reduce((sum, { size }) => sum + size, 0)
process.stdout.write(`${out}: ${(bytes / 1e6).toFixed(1)} MB\n`)
