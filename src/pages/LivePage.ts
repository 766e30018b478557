/** `/live`: the way in, as it is going: how many profiles come, and where most of them end. */
import { html } from "./Html.ts"
import { page } from "./Layout.ts"
import { shareBar } from "./Plot.ts"
import { count } from "./Said.ts"
import type { Site } from "./Site.ts"

/** Counted from the start of the service. */
export interface LiveFacts {
  /** Steps of the way in, each a part of the one before. */
  readonly funnel: ReadonlyArray<{ readonly key: string; readonly name: string; readonly value: number }>
  /** Why profiles were rejected, the most frequent first. */
  readonly reasons: ReadonlyArray<{ readonly reason: string; readonly value: number }>
  /** Profiles that wait to be looked at. */
  readonly waiting: number
  readonly clients: number
  readonly subscriptions: number
}

export const livePage = (site: Site, { clients, funnel, reasons, subscriptions, waiting }: LiveFacts): string => {
  const whole = funnel[0]?.value ?? 0
  return page(site, {
    title: `Live, ${site.name}`,
    here: "/live",
    main: html`<h1>What is going on</h1>
<p class="quiet">Since the last start. With a script the figures follow by the second; without one, load the page again.</p>
<div data-live="${site.base}/api/live">
<ul class="figures">
<li><strong data-figure="waiting">${count(waiting)}</strong> profiles wait to be looked at</li>
<li><strong data-figure="clients">${count(clients)}</strong> clients are connected</li>
<li><strong data-figure="subscriptions">${count(subscriptions)}</strong> subscriptions are open</li>
</ul>
<div class="two">
<section class="box"><h2>The way in</h2><table class="stack"><thead><tr><th scope="col">Step</th><th scope="col">Share</th><th scope="col" class="n">Events</th></tr></thead><tbody>
${
      funnel.map(({ key, name, value }) =>
        html`<tr><th scope="row">${name}</th><td>${
          shareBar(name, value, whole)
        }</td><td class="n" data-figure="${key}">${count(value)}</td></tr>
`
      )
    }</tbody></table></section>
<section class="box"><h2>Why profiles were not kept</h2>${
      reasons.length === 0
        ? html`<p>None was rejected yet.</p>`
        : html`<table><thead><tr><th scope="col">Reason</th><th scope="col" class="n">Profiles</th></tr></thead><tbody>
${
          reasons.map(({ reason, value }) =>
            html`<tr><th scope="row">${reason}</th><td class="n" data-figure="reason ${reason}">${
              count(value)
            }</td></tr>
`
          )
        }</tbody></table>`
    }</section>
</div>
</div>`
  })
}
