/** People, as pages and the API show them, out of the store and the dossier. */
import { Effect } from "effect"
import { Dossier, type Explanation } from "../aggregation/Dossier.ts"
import type { PictureRecord } from "../aggregation/evidence/PictureStore.ts"
import { Settings } from "../config/Settings.ts"
import { Database, type DatabaseError, type StoredEvent, textOf } from "../database/Database.ts"
import type { Event } from "../domain/Event.ts"
import type { Filter } from "../domain/Filter.ts"
import { listKinds, messageRelaysKind, profileKind, relayListKind } from "../domain/Kinds.ts"
import { labelOf, lineOf, profileOf } from "../domain/Profile.ts"
import { messageRelaysOf, relayListOf } from "../domain/RelayList.ts"
import { secondsOf } from "../domain/Time.ts"
import { nowSeconds } from "../lifecycle/Now.ts"
import { type Nip05Name, type Person, personOf } from "../pages/Person.ts"
import type { PictureFacts, RelayUse } from "../pages/ProfilePage.ts"

/** Nothing of strangers is read by nobody in particular: what a REQ would not show is not shown here (NIP-17, NIP-42). */
const publicly = { readers: [] }

/** Seconds for which a count of all profiles is good enough. */
const countedFor = 10

/** Profiles among which others of a name are looked for, and how many of them are shown. */
const candidatesMax = 24
const namesakesMax = 5

/** People on one page of a list. */
const pageSize = 24

/** Places down a ranked answer at which paging ends. */
const rankedMax = 480

export interface Listing {
  readonly people: ReadonlyArray<Person>
  readonly next: string | undefined
}

export interface Draw {
  /** Canonical JSON of kind 0 events. */
  readonly events: ReadonlyArray<string>
  readonly seed: number
  /** Cursor of those after it, and of those themselves. */
  readonly next: string
  readonly here: string
}

const pictureStates: Readonly<Record<PictureRecord["outcome"]["_tag"], string>> = {
  Known: "served by its host",
  NoImage: "not to be had",
  Unanswered: "its host has not answered"
}

const hostOf = (url: string): string => URL.parse(url)?.host ?? "in the profile itself"

const pictureFactsOf = (url: string, record: PictureRecord | undefined): PictureFacts | undefined => {
  if (url === "") return undefined
  const facts = record?.outcome._tag === "Known" ? record.outcome.facts : undefined
  return {
    host: url.startsWith("data:") ? "in the profile itself" : hostOf(url),
    size: facts && { width: facts.width, height: facts.height },
    type: facts && `image/${facts.type}`,
    bytes: facts?.bytes,
    isAnimated: facts?.animated,
    sha256: facts?.sha256,
    state: record === undefined
      ? "nobody has looked"
      : record.outcome._tag === "NoImage"
      ? record.outcome.reason
      : pictureStates[record.outcome._tag],
    checkedAt: record && secondsOf(record.checkedAt)
  }
}

/** Relays with what their author uses each for, in the order of the lists. */
export const relayUsesOf = (
  relayList: Event | undefined,
  messageRelays: Event | undefined
): ReadonlyArray<RelayUse> => {
  const uses = new Map<string, Array<RelayUse["uses"][number]>>()
  const add = (url: string, use: RelayUse["uses"][number]) => uses.set(url, [...(uses.get(url) ?? []), use])
  const { read, write } = relayList === undefined ? { read: [], write: [] } : relayListOf(relayList)
  for (const url of read) add(url, "read")
  for (const url of write) add(url, "write")
  for (const url of messageRelays === undefined ? [] : messageRelaysOf(messageRelays)) add(url, "direct messages")
  return [...uses].map(([url, uses]) => ({ url, uses }))
}

export const make = Effect.gen(function*() {
  const database = yield* Database
  const dossier = yield* Dossier
  const settings = yield* Settings

  const read = (filter: Filter, limitMax: number) =>
    Effect.map(database.query([filter], { limitMax, ...publicly }), ({ events }) => events)

  /** Undefined where the content is no profile; in an open relay there are such. */
  const personIn = Effect.fnUntraced(function*(raw: StoredEvent) {
    const event = JSON.parse(textOf(raw)) as Event
    const profile = profileOf(event.content, settings.limits.contentMax)
    if (typeof profile === "string") return undefined
    const text = lineOf(profile.nip05).replace(/^_@/u, "")
    const known = text === "" ? undefined : yield* dossier.nameOf(event.pubkey, profile.nip05)
    const nip05: Nip05Name | undefined = text === ""
      ? undefined
      : { text, verified: known?.verified, checkedAt: known?.checkedAt }
    const [ranked] = yield* database.ranked([event.pubkey])
    return {
      event,
      profile,
      person: personOf(event, profile, {
        nip05,
        firstSeenAt: ranked?.seen,
        bucket: ranked?.bucket,
        resembles: ranked?.resembles,
        trustedFollowers: ranked?.trustedFollowers,
        rankedAt: ranked?.rankedAt
      })
    }
  })

  const peopleIn = (raws: ReadonlyArray<StoredEvent>) =>
    Effect.map(
      Effect.forEach(raws, personIn),
      (all) => all.flatMap((found) => found === undefined ? [] : [found.person])
    )

  let counted: { readonly at: number; readonly profiles: number } | undefined
  /** How many profiles there are, or were a moment ago. */
  const total = Effect.gen(function*() {
    const at = yield* nowSeconds
    if (counted === undefined || at - counted.at >= countedFor) {
      counted = { at, profiles: yield* database.count([{ kinds: [profileKind] }], publicly) }
    }
    return counted.profiles
  })

  const events = Effect.map(database.stats, (stats) => stats.events)

  /** Newest first, after the profile that a cursor names. */
  const newest = Effect.fnUntraced(function*(after: string | undefined) {
    const [, until, id] = /^(\d{1,12})-([0-9a-f]{64})$/u.exec(after ?? "") ?? []
    if (after !== undefined && id === undefined) return undefined
    // Those of the cursor's own second come again; more than a page of them are passed over by asking for more.
    for (let limit = pageSize * 2;; limit *= 4) {
      const raws = yield* read(
        { kinds: [profileKind], ...(until === undefined ? {} : { until: Number(until) }) },
        limit
      )
      const events = raws.map((raw) => JSON.parse(textOf(raw)) as Event)
      const from = id === undefined ? 0 : events.findIndex((event) => event.id === id) + 1
      const isReached = id === undefined || from > 0 || events.at(-1)?.created_at !== Number(until)
      if (!isReached && raws.length === limit && limit < 5000) continue
      const shown = events.slice(from, from + pageSize)
      const last = shown.at(-1)
      const isMore = from + pageSize < events.length || (raws.length === limit && shown.length === pageSize)
      return {
        people: yield* peopleIn(raws.slice(from, from + pageSize)),
        next: isMore && last !== undefined ? `${last.created_at}-${last.id}` : undefined
      } satisfies Listing
    }
  })

  /** Best first; the cursor is how many were shown. Undefined for a cursor that is none. */
  const found = Effect.fnUntraced(function*(search: string, limit: number, after: string | undefined) {
    if (after !== undefined && !/^\d{1,4}$/u.test(after)) return undefined
    const from = Number(after ?? 0)
    if (from >= rankedMax) return { people: [], next: undefined } satisfies Listing
    const raws = yield* read({ kinds: [profileKind], search, limit: from + limit + 1 }, rankedMax + 51)
    const end = from + limit
    return {
      people: yield* peopleIn(raws.slice(from, end)),
      next: raws.length > end && end < rankedMax ? String(end) : undefined
    } satisfies Listing
  })

  // One lap for all visitors who name no seed: nobody is shown twice before everybody was shown once.
  let lap: { readonly seed: number; readonly top: number | undefined; readonly from: number } | undefined

  const drawnFrom = Effect.fnUntraced(
    function*(seed: number, top: number | undefined, from: number, count: number) {
      const drawn = yield* database.draw({ kind: 0, seed, top, from, count })
      const cursor = (index: number) => `${seed}-${drawn.top}-${index}`
      return { ...drawn, draw: { events: drawn.events, seed, next: cursor(drawn.next), here: cursor(from) } }
    }
  )

  /** By chance: of a seed, from a cursor on, or the next of the lap. Undefined for a cursor that is none. */
  const draw = Effect.fnUntraced(
    function*(
      count: number,
      { after, random, seed }: {
        readonly seed: number | undefined
        readonly after: string | undefined
        readonly random: number
      }
    ) {
      if (after !== undefined) {
        const [, of, top, from] = /^(\d{1,10})-(\d{1,15})-(\d{1,15})$/u.exec(after) ?? []
        if (of === undefined) return undefined
        const page = yield* drawnFrom(Number(of) >>> 0, Number(top), Number(from), count)
        return page.draw
      }
      if (seed !== undefined) return (yield* drawnFrom(seed, undefined, 0, count)).draw
      const { from, seed: own, top } = lap ?? { seed: random, top: undefined, from: 0 }
      const page = yield* drawnFrom(own, top, from, count)
      lap = page.next >= page.top ? undefined : { seed: own, top: page.top, from: page.next }
      return page.draw
    }
  )

  /** The lists of authors, by author and kind. */
  const listsOf = Effect.fnUntraced(function*(authors: ReadonlyArray<string>) {
    if (authors.length === 0) return new Map<string, string>()
    const raws = yield* read({ kinds: listKinds, authors: [...authors] }, authors.length * 2)
    return new Map(raws.map((raw) => {
      const text = textOf(raw)
      const { kind, pubkey } = JSON.parse(text) as Event
      return [`${pubkey} ${kind}`, text] as const
    }))
  })

  /** Somebody with their lists; undefined where the relay has no profile of theirs. */
  const profile = Effect.fnUntraced(function*(pubkey: string) {
    const [raw] = yield* read({ kinds: [profileKind], authors: [pubkey], limit: 1 }, 1)
    const found = raw === undefined ? undefined : yield* personIn(raw)
    if (raw === undefined || found === undefined) return undefined
    const lists = yield* listsOf([pubkey])
    const listOf = (kind: number) => {
      const text = lists.get(`${pubkey} ${kind}`)
      return text === undefined ? undefined : JSON.parse(text) as Event
    }
    return { ...found, raw: textOf(raw), relayList: listOf(relayListKind), messageRelays: listOf(messageRelaysKind) }
  })

  /** Has the author asked for everything of theirs to be removed (NIP-62)? */
  const isVanished = (pubkey: string) =>
    Effect.map(read({ kinds: [62], authors: [pubkey], limit: 1 }, 1), (events) => events.length > 0)

  /** What tells that two pictures are one: the URL, and the file where it was read to its end. */
  const marksOf = (url: string) =>
    Effect.map(
      /^https?:/iu.test(url) ? dossier.pictureAt(url) : Effect.undefined,
      (record) => {
        const sha256 = record?.outcome._tag === "Known" ? record.outcome.facts.sha256 : undefined
        return [url, ...(sha256 === undefined ? [] : [sha256])].filter((mark) => mark !== "")
      }
    )

  /** Others who bear the very name, apart from those who show the same picture with it. */
  const namesakesOf = Effect.fnUntraced(function*(person: Person, pictureUrl: string) {
    const wanted = person.label.toLowerCase()
    const marks = new Set(yield* marksOf(pictureUrl))
    const raws = yield* read(
      { kinds: [profileKind], search: person.label.slice(0, 100), limit: candidatesMax },
      candidatesMax
    )
    const sameName: Array<Person> = []
    const samePicture: Array<Person> = []
    for (const raw of raws) {
      const { content, pubkey } = JSON.parse(textOf(raw)) as Event
      const profile = profileOf(content, settings.limits.contentMax)
      if (pubkey === person.pubkey || typeof profile === "string") continue
      if (labelOf(profile).toLowerCase() !== wanted) continue
      const isSame = (yield* marksOf(profile.picture)).some((mark) => marks.has(mark))
      const others = isSame ? samePicture : sameName
      const found = others.length < namesakesMax ? yield* personIn(raw) : undefined
      if (found !== undefined) others.push(found.person)
    }
    return { sameName, samePicture }
  })

  return {
    seconds: nowSeconds,
    total,
    events,
    newest,
    found,
    draw,
    peopleIn,
    listsOf,
    profile,
    isVanished,
    namesakesOf,
    read,
    pictureOf: (url: string) =>
      Effect.map(
        /^https?:/iu.test(url) ? dossier.pictureAt(url) : Effect.undefined,
        (record) => pictureFactsOf(url, record)
      ),
    explain: (pubkey: string): Effect.Effect<Explanation, DatabaseError> => dossier.explain(pubkey)
  }
})

export type People = Effect.Success<typeof make>

/** Text that is somebody's: a key or a confirmed NIP-05 name leads to one page, anything else to a search. */
export const isNameOf = (query: string, person: Person): boolean =>
  person.nip05?.verified === true && person.nip05.text.toLowerCase() === query.toLowerCase().replace(/^@|^_@/u, "")
