/** Facts for every page: made of whatever text is given, and of people who really exist where none is. */
import { readFileSync } from "node:fs"
import { profileOf } from "../../src/domain/Profile.ts"
import { errorPage } from "../../src/pages/ErrorPage.ts"
import { explorePage } from "../../src/pages/ExplorePage.ts"
import { homePage } from "../../src/pages/HomePage.ts"
import { livePage } from "../../src/pages/LivePage.ts"
import { type Person, personOf } from "../../src/pages/Person.ts"
import { type PolicyFacts, policyPage } from "../../src/pages/PolicyPage.ts"
import { absentPage, profilePage } from "../../src/pages/ProfilePage.ts"
import { randomPage } from "../../src/pages/RandomPage.ts"
import { relaysPage } from "../../src/pages/RelaysPage.ts"
import { placeOf, type Site } from "../../src/pages/Site.ts"
import { statsPage } from "../../src/pages/StatsPage.ts"
import { profileEvent } from "../support/events.ts"

export const now = 1_796_000_000

/** A relay whose every text is `text`. */
export const siteOf = (text: string, relayUrl = "wss://relay.example/profiles"): Site => {
  const place = placeOf(relayUrl)
  return {
    ...place,
    name: text,
    description: text,
    version: "0.1.0",
    relayUrl,
    assets: { style: `${place.base}/-/a.css`, script: `${place.base}/-/a.js`, icon: `${place.base}/-/a.svg` },
    contact: text
  }
}

/** Somebody whose every field is `text`. */
export const personWith = (text: string, author = text): Person => {
  const fields = Object.fromEntries(
    ["name", "display_name", "about", "website", "lud16", "nip05", "picture", "banner"].map((key) => [
      key,
      // A longer address is none, and no page would show it.
      ["website", "lud16", "nip05"].includes(key) ? text.slice(0, 1000) : text
    ])
  )
  const event = profileEvent({
    ...fields,
    lud16: text.slice(0, 200),
    name: text.slice(0, 200),
    website: `https://example.com/${text.slice(0, 1000)}`
  }, author)
  const profile = profileOf(event.content, 1_000_000)
  if (typeof profile === "string") throw new Error(profile)
  return personOf(event, profile, {
    nip05: { text, verified: true, checkedAt: now - 5000 },
    firstSeenAt: now - 86_400 * 200,
    bucket: 6,
    resembles: undefined,
    trustedFollowers: undefined,
    rankedAt: undefined
  })
}

export const policy: PolicyFacts = {
  isOpen: true,
  createdAtMin: 1_577_836_800,
  nameMin: 1,
  aboutMin: 2,
  picture: { width: 300, height: 600 },
  posts: { min: 1 },
  nip05: "check",
  graceDays: 30
}

/** All pages, by name; whatever a stranger or an operator may write is `text`, and `people` are in them. */
export const every = (text: string, people: ReadonlyArray<Person> = [personWith(text)]): Record<string, string> => {
  const site = siteOf(text)
  const person = people[0] as Person
  const rules = [
    { rule: "created_at", status: "ok", fact: text, reason: undefined },
    { rule: "name", status: "rejected", fact: text, reason: "no name" },
    { rule: "picture size", status: "unanswered", fact: text, reason: "timeout" },
    { rule: "posts", status: "skipped", fact: text, reason: undefined }
  ] as const
  return {
    home: homePage(site, {
      people,
      figures: { profiles: 61_204, events: 190_312, upstreams: 3, clients: 12 },
      policy,
      example: person.pubkey,
      now
    }),
    explore: explorePage(site, { query: text, people, total: 61_204, next: text, now }),
    nobody: explorePage(site, { query: text, people: [], total: 0, next: undefined, problem: text, now }),
    profile: profilePage(site, {
      person,
      rules,
      picture: {
        host: text,
        size: { width: 640, height: 800 },
        type: "image/jpeg",
        bytes: 214_000,
        isAnimated: true,
        sha256: "9f2c".repeat(16),
        state: "served by its host",
        checkedAt: now - 9000
      },
      relays: [{ url: text, uses: ["read", "write"] }, { url: text, uses: ["direct messages"] }],
      sameName: people.slice(0, 3),
      samePicture: people.slice(0, 2),
      event: { content: text, tags: [[text]] },
      now
    }),
    absent: absentPage(site, { npub: person.npub, reasons: [text], rules }),
    random: randomPage(site, { people, again: `/random?seed=1&x=${text}`, next: "/random?seed=1&after=2", now }),
    relays: relaysPage(site, {
      since: now - 86_400 * 1000,
      now,
      upstreams: [
        { host: text, state: "live", covered: [[0, now]], events: 812_331, accepted: 33_000, problem: text },
        {
          host: "relay.example",
          state: "reads history",
          covered: [[now - 86_400 * 300, now], [now - 86_400 * 800, now - 86_400 * 500]],
          events: 6_204_118,
          accepted: 120_000,
          problem: undefined
        }
      ]
    }),
    live: livePage(site, {
      waiting: 4021,
      clients: 12,
      subscriptions: 40,
      funnel: [
        { key: "seen", name: "Seen", value: 900_000 },
        { key: "valid", name: "Signed", value: 500_000 },
        { key: "accepted", name: "Accepted", value: 61_204 }
      ],
      reasons: [{ reason: "no about", value: 200_000 }, { reason: "picture is too small", value: 90_000 }]
    }),
    stats: statsPage(site, {
      days: 90,
      records: Array.from({ length: 90 }, (_, i) => ({
        day: new Date((now - (90 - i) * 86_400) * 1000).toISOString().slice(0, 10),
        profiles: 33_000 + i * 310,
        events: 100_000 + i * 900,
        accepted: 320 + Math.round(Math.sin(i / 3) * 90),
        rejected: 2000 + i * 7919 % 600,
        connections: 400 + i * 31 % 90
      }))
    }),
    empty: statsPage(site, { days: 7, records: [] }),
    policy: policyPage(site, policy),
    error: errorPage(site, { status: 429, detail: text })
  }
}

/** People of the public network, as far as the corpus is at hand. */
export const peopleOf = (file: string): ReadonlyArray<Person> =>
  readFileSync(file, "utf8").trim().split("\n").flatMap((line) => {
    const event = JSON.parse(line) as { kind: number; content: string; pubkey: string; created_at: number }
    const profile = event.kind === 0 ? profileOf(event.content, 1_000_000) : "content is not JSON"
    if (typeof profile === "string") return []
    return [
      personOf(event, profile, {
        nip05: profile.nip05 === ""
          ? undefined
          : {
            text: profile.nip05.replace(/^_@/u, ""),
            verified: profile.nip05.length % 3 === 0 ? undefined : true,
            checkedAt: now
          },
        firstSeenAt: event.created_at + 86_400,
        bucket: 6,
        resembles: undefined,
        trustedFollowers: undefined,
        rankedAt: undefined
      })
    ]
  })
