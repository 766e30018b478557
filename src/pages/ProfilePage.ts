/** `/p/<npub>`: one profile, what is known of it, and why it is here. */
import { standingSaid } from "../domain/Standing.ts"
import { type Html, html, jsonIn, jsonText, webLinkOf } from "./Html.ts"
import { faceOf, nip05Of, page, pathOf } from "./Layout.ts"
import { type Person, shortKeyOf } from "./Person.ts"
import { ago, bytes, day } from "./Said.ts"
import type { Site } from "./Site.ts"

/** One rule, and what it says of a profile. */
export interface RuleFacts {
  readonly rule: string
  /** `skipped`: nothing to judge, or nobody was asked. */
  readonly status: "ok" | "rejected" | "unanswered" | "skipped"
  /** What it was judged by; text of strangers among it is as they wrote it. */
  readonly fact: string
  /** Why not `ok`. */
  readonly reason: string | undefined
}

export interface PictureFacts {
  readonly host: string
  /** Pixels; absent while nobody has looked. */
  readonly size: { readonly width: number; readonly height: number } | undefined
  /** Media type. */
  readonly type: string | undefined
  readonly bytes: number | undefined
  readonly isAnimated: boolean | undefined
  readonly sha256: string | undefined
  /** What became of the last look, in words. */
  readonly state: string
  /** Unix seconds. */
  readonly checkedAt: number | undefined
}

export interface RelayUse {
  readonly url: string
  readonly uses: ReadonlyArray<"read" | "write" | "direct messages">
}

export interface ProfileFacts {
  readonly person: Person
  readonly rules: ReadonlyArray<RuleFacts>
  readonly picture: PictureFacts | undefined
  readonly relays: ReadonlyArray<RelayUse>
  /** Others who bear the same name, and others who bear it with the same picture: at most a few of each. */
  readonly sameName: ReadonlyArray<Person>
  readonly samePicture: ReadonlyArray<Person>
  /** The signed event. */
  readonly event: unknown
  /** Unix seconds. */
  readonly now: number
}

const link = (text: string): Html | undefined => {
  const href = webLinkOf(text)
  return href === undefined
    ? undefined
    : html`<a href="${href}" rel="nofollow ugc noopener noreferrer"><bdi>${
      href.replace(/^https?:\/\//u, "").replace(/\/$/u, "").slice(0, 80)
    }</bdi></a>`
}

const head = (site: Site, person: Person): Html =>
  html`<article class="hero"><div class="banner"></div><div class="in">
<div class="top"><img class="face" src="${
    faceOf(site, person)
  }" alt="Picture of ${person.label}" width="120" height="120">
<div class="actions"><a class="button" href="nostr:${person.npub}">Open in app</a> <button class="button plain" type="button" data-copy="${person.npub}">Copy npub</button></div></div>
<h1><bdi>${person.label}</bdi></h1>
<p class="quiet">${person.name !== "" && person.name !== person.label && html`<bdi>@${person.name}</bdi> `}${
    nip05Of(person)
  }${person.bot && html` <span class="chip">automated</span>`}</p>
<p class="bio-long" dir="auto">${person.about}</p>
<p class="small">${link(person.website)} ${
    person.lightning !== "" && html`<span>⚡ <bdi>${person.lightning}</bdi></span> `
  }<span class="mono">${person.npub}</span></p>
</div></article>
`

const statusSaid = { ok: "met", rejected: "not met", unanswered: "nobody could tell", skipped: "not asked" } as const

const ruleList = (rules: ReadonlyArray<RuleFacts>): Html =>
  html`<ul class="why">
${
    rules.map(({ fact, reason, rule, status }) =>
      html`<li class="${status}"><span class="visually-hidden">${
        statusSaid[status]
      }: </span><strong>${rule}</strong> <span class="quiet"><bdi>${fact.slice(0, 160)}</bdi>${
        reason !== undefined && html`, ${reason}`
      }</span></li>
`
    )
  }</ul>`

const why = (site: Site, { person, rules }: ProfileFacts): Html =>
  html`<section class="box"><h2>Why it is here</h2>${
    ruleList(rules)
  }<p class="small quiet"><a href="${site.base}/policy">What the rules are</a>, <a href="${site.base}/api/profiles/${person.pubkey}/explain">this as JSON</a></p></section>
`

const picture = ({ now, picture }: ProfileFacts): Html | undefined => {
  if (picture === undefined) return undefined
  const { bytes: size, checkedAt, host, isAnimated, sha256, size: pixels, state, type } = picture
  return html`<section class="box"><h2>Picture</h2><dl>
${
    pixels !== undefined &&
    html`<dt>Size</dt><dd>${pixels.width} × ${pixels.height}${size !== undefined && `, ${bytes(size)}`}</dd>
`
  }${
    type !== undefined && html`<dt>Type</dt><dd>${type}${isAnimated === true && ", animated"}</dd>
`
  }<dt>Where</dt><dd class="mono"><bdi>${host}</bdi></dd>
<dt>State</dt><dd>${state}${checkedAt !== undefined && html`, looked at ${ago(checkedAt, now)}`}</dd>
${
    sha256 !== undefined && html`<dt>SHA-256</dt><dd class="mono">${sha256.slice(0, 16)}…</dd>
`
  }</dl></section>
`
}

const relays = ({ relays }: ProfileFacts): Html =>
  html`<section class="box"><h2>Relays</h2>${
    relays.length === 0
      ? html`<p>No relay list of theirs is known.</p>`
      : html`<table><thead><tr><th scope="col">Relay</th><th scope="col">Use</th></tr></thead><tbody>
${
        relays.map(({ url, uses }) =>
          html`<tr><th scope="row" class="mono"><bdi>${url}</bdi></th><td>${
            uses.map((use) => html`<span class="chip">${use}</span> `)
          }</td></tr>
`
        )
      }</tbody></table>`
  }</section>
`

const history = ({ now, person }: ProfileFacts): Html =>
  html`<section class="box"><h2>History</h2><dl>
${
    person.firstSeenAt !== undefined && html`<dt>First seen here</dt><dd>${day(person.firstSeenAt)}</dd>
`
  }${html`<dt>How well known here</dt><dd>${standingSaid(person.why)}</dd>
`}<dt>This version</dt><dd>${day(person.updatedAt)}</dd>
${
    person.nip05?.checkedAt !== undefined && html`<dt>NIP-05 name asked</dt><dd>${ago(person.nip05.checkedAt, now)}</dd>
`
  }</dl></section>
`

const others = (site: Site, title: string, people: ReadonlyArray<Person>): Html | undefined =>
  people.length === 0 ? undefined : html`<section class="box"><h2>${title}</h2><ul class="others">
${
    people.map((person) =>
      html`<li><img class="face tiny" src="${
        faceOf(site, person)
      }" alt="" width="32" height="32" loading="lazy"><a href="${
        pathOf(site, person)
      }"><bdi>${person.label}</bdi></a> <span class="small">${
        nip05Of(person) ?? html`<span class="quiet mono">${shortKeyOf(person.npub)}</span>`
      }${
        person.firstSeenAt !== undefined && html` <span class="chip">since ${day(person.firstSeenAt)}</span>`
      }</span></li>
`
    )
  }</ul></section>
`

export const profilePage = (site: Site, facts: ProfileFacts): string => {
  const { event, person, sameName, samePicture } = facts
  const description = person.about.replace(/\s+/gu, " ").slice(0, 200)
  return page(site, {
    title: `${person.label} on Nostr`,
    head: html`<link rel="canonical" href="${site.address}/p/${person.npub}">
<link rel="alternate" type="application/json" href="${site.base}/api/profiles/${person.pubkey}">
<meta name="description" content="${description}">
<meta property="og:type" content="profile"><meta property="og:title" content="${person.label}">
<meta property="og:description" content="${description}"><meta property="og:image" content="${site.address}/img/${person.pubkey}">
`,
    main: html`${head(site, person)}<div class="two">
${why(site, facts)}${picture(facts)}${relays(facts)}${history(facts)}${
      others(site, "Others of the same name", sameName)
    }${others(site, "Others of the same name and picture", samePicture)}</div>
<details class="box wide"><summary>Signed event</summary><pre tabindex="0">${jsonText(event)}</pre></details>
<p class="small quiet">Is this not who it says? <a href="${site.base}/policy#reports">How to report it</a>.</p>
${jsonIn("event", event)}`
  })
}

export interface AbsenceFacts {
  readonly npub: string
  /** What the relay knows of it, in sentences of ours; empty where it has never heard of the key. */
  readonly reasons: ReadonlyArray<string>
  readonly rules: ReadonlyArray<RuleFacts>
}

/** `/p/<npub>` of somebody who is not here: why not, as far as it is known. */
export const absentPage = (site: Site, { npub, reasons, rules }: AbsenceFacts): string =>
  page(site, {
    title: `Not here, ${site.name}`,
    main: html`<h1>This profile is not here</h1>
<p class="mono">${npub}</p>
${
      reasons.length === 0
        ? html`<p>No upstream has sent a profile of this key yet, or none that counts as one.</p>`
        : reasons.map((reason) =>
          html`<p>${reason}</p>
`
        )
    }
${
      rules.length > 0 &&
      html`<section class="box"><h2>What the rules say of it</h2>${ruleList(rules)}</section>`
    }
<p>If it is yours: publish it again, to this relay or to one that it reads. <a href="${site.base}/policy">What a profile needs</a> · <a href="${site.base}/relays">Which relays are read</a></p>
<p class="actions"><a class="button" href="nostr:${npub}">Open in app</a> <a class="button plain" href="${site.base}/explore">Find somebody else</a></p>`
  })
