/** `/relays`: where profiles come from, and how much of each upstream has been read. */
import { html } from "./Html.ts"
import { page } from "./Layout.ts"
import { coverageBar, percentOf } from "./Plot.ts"
import { count, day } from "./Said.ts"
import type { Site } from "./Site.ts"

export interface UpstreamFacts {
  /** Host, and path where there is one; nothing else of its address. */
  readonly host: string
  /** What its connection is doing, in words. */
  readonly state: string
  /** Ranges of `created_at` that have been read: Unix seconds. */
  readonly covered: ReadonlyArray<readonly [since: number, until: number]>
  /** Events that it has sent and that were judged. */
  readonly events: number
  readonly accepted: number
  /** Why its last connection ended, in words of ours. */
  readonly problem: string | undefined
}

export interface UpstreamsFacts {
  readonly upstreams: ReadonlyArray<UpstreamFacts>
  /** What is harvested: from `since` until now. */
  readonly since: number
  readonly now: number
}

const row = ({ accepted, covered, events, host, problem, state }: UpstreamFacts, since: number, now: number) =>
  html`<tr><th scope="row" class="mono"><bdi>${host}</bdi></th><td>${state}${
    problem !== undefined && html`<br><span class="small quiet">${problem}</span>`
  }</td><td>${coverageBar(host, [since, now], covered)}<span class="small quiet">${
    percentOf([since, now], covered)
  } %</span></td><td class="n" data-of="Events">${count(events)}</td><td class="n" data-of="Kept">${
    count(accepted)
  }</td></tr>
`

export const relaysPage = (site: Site, { now, since, upstreams }: UpstreamsFacts): string =>
  page(site, {
    title: `Upstream relays, ${site.name}`,
    here: "/relays",
    main: html`<h1>Where profiles come from</h1>
<p class="quiet">What has been read of each upstream, from ${
      day(since)
    } until now. A gap is asked for again; nothing counts as read before its relay has said that this was all.</p>
<div class="box">${
      upstreams.length === 0
        ? html`<p>No upstreams are set: profiles come only from clients that publish here.</p>`
        : html`<table class="stack"><thead><tr><th scope="col">Relay</th><th scope="col">State</th><th scope="col">Read so far</th><th scope="col" class="n">Events</th><th scope="col" class="n">Kept</th></tr></thead>
<tbody>
${upstreams.map((upstream) => row(upstream, since, now))}</tbody></table>`
    }</div>
<p class="small quiet">The same <a href="${site.base}/api/relays">as JSON</a>. Events and what was kept of them count from the last start.</p>`
  })
