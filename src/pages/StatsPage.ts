/** `/stats`: a record a day, as plots with a table under each. */
import { type Html, html } from "./Html.ts"
import { page } from "./Layout.ts"
import { linePlot } from "./Plot.ts"
import { count } from "./Said.ts"
import type { Site } from "./Site.ts"

/** One day that is over, UTC. */
export interface DayRecord {
  /** `2026-11-30`. */
  readonly day: string
  /** Profiles stored when it ended. */
  readonly profiles: number
  /** Events stored when it ended. */
  readonly events: number
  /** Profiles accepted and rejected while it lasted. */
  readonly accepted: number
  readonly rejected: number
  /** Connections that were opened while it lasted. */
  readonly connections: number
}

/** Spans of days that the page shows. */
export const spans = [7, 30, 90, 365] as const

export interface StatsFacts {
  readonly days: (typeof spans)[number]
  /** Oldest first. */
  readonly records: ReadonlyArray<DayRecord>
}

const series = [
  ["Profiles served", "profiles"],
  ["Profiles accepted a day", "accepted"],
  ["Profiles rejected a day", "rejected"],
  ["Connections a day", "connections"]
] as const

const box = (name: string, key: (typeof series)[number][1], records: ReadonlyArray<DayRecord>): Html =>
  html`<section class="box"><h2>${name}</h2>
${linePlot(name, records.map((record) => ({ at: Date.parse(record.day), value: record[key] })))}
<details><summary>As a table</summary><table><thead><tr><th scope="col">Day</th><th scope="col" class="n">${name}</th></tr></thead><tbody>
${
    records.toReversed().map((record) =>
      html`<tr><th scope="row">${record.day}</th><td class="n">${count(record[key])}</td></tr>
`
    )
  }</tbody></table></details></section>`

export const statsPage = (site: Site, { days, records }: StatsFacts): string =>
  page(site, {
    title: `Figures, ${site.name}`,
    here: "/stats",
    main: html`<h1>Figures</h1>
<p class="quiet">One record a day, at midnight UTC. The same <a href="${site.base}/api/stats.csv?days=${days}">as CSV</a> and <a href="${site.base}/api/stats?days=${days}">as JSON</a>.</p>
<p class="actions">${
      spans.map((span) =>
        span === days
          ? html`<a class="button plain" href="${site.base}/stats?days=${span}" aria-current="true">${span} days</a> `
          : html`<a class="button plain" href="${site.base}/stats?days=${span}">${span} days</a> `
      )
    }</p>
${
      records.length === 0
        ? html`<p>The first record is written at the end of the first day. What happens now is on <a href="${site.base}/live">the live page</a>.</p>`
        : html`<div class="two">${series.map(([name, key]) => box(name, key, records))}</div>`
    }`
  })
