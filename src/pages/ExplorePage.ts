/** `/explore`: who is here, newest first or by what was searched for. */
import { type Html, html } from "./Html.ts"
import { cards, page, searchForm } from "./Layout.ts"
import type { Person } from "./Person.ts"
import { counted } from "./Said.ts"
import type { Site } from "./Site.ts"

export interface Exploration {
  /** What was asked for; empty for everybody. */
  readonly query: string
  readonly people: ReadonlyArray<Person>
  /** How many profiles the relay has. */
  readonly total: number
  /** Cursor of the page after this one. */
  readonly next: string | undefined
  /** Why the question could not be answered as it was asked. */
  readonly problem?: string
  /** Unix seconds. */
  readonly now: number
}

const heading = ({ people, problem, query }: Exploration): Html => {
  if (problem !== undefined) return html`${problem}`
  if (query === "") return html`Newest first`
  return people.length === 0
    ? html`Nobody here matches <bdi>${query}</bdi>`
    : html`Matches of <bdi>${query}</bdi>, best first`
}

const nothing = ({ problem, query }: Exploration, { base }: Site): Html =>
  query === "" && problem === undefined
    ? html`<p>Nobody is here yet: the relay has only begun to harvest. <a href="${base}/relays">See how far it is</a>.</p>`
    : html`<p>Search matches whole words of names, bios and addresses, and the beginning of the last one. Try fewer letters, or an npub. The <a href="${base}/policy">policy</a> says who is kept.</p>`

export const explorePage = (site: Site, exploration: Exploration): string => {
  const { next, now, people, query, total } = exploration
  const after = next === undefined
    ? undefined
    : `${site.base}/explore?${new URLSearchParams({ ...(query === "" ? {} : { q: query }), after: next }).toString()}`
  return page(site, {
    title: query === "" ? `Explore profiles, ${site.name}` : `${query}, profiles on ${site.name}`,
    here: "/explore",
    head: html`${
      after !== undefined && html`<link rel="next" href="${after}">
`
    }`,
    main: html`<h1>Find people</h1>
<p class="quiet">${counted(total, "profile")}, each of them checked before it was kept.</p>
${searchForm(site, query)}
<h2 class="quiet">${heading(exploration)}</h2>
${people.length === 0 ? nothing(exploration, site) : cards(site, people, now)}
${after !== undefined && html`<p><a class="button plain" rel="next" href="${after}">More</a></p>`}`
  })
}
