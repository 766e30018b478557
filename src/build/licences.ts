/** What the licences of the packages inside ask for: that they are named, and their texts handed on. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

interface Package {
  readonly name: string
  readonly version: string
  readonly license?: string
}

const read = (root: string, name: string): { readonly named: Package; readonly text: string } => {
  const folder = join(root, "node_modules", name)
  const named: Package = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  const file = readdirSync(folder).find((entry) => /^licen[cs]e(?:\.(?:md|txt))?$/i.test(entry))
  return { named, text: file === undefined ? "" : readFileSync(join(folder, file), "utf8").trim() }
}

/** Markdown: a table of all, then each text once. Fails where a package names no licence. */
export const licencesOf = (root: string, names: ReadonlyArray<string>): string => {
  const packages = [...new Set(names)].toSorted().map((name) => read(root, name))
  const nameless = packages.filter(({ named }) => named.license === undefined).map(({ named }) => named.name)
  if (nameless.length > 0) throw new Error(`no licence is named by ${nameless.join(", ")}`)
  const texts = Map.groupBy(packages.filter(({ text }) => text !== ""), ({ text }) => text)
  return [
    "# Licences of what is inside, or installed beside it",
    "",
    "| Package | Version | Licence |",
    "|---|---|---|",
    ...packages.map(({ named: { license, name, version } }) => `| ${name} | ${version} | ${license} |`),
    ...[...texts].flatMap(([text, all]) => [
      "",
      `## ${all.map(({ named }) => named.name).join(", ")}`,
      "",
      "```",
      text,
      "```"
    ]),
    ""
  ].join("\n")
}
