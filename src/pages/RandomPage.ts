/** `/random` for people: faces nobody chose. */
import { html } from "./Html.ts"
import { cards, page } from "./Layout.ts"
import type { Person } from "./Person.ts"
import type { Site } from "./Site.ts"

export interface Draw {
  readonly people: ReadonlyArray<Person>
  /** Link to the same draw again, for somebody else to see. */
  readonly again: string
  /** Link to those after it, none of whom was in it. */
  readonly next: string
  /** Unix seconds. */
  readonly now: number
}

export const randomPage = (site: Site, { again, next, now, people }: Draw): string =>
  page(site, {
    title: `Random profiles, ${site.name}`,
    here: "/random",
    main: html`<h1>People by chance</h1>
<p class="quiet">Everybody is as likely as anybody else, and nobody comes twice before all have come once.</p>
${
      people.length === 0
        ? html`<p>Nobody is here yet: the relay has only begun to harvest. <a href="${site.base}/relays">See how far it is</a>.</p>`
        : html`<h2 class="visually-hidden">Who came</h2>
${cards(site, people, now)}
<p class="actions"><a class="button" rel="next" href="${next}">Others</a> <a class="button plain" href="${again}">Link to these</a></p>`
    }`
  })
