/** `/`: what the relay is, that it works, who is here, and how to use it. */
import { type Html, html } from "./Html.ts"
import { cards, page, searchForm } from "./Layout.ts"
import type { Person } from "./Person.ts"
import type { PolicyFacts } from "./PolicyPage.ts"
import { rulesSaid } from "./PolicyPage.ts"
import { count } from "./Said.ts"
import type { Site } from "./Site.ts"

export interface HomeFacts {
  /** A few, by chance. */
  readonly people: ReadonlyArray<Person>
  readonly figures: {
    readonly profiles: number
    readonly events: number
    readonly upstreams: number
    readonly clients: number
  }
  readonly policy: PolicyFacts
  /** Somebody to ask for in the examples; one who is here. */
  readonly example: string
  /** Unix seconds. */
  readonly now: number
}

/** Code to try as it stands, with a button that copies it. */
const snippet = (name: string, code: string): Html =>
  html`<section class="box snippet"><h3>${name}</h3><pre tabindex="0">${code}</pre><button class="button plain" type="button" data-copy="${code}">Copy</button></section>
`

const snippets = ({ address, relayUrl }: Site, pubkey: string): Html =>
  html`<div class="two">
${snippet("One profile, with curl", `curl -H 'Accept: application/json' \\\n  ${address}/api/profiles/${pubkey}`)}${
    snippet(
      "Find somebody, with curl",
      `curl '${address}/api/search?q=alice&limit=5'`
    )
  }${
    snippet(
      "With nostr-tools",
      `import { SimplePool } from "nostr-tools"\n\nconst pool = new SimplePool()\nconst profile = await pool.get(["${relayUrl}"], {\n  kinds: [0],\n  authors: ["${pubkey}"]\n})\nconsole.log(profile)\npool.close(["${relayUrl}"])`
    )
  }${
    snippet(
      "Over a WebSocket",
      `["REQ","profiles",{"kinds":[0,10002],"authors":["${pubkey}"]}]`
    )
  }${
    snippet(
      "As an indexer relay of a client (kind 10086)",
      `{"kind":10086,"tags":[["relay","${relayUrl}"]],"content":""}`
    )
  }</div>`

export const homePage = (site: Site, { example, figures, now, people, policy }: HomeFacts): string =>
  page(site, {
    title: site.name,
    head: html`<meta name="description" content="${site.description}">
<link rel="canonical" href="${site.address}/">
<meta property="og:title" content="${site.name}"><meta property="og:description" content="${site.description}">
`,
    main: html`<h1>Profiles worth having</h1>
<p class="lead">${site.description}</p>
<p class="address"><code>${site.relayUrl}</code> <button class="button plain" type="button" data-copy="${site.relayUrl}">Copy address</button></p>
${searchForm(site, "")}
<ul class="figures" data-live="${site.base}/api/live">
<li><strong data-figure="profiles">${count(figures.profiles)}</strong> profiles</li>
<li><strong data-figure="events">${count(figures.events)}</strong> events stored</li>
<li><strong>${count(figures.upstreams)}</strong> upstream relays</li>
<li><strong data-figure="clients">${count(figures.clients)}</strong> clients connected</li>
</ul>
<h2>Some of those who are here</h2>
${
      people.length === 0
        ? html`<p>Nobody yet: the relay has only begun to harvest. <a href="${site.base}/relays">See how far it is</a>.</p>`
        : cards(site, people, now)
    }
<p><a class="button plain" href="${site.base}/explore">All of them</a> <a class="button plain" href="${site.base}/random">Others by chance</a></p>
<div class="two"><section class="box"><h2>Who is kept</h2><ul>
${
      rulesSaid(policy).map((rule) =>
        html`<li>${rule}</li>
`
      )
    }</ul><p><a href="${site.base}/policy">The whole policy</a></p></section>
<section class="box"><h2>For programs</h2><p>Everything here is also JSON, without a key: <a href="${site.base}/api">the API</a>. Nostr clients connect to the address above, and get kinds 0, 10002 and 10050 of 500 authors in one request.</p></section></div>
<h2>Try it</h2>
${snippets(site, example)}`
  })
