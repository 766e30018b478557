/** What all pages share: head, way around, foot, and how a person looks in a list. */
import { type Html, html, type Part } from "./Html.ts"
import { type Person, shortKeyOf } from "./Person.ts"
import { span } from "./Said.ts"
import type { Site } from "./Site.ts"

/**
 * Nothing but our own files, and no script or style that is not one of them: a mistake in escaping would still run nothing, and
 * nobody else learns who looks at whom.
 */
export const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
  "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

const ways = [
  ["/explore", "Explore"],
  ["/random", "Random"],
  ["/relays", "Relays"],
  ["/live", "Live"],
  ["/stats", "Stats"],
  ["/policy", "Policy"],
  ["/api", "API"]
] as const

export interface PageOptions {
  readonly title: string
  /** Which of the ways around this page is. */
  readonly here?: (typeof ways)[number][0]
  readonly main: Html
  /** More for the head. */
  readonly head?: Html
}

/** A whole document. */
export const page = (site: Site, { head, here, main, title }: PageOptions): string =>
  html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="stylesheet" href="${site.assets.style}">
<link rel="icon" href="${site.assets.icon}" type="image/svg+xml">
${head}<script type="module" src="${site.assets.script}"></script>
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header class="site">
<a href="${site.base}/"><svg aria-hidden="true" width="22" height="22" viewBox="0 0 22 22"><circle class="have" cx="11" cy="8" r="5"/><path class="have" d="M1 22a10 8 0 0 1 20 0z"/></svg><bdi>${site.name}</bdi></a>
<nav aria-label="Pages">${
    ways.map(([path, name]) =>
      path === here
        ? html`<a href="${site.base}${path}" aria-current="page">${name}</a> `
        : html`<a href="${site.base}${path}">${name}</a> `
    )
  }</nav>
</header>
<main id="main">
${main}
</main>
<footer>profile-aggregator ${site.version}, a Nostr relay that keeps the profiles worth having. No cookies, no trackers, nothing from elsewhere.</footer>
</body>
</html>
`.toString()

/** Where somebody's page is. */
export const pathOf = (site: Site, { npub }: Pick<Person, "npub">): string => `${site.base}/p/${npub}`

/** Where somebody's picture is: always here, whatever they wrote. `size` is in CSS pixels of one side. */
export const faceOf = (site: Site, { pubkey }: Pick<Person, "pubkey">): string => `${site.base}/img/${pubkey}`

/** The NIP-05 name, and whether its domain says it is theirs. */
export const nip05Of = ({ nip05 }: Pick<Person, "nip05">): Html | undefined => {
  if (nip05 === undefined) return undefined
  if (nip05.verified === true) {
    return html`<span class="tick"><bdi>${nip05.text}</bdi> <span role="img" aria-label="confirmed by its domain" title="confirmed by its domain">✓</span></span>`
  }
  return html`<span class="quiet"><bdi>${nip05.text}</bdi> <span class="small">(${
    nip05.verified === false ? "not theirs, says its domain" : "not confirmed"
  })</span></span>`
}

/** How long the relay has known the account. `now` is in Unix seconds. */
const knownFor = ({ firstSeenAt }: Person, now: number): Part =>
  firstSeenAt !== undefined && html` <span class="chip">here for ${span(Math.max(0, now - firstSeenAt))}</span>`

/** One line below a name: what tells two of the same name apart. */
const below = (person: Person, now: number): Html =>
  html`${nip05Of(person) ?? html`<span class="quiet mono">${shortKeyOf(person.npub)}</span>`}${knownFor(person, now)}${
    person.bot && html` <span class="chip">automated</span>`
  }`

const card = (site: Site, person: Person, now: number): Html =>
  html`<li class="card"><img class="face" src="${
    faceOf(site, person)
  }" alt="" width="64" height="64" loading="lazy" decoding="async">
<div><h3><a href="${pathOf(site, person)}"><bdi>${person.label}</bdi></a></h3>
<div class="small">${below(person, now)}</div></div>
<p class="bio" dir="auto">${person.about.slice(0, 280)}</p></li>
`

/** People as cards, each of which is one link. `now` is in Unix seconds. */
export const cards = (site: Site, people: ReadonlyArray<Person>, now: number): Html =>
  html`<ul class="cards">
${people.map((person) => card(site, person, now))}</ul>`

/** The one box to look for somebody in; a script makes suggestions in it, and it works without. */
export const searchForm = (site: Site, query: string): Html =>
  html`<form class="search" role="search" action="${site.base}/explore" data-suggest="${site.base}/api/search">
<input type="search" name="q" value="${query}" maxlength="100" aria-label="Name, address or npub" placeholder="Name, address or npub" autocomplete="off" spellcheck="false">
<button type="submit">Search</button>
</form>`
