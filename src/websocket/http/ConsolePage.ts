/** The console as a person sees it. Pure; no script, and nothing of it is fetched from anywhere. */
import { createHash } from "node:crypto"
import type { Report } from "../../lifecycle/Report.ts"
import { escaped } from "./LandingPage.ts"

const style = `
:root { color-scheme: light dark; --ink: #1d2330; --paper: #fbfaf7; --quiet: #5b6577; --line: #d9d6ce }
@media (prefers-color-scheme: dark) { :root { --ink: #e9e6df; --paper: #14161b; --quiet: #a3abb8; --line: #2c3038 } }
body { margin: 3rem auto; max-width: 64rem; padding: 0 1.5rem; font: 1rem/1.5 system-ui, sans-serif;
  color: var(--ink); background: var(--paper) }
h1 { font-size: 1.5rem; margin: 0 }
table { border-collapse: collapse; width: 100%; margin: 2rem 0 }
caption { font-weight: 600; text-align: left; padding: .3rem 0 }
th, td { text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; border-top: 1px solid var(--line) }
th { font-weight: 500 }
thead th { color: var(--quiet) }
.number { text-align: right; font-variant-numeric: tabular-nums }
code, pre { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap }
`

export const contentSecurityPolicy = `default-src 'none'; style-src 'sha256-${
  createHash("sha256").update(style).digest("base64")
}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/** As one says it: `850 ms`, `12 s`, `3 min 4 s`, `5 h 6 min`, `2 d 3 h`. */
export const spoken = (millis: number): string => {
  if (millis < 1000) return `${Math.round(millis)} ms`
  const seconds = Math.floor(millis / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds % 86_400 / 3600)} h`
}

interface Column {
  readonly name: string
  readonly isNumber?: true
}

const code = (text: string): string => `<code>${escaped(text)}</code>`

/** `rows` are HTML, the first cell of each heads its row. */
const table = (
  caption: string,
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): string => {
  const classOf = (at: number) => columns[at]?.isNumber ? " class=\"number\"" : ""
  const head = columns.map(({ name }, at) => `<th scope="col"${classOf(at)}>${name}</th>`).join("")
  const body = rows.map((cells) =>
    `<tr>${
      cells.map((cell, at) =>
        at === 0 ? `<th scope="row"${classOf(at)}>${cell}</th>` : `<td${classOf(at)}>${cell}</td>`
      ).join("")
    }</tr>`
  )
  const none = `<tr><td colspan="${columns.length}">none</td></tr>`
  return `<table>
<caption>${caption}</caption>
<thead><tr>${head}</tr></thead>
<tbody>
${body.join("\n") || none}
</tbody>
</table>`
}

export const consolePage = (report: Report): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${report.state} for ${spoken(report.uptimeMs)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${report.state}</h1>
<p>Up for ${spoken(report.uptimeMs)}, seen at <time datetime="${report.at}">${report.at}</time>.
The same <a href="?format=json">as JSON</a>.</p>
${report.causes.length === 0 ? "" : `<p>It stops because of: ${report.causes.map(code).join(", ")}.</p>\n`}${
    table(
      "Components, first acquired first",
      [{ name: "Component" }, { name: "State" }],
      report.components.map((one) => [
        escaped(one.name),
        one.state
      ])
    )
  }
${
    table(
      "Senders, oldest first",
      [
        { name: "Holder" },
        { name: "Mailbox" },
        { name: "Held for", isNumber: true },
        { name: "In flight", isNumber: true },
        { name: "Taken at, innermost call first" }
      ],
      report.senders.map((sender) => [
        code(sender.label),
        escaped(sender.mailbox),
        spoken(sender.heldMs),
        String(sender.inFlight),
        sender.site.map(code).join("<br>")
      ])
    )
  }
${
    table(
      "Queues",
      [{ name: "Mailbox" }, { name: "Waiting", isNumber: true }, { name: "Room for", isNumber: true }],
      report.mailboxes.map(({ capacity, depth, name }) => [escaped(name), String(depth), String(capacity)])
    )
  }
${
    table(
      "Fibers, by owner",
      [{ name: "Owner" }, { name: "Fiber" }, { name: "Runs for", isNumber: true }],
      report.fibers.toSorted((a, b) => a.owner.localeCompare(b.owner) || b.ageMs - a.ageMs)
        .map(({ ageMs, name, owner }) => [escaped(owner), code(name), spoken(ageMs)])
    )
  }
${
    table(
      "Counters",
      [{ name: "Counted" }, { name: "Since the start", isNumber: true }],
      Object.entries(report.counters).map(([name, count]) => [escaped(name), String(count)])
    )
  }
<h2>How the last process ended</h2>
${
    report.lastCertificate === null
      ? "<p>There is no certificate: it was killed, or there was none.</p>"
      : `<pre>${escaped(JSON.stringify(report.lastCertificate, undefined, 2))}</pre>`
  }
</main>
</body>
</html>
`
