import { assert, describe, it } from "@effect/vitest"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { edges } from "../sim/edges.ts"
import * as scale from "../sim/scale.ts"
import { checksOf, files } from "../sim/subjects.ts"
import { reasons } from "../sim/survivors.ts"
import { variants } from "../sim/variants.ts"
import { load, missing, type Module, modules } from "./modules.ts"

const root = join(import.meta.dirname, "../..")
const source = (module: Module): string => readFileSync(join(root, "src", module), "utf8")

describe("modules that programs name by path", () => {
  it("are where the map has them", () => {
    assert.deepStrictEqual(missing(), [])
  })

  it("are told of by name when they have moved, and are not loaded from elsewhere", async () => {
    const checkout = mkdtempSync(join(tmpdir(), "profile-aggregator-modules-"))
    try {
      for (const path of Object.values(modules)) {
        mkdirSync(dirname(join(checkout, "src", path)), { recursive: true })
        if (path !== modules.Ingester) writeFileSync(join(checkout, "src", path), "export const here = 1\n")
      }
      assert.deepStrictEqual(missing(checkout), [modules.Ingester])
      const said = await load(checkout, modules.Ingester).then(() => "loaded", String)
      assert.include(said, `${checkout} has no src/database/Ingester.ts`)
    } finally {
      rmSync(checkout, { recursive: true })
    }
  })

  it("have each line that a planted bug rewrites, once", () => {
    const gone = [...variants, { name: "a small machine", rewrites: scale.rewrites }].flatMap(({ name, rewrites }) =>
      rewrites.flatMap(({ file, from }) => source(file).split(from).length === 2 ? [] : [`${name}: ${file}: ${from}`])
    )
    assert.deepStrictEqual(gone, [])
  })

  it("have each line whose mutants may survive", () => {
    const gone = reasons.flatMap(({ at, file }) => source(file).includes(at) ? [] : [`${file}: ${at}`])
    assert.deepStrictEqual(gone, [])
  })

  it("import what the simulation puts a fake in the place of, which is there", () => {
    const gone = edges.flatMap(([from, to, fake]) => {
      const name = Object.values<string>(modules).includes(to) ? `/${to.split("/").at(-1)}"` : `"${to}"`
      return [
        ...source(from).includes(name) ? [] : [`${from} does not import ${to}`],
        ...existsSync(join(root, "test/sim/fakes", fake)) ? [] : [`test/sim/fakes/${fake}`]
      ]
    })
    assert.deepStrictEqual(gone, [])
  })

  it("are met, as mutants, with tests that there are", () => {
    const gone = files.flatMap((file) => checksOf(file).flatMap(({ reads }) => reads)).filter((path) =>
      !existsSync(join(root, path))
    )
    assert.deepStrictEqual(gone, [])
  })
})
