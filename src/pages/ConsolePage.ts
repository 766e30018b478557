/** `/console`: what the service is made of at this moment, and who holds what, for its operator. */
import type { Report } from "../lifecycle/Report.ts"
import { type Html, html } from "./Html.ts"
import { page } from "./Layout.ts"
import type { Site } from "./Site.ts"

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

type Cell = Html | string

/** The first cell of each row heads it. */
const table = (
  caption: string,
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<ReadonlyArray<Cell>>
): Html => {
  const classOf = (at: number) => columns[at]?.isNumber ? "n" : ""
  const cell = (content: Cell, at: number) =>
    at === 0
      ? html`<th scope="row" class="${classOf(at)}">${content}</th>`
      : html`<td class="${classOf(at)}" data-of="${columns[at]?.name}">${content}</td>`
  return html`<section class="box wide"><table class="stack">
<caption>${caption}</caption>
<thead><tr>${columns.map(({ name }, at) => html`<th scope="col" class="${classOf(at)}">${name}</th>`)}</tr></thead>
<tbody>
${
    rows.length === 0
      ? html`<tr><td colspan="${columns.length}">none</td></tr>`
      : rows.map((cells) =>
        html`<tr>${cells.map(cell)}</tr>
`
      )
  }</tbody>
</table></section>
`
}

const code = (text: string): Html => html`<code>${text}</code>`

const tables = (report: Report): Html =>
  html`${
    table(
      "Components, first acquired first",
      [{ name: "Component" }, { name: "State" }],
      report.components.map(({ name, state }) => [name, state])
    )
  }${
    table(
      "Senders, oldest first",
      [
        { name: "Holder" },
        { name: "Mailbox" },
        { name: "Held for", isNumber: true },
        { name: "In flight", isNumber: true },
        { name: "Taken at, innermost call first" }
      ],
      report.senders.map(({ heldMs, inFlight, label, mailbox, site }) => [
        code(label),
        mailbox,
        spoken(heldMs),
        String(inFlight),
        html`${site.map((call) => html`${code(call)}<br>`)}`
      ])
    )
  }${
    table(
      "Queues",
      [{ name: "Mailbox" }, { name: "Waiting", isNumber: true }, { name: "Room for", isNumber: true }],
      report.mailboxes.map(({ capacity, depth, name }) => [name, String(depth), String(capacity)])
    )
  }${
    table(
      "Fibers, by owner",
      [{ name: "Owner" }, { name: "Fiber" }, { name: "Runs for", isNumber: true }],
      report.fibers.toSorted((a, b) => a.owner.localeCompare(b.owner) || b.ageMs - a.ageMs)
        .map(({ ageMs, name, owner }) => [owner, code(name), spoken(ageMs)])
    )
  }${
    table(
      "Counters",
      [{ name: "Counted" }, { name: "Since the start", isNumber: true }],
      Object.entries(report.counters).map(([name, count]) => [name, String(count)])
    )
  }`

export const consolePage = (site: Site, report: Report): string =>
  page(site, {
    title: `${report.state} for ${spoken(report.uptimeMs)}`,
    main: html`<h1>${report.state}</h1>
<p>Up for ${
      spoken(report.uptimeMs)
    }, seen at <time datetime="${report.at}">${report.at}</time>. The same <a href="?format=json">as JSON</a>. How profiles come in is on <a href="${site.base}/live">the live page</a>, upstreams on <a href="${site.base}/relays">theirs</a>.</p>
${report.causes.length > 0 && html`<p>It stops because of: ${report.causes.map((cause) => html`${code(cause)} `)}</p>`}
${tables(report)}
<h2>How the last process ended</h2>
${
      report.lastCertificate === null
        ? html`<p>There is no certificate: it was killed, or there was none.</p>`
        : html`<pre tabindex="0">${JSON.stringify(report.lastCertificate, undefined, 2)}</pre>`
    }`
  })
