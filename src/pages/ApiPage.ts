/** `/api`: what programs may ask, out of the same description that they can read. */
import { type Html, html } from "./Html.ts"
import { page } from "./Layout.ts"
import type { Site } from "./Site.ts"

interface Parameter {
  readonly name: string
  readonly in: string
  readonly required?: boolean | undefined
  readonly description?: string | undefined
  readonly schema?: { readonly description?: string | undefined } | undefined
}

interface Operation {
  readonly summary?: string | undefined
  readonly description?: string | undefined
  readonly parameters?: ReadonlyArray<Parameter> | undefined
  readonly requestBody?: unknown
  readonly responses?:
    | { readonly [status: string]: { readonly description?: string | undefined } | undefined }
    | undefined
}

/** An OpenAPI 3.1 document, as far as it is shown. */
export interface Described {
  readonly info: { readonly version: string; readonly description?: string | undefined }
  readonly paths: { readonly [path: string]: object | undefined }
}

const parameterRow = ({ description, name, required, schema }: Parameter): Html =>
  html`<tr><th scope="row" class="mono">${name}${required === true && " *"}</th><td>${
    description ?? schema?.description ?? ""
  }</td></tr>
`

const operation = (
  path: string,
  method: string,
  { description, parameters = [], requestBody, responses = {}, summary }: Operation
): Html =>
  html`<section class="box wide"><h2><code>${method.toUpperCase()} ${path}</code></h2>
<p>${summary}${description !== undefined && html` ${description}`}</p>
${
    parameters.length > 0 &&
    html`<table><thead><tr><th scope="col">Parameter</th><th scope="col">Meaning (* is needed)</th></tr></thead><tbody>
${parameters.map(parameterRow)}</tbody></table>`
  }${requestBody !== undefined && html`<p class="small quiet">Takes a JSON body.</p>`}
<p class="small quiet">Answers ${Object.keys(responses).join(", ")}.</p></section>
`

const problems = [
  ["not-here", "There is no profile of that key here; the link in `explain` says why."],
  ["gone", "The author asked for everything of theirs to be removed."],
  ["bad-key", "The key is neither npub1…, nprofile1… nor 64 hex digits."],
  ["bad-query", "A parameter is missing, too long, or no cursor of ours."],
  ["unavailable", "The store could not be read; try again in a moment."]
] as const

export const apiPage = (site: Site, { info, paths }: Described): string =>
  page(site, {
    title: `API, ${site.name}`,
    here: "/api",
    main: html`<h1>For programs</h1>
<p class="lead">${info.description ?? ""}</p>
<p>Version ${info.version}; <a href="${site.base}/api/openapi.json">the OpenAPI 3.1 description</a>. It only grows: fields and routes are added, and what goes one day says so in a <code>deprecation</code> header for a year before. An address has a share of the relay; who asks for more gets 429 and a <code>retry-after</code>.</p>
${
      Object.entries(paths).map(([path, methods]) =>
        Object.entries(methods ?? {}).map(([method, described]) => operation(path, method, described as Operation))
      )
    }
<h2>Problems</h2>
<div class="box"><dl>
${
      problems.map(([name, text]) =>
        html`<dt id="${name}"><code>${name}</code></dt><dd>${text}</dd>
`
      )
    }</dl></div>`
  })
