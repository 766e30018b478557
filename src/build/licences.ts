/** What the licences of the packages inside ask for: that they are named, and their texts handed on. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

interface Package {
  readonly name: string
  readonly version: string
  readonly license?: string
  readonly dependencies?: { readonly [name: string]: string }
}

const read = (root: string, name: string): { readonly named: Package; readonly text: string } => {
  const folder = join(root, "node_modules", name)
  const named: Package = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  const file = readdirSync(folder).find((entry) => /^licen[cs]e(?:\.(?:md|txt))?$/i.test(entry))
  if (file !== undefined) return { named, text: readFileSync(join(folder, file), "utf8").trim() }
  // Some have it as the last part of their readme.
  const readme = readdirSync(folder).find((entry) => /^readme\.md$/i.test(entry))
  const [text = ""] = readme === undefined
    ? []
    : /^#+ licen[cs]e\b[^]*/im.exec(readFileSync(join(folder, readme), "utf8")) ?? []
  return { named, text: text.trim() }
}

/** These, and what npm installs because they ask for it. */
export const withDependencies = (root: string, names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const all = new Set(names)
  // A set that grows while it is walked is walked to its new end.
  for (const name of all) for (const next of Object.keys(read(root, name).named.dependencies ?? {})) all.add(next)
  return [...all]
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
    "What `koffi` has for one platform, `@koromix/koffi-*`, has its licence.",
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
