/** `/policy`: who is kept, by the rules as the operator has set them; how to be removed; what is known of visitors. */
import { formulaSaid } from "../domain/Standing.ts"
import { type Html, html } from "./Html.ts"
import { page } from "./Layout.ts"
import { count, day } from "./Said.ts"
import type { Site } from "./Site.ts"

/** The rules as they are set. Absent: that rule is off. */
export interface PolicyFacts {
  /** Whether any valid event is kept. */
  readonly isOpen: boolean
  /** Unix seconds. */
  readonly createdAtMin: number
  readonly nameMin: number
  readonly aboutMin: number
  /** Pixels. */
  readonly picture: { readonly width: number; readonly height: number } | undefined
  readonly posts: { readonly min: number } | undefined
  /** What NIP-05 names are for. */
  readonly nip05: "off" | "check" | "require"
  /** Days that the last accepted version is served on after a rejected one. */
  readonly graceDays: number
}

const characters = (min: number): string => min > 1 ? ` of at least ${count(min)} characters` : ""

/** A sentence for each rule, as long as it is on. */
export const rulesSaid = (policy: PolicyFacts): ReadonlyArray<Html> => {
  const { aboutMin, createdAtMin, nameMin, nip05, picture, posts } = policy
  const rules: ReadonlyArray<Html | false> = [
    html`It is signed by its author, and from ${day(createdAtMin)} or later.`,
    html`It is no mirror of an account elsewhere: bridges and feeds are left out.`,
    nameMin > 0 && html`It has a name${characters(nameMin)}, and does not say that the account is deleted.`,
    aboutMin > 0 &&
    html`It says something about its author${aboutMin > 1 ? `, in at least ${count(aboutMin)} characters` : ""}.`,
    picture !== undefined &&
    html`Its picture loads, and is at least ${picture.width} pixels wide and ${picture.height} high. A square picture needs ${
      Math.max(picture.width, picture.height)
    } pixels a side.`,
    nip05 === "require" && html`Its NIP-05 name is confirmed by the domain of that name.`,
    posts !== undefined &&
    html`Its author really posts: at least ${
      posts.min === 1 ? "one post" : `${count(posts.min)} posts`
    } can be found on a relay.`
  ]
  return rules.filter((rule) => rule !== false)
}

const contactOf = ({ contact }: Site): Html => {
  if (contact === undefined) {
    return html`<p>This relay's operator has set no address for reports. What is here comes from other relays: an author can remove it everywhere at once, as above.</p>`
  }
  const isLink = /^(?:mailto:|https:\/\/)/u.test(contact)
  return html`<p>Somebody pretends to be you, or a profile breaks the law: write to ${
    isLink
      ? html`<a href="${contact}" rel="nofollow">${contact.replace(/^mailto:/u, "")}</a>`
      : html`<bdi>${contact}</bdi>`
  }, and name the npub.</p>`
}

export const policyPage = (site: Site, policy: PolicyFacts): string =>
  page(site, {
    title: `Policy, ${site.name}`,
    here: "/policy",
    main: html`<h1>Who is kept, and who is not</h1>
<div class="prose">
<h2>A profile is kept when</h2>
<ul>
${
      rulesSaid(policy).map((rule) =>
        html`<li>${rule}</li>
`
      )
    }</ul>
<p>Nobody decides by hand or by opinion. When a host or a relay does not answer, that says nothing about a profile: it is looked at again later. A version that breaks a rule does not hide its author at once: the last good one is served for ${policy.graceDays} more days.</p>
<p>With a profile its author's relay lists are kept (kinds 10002 and 10050), so that clients find where to read and where to write.</p>
${
      policy.isOpen &&
      html`<p>This relay keeps any valid event that is published here. These pages show every profile it stores, whether or not it meets the rules above, and say on each which rules it meets.</p>`
    }
<h2 id="order">Who comes first</h2>
<p>Searches put answers in order by how well the text fits and by how well known the account is here, from 0 to 15. This orders answers; it never admits or removes anybody.</p>
<ul>
${
      formulaSaid.map((said) =>
        html`<li>${said}</li>
`
      )
    }</ul>
<p>What somebody has of this stands on their page. A search with <code>sort:text</code> or <code>sort:new</code> in it leaves this out.</p>
<h2>How to be removed</h2>
<p>Publish a deletion request (kind 5) for your profile, or a request to vanish (kind 62), here or on any relay that this one reads. It counts from the moment it is accepted: your profile is gone from searches, pages and answers, and does not come back.</p>
<h2 id="reports">Reports</h2>
${contactOf(site)}
<h2>What is known of you</h2>
<p>Pages set no cookie and contain nothing from elsewhere: your browser talks to this relay and to nobody else. Addresses are used to share the relay fairly among visitors, and are not written down.</p>
</div>`
  })
