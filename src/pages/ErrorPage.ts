/** What a browser is shown instead of a page: what happened, and what to do next. */
import { type Html, html } from "./Html.ts"
import { page, searchForm } from "./Layout.ts"
import type { Site } from "./Site.ts"

const texts: Readonly<Record<number, readonly [title: string, detail: string]>> = {
  400: ["That cannot be asked so", "The address has a parameter that this page does not take."],
  403: ["This page is for the operator", "Ask it from the machine that the relay runs on, or with a signed request."],
  404: ["There is no such page", "The address may be misspelt, or the page was never here."],
  410: ["No longer here", "The author asked for everything of theirs to be removed, and it was."],
  429: ["Too many requests", "This address asked for more than its share. Wait a moment and try again."],
  500: ["Something went wrong here", "The relay could not read its store. Try again in a moment."],
  503: ["The relay is stopping or starting", "Try again in a few seconds."]
}

export interface Failure {
  readonly status: number
  /** More than what the status says; text of ours. */
  readonly detail?: string
  readonly more?: Html
}

export const errorPage = (site: Site, { detail, more, status }: Failure): string => {
  const [title, usual] = texts[status] ?? ["Something went wrong", ""]
  return page(site, {
    title: `${title}, ${site.name}`,
    main: html`<h1>${title}</h1>
<p>${detail ?? usual}</p>
${more}
${status === 404 || status === 410 ? searchForm(site, "") : undefined}
<p><a class="button plain" href="${site.base}/">To the first page</a></p>`
  })
}
