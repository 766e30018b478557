/** What `npm run build` makes, as npm would pack and unpack it, and run without anything of this checkout but native code. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, beforeAll } from "vitest"
import { profileEvent } from "../support/events.ts"
import * as Service from "../support/service.ts"
import * as TestClient from "../support/TestClient.ts"

const root = join(import.meta.dirname, "../..")
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

let home: string
/** Where the package lies, unpacked from its archive. */
let unpacked: string
const entry = () => join(unpacked, "lib/entry.js")

const npm = (cwd: string, ...args: ReadonlyArray<string>) =>
  execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "profile-aggregator-package-"))
  const built = join(home, "built")
  execFileSync(process.execPath, [join(root, "src/build/build.ts"), "--out", built, "--commit", "0123456789ab"], {
    stdio: "ignore"
  })
  const [{ filename }] = JSON.parse(npm(built, "pack", "--json", "--pack-destination", home, "--ignore-scripts"))
  unpacked = join(home, "package")
  execFileSync("tar", ["-xzf", join(home, filename), "-C", home])
  // What npm would install beside it, for this platform.
  const { optionalDependencies } = JSON.parse(readFileSync(join(unpacked, "package.json"), "utf8"))
  for (const name of Object.keys(optionalDependencies)) {
    const place = join(unpacked, "node_modules", name)
    mkdirSync(dirname(place), { recursive: true })
    symlinkSync(join(root, "node_modules", name), place)
  }
}, 60_000)

afterAll(() => rmSync(home, { recursive: true, force: true }))

describe("the package", () => {
  it("holds the program and its docs, and nothing of development", () => {
    const files = globSync("**/*", { cwd: unpacked, exclude: (path) => path === "node_modules" })
    assert.includeMembers(files, ["package.json", "README.md", "LICENSE", "LICENCES.md", "CHANGELOG.md"])
    assert.includeMembers(files, ["lib/entry.js", "lib/assets/page.js", "docs/operations.md", "docs/configuration.md"])
    assert.deepStrictEqual(files.filter((file) => /\.ts$|\.map$|^test|tsconfig/.test(file)), [])
    const { dependencies, devDependencies, scripts, ...published } = JSON.parse(
      readFileSync(join(unpacked, "package.json"), "utf8")
    )
    assert.deepStrictEqual([dependencies, devDependencies, scripts], [undefined, undefined, undefined])
    for (const field of ["version", "homepage", "repository", "bugs", "license", "engines", "description"]) {
      assert.deepStrictEqual(published[field], manifest[field], field)
    }
    assert.deepStrictEqual(
      published.optionalDependencies,
      Object.fromEntries(
        Object.keys(published.optionalDependencies).map((name) => [name, manifest.dependencies[name]])
      )
    )
  })

  it("names the licence of every package inside or beside it, with its text", () => {
    const licences = readFileSync(join(unpacked, "LICENCES.md"), "utf8")
    const named = Array.from(licences.matchAll(/^\| (\S+) \| \d\S* \| (\S+) \|$/gm), ([, name]) => name)
    assert.includeMembers(named, ["effect", "@effect/platform-node", "@effect/sql-sqlite-node", "hono", "ws", "koffi"])
    // What npm installs beside it because a native package asks for it.
    assert.includeMembers(named, ["elliptic", "node-gyp-build", "uint8array-tools"])
    for (const name of named) assert.match(licences, new RegExp(`^## (?:.*, )?${name}(?:,|$)`, "m"), name)
  })

  it("needs nothing of the machine that it was built on", () => {
    for (const file of globSync("lib/**/*.js", { cwd: unpacked })) {
      assert.notInclude(readFileSync(join(unpacked, file), "utf8"), root, file)
    }
  })

  it("says its version and commit", () => {
    const { stdout } = spawnSync(process.execPath, [entry(), "--version"], { encoding: "utf8" })
    assert.match(
      stdout,
      new RegExp(
        `^profile-aggregator v${manifest.version.replaceAll(".", "\\.")} \\(0123456789ab\\)\n$`
      )
    )
  })

  it.live("serves, keeps what it has answered, and stops with a certificate", () =>
    Effect.gen(function*() {
      const service = yield* Service.start({
        entry: entry(),
        env: { ADMISSION: "open" }
      })
      const { http, url } = yield* service.listening
      const event = profileEvent()
      const client = yield* TestClient.connect(url)
      assert.deepStrictEqual((yield* client.publish(event)).slice(2, 3), [true])
      const page = yield* Effect.promise(() => fetch(http, { headers: { accept: "text/html", connection: "close" } }))
      const html = yield* Effect.promise(() => page.text())
      const [style] = /\/-\/[\w-]+\.css/.exec(html) ?? assert.fail(html)
      const sheet = yield* Effect.promise(() => fetch(`${http}${style}`, { headers: { connection: "close" } }))
      assert.strictEqual(sheet.status, 200)
      yield* Effect.promise(() => sheet.arrayBuffer())
      const { certificate, code } = yield* service.stop()
      assert.strictEqual(code, 0)
      assert.isTrue(Object.values(certificate?.proofs ?? { none: false }).every(Boolean))
      assert.deepStrictEqual(certificate?.released, ["websocket", "web", "aggregation", "crypto", "database"])
      const count = spawnSync(process.execPath, [entry(), "count", "{}"], {
        encoding: "utf8",
        env: { ...process.env, DATABASE_PATH: service.databasePath }
      })
      assert.strictEqual(count.stdout, "1\n")
    }).pipe(Effect.scoped), 30_000)

  it.live("brings its demo along", () =>
    Effect.gen(function*() {
      const demo = yield* Service.start({ entry: entry(), args: ["demo"], env: { BIND_ADDR: "127.0.0.1:0" } })
      yield* demo.line("Serving at")
      assert.strictEqual((yield* demo.stop("SIGINT")).code, 0)
    }).pipe(Effect.scoped), 30_000)
})
