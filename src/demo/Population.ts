/**
 * The demo's people: made up, signed, and as mixed as those of the public network. Pure: the same options give the same
 * people, byte for byte, and nobody is computed before somebody asks.
 */
import type { Event, EventTemplate } from "../domain/Event.ts"
import * as Dice from "./Dice.ts"
import { deadRelays, type Language, languages, nip05Domains, ornaments, websites } from "./Phrases.ts"
import { type Key, keyOf, sign, withForgedSignature, withWrongId } from "./Signer.ts"

/** What is the matter with somebody, and how many of a hundred are so. */
const shares = {
  /** Nothing: name, bio, picture, posts. */
  good: 46,
  /** Nothing that matters: numbers, nulls and unknown keys where text was expected. */
  quirky: 4,
  /** Good, and has replaced an older profile that is still around. */
  updated: 8,
  /** The newest version lost its bio: what is the older one worth now? */
  worsened: 1,
  bridged: 10,
  "no about": 6,
  "no name": 2,
  "no picture": 4,
  "picture too small": 4,
  "picture gone": 2,
  "picture busy": 1,
  "picture slow": 1,
  "picture is a page": 1,
  "picture placeholder": 1,
  "no notes": 3,
  "not JSON": 2,
  "forged signature": 1.5,
  "wrong id": 0.5,
  "from the future": 0.5,
  "from the past": 0.5,
  deleted: 1
} as const
export type Case = keyof typeof shares
export const cases = Object.keys(shares) as ReadonlyArray<Case>

export interface Person {
  readonly case: Case
  readonly pubkey: string
  /** Profiles, oldest first. The last one is current. */
  readonly profiles: ReadonlyArray<Event>
  /** Kinds 10002 and 10050. */
  readonly lists: ReadonlyArray<Event>
  /** Kind 1: proof of life. */
  readonly notes: ReadonlyArray<Event>
}

export interface Options {
  readonly seed: number
  /** Unix seconds: the newest event is a moment before, except for those of the future. */
  readonly now: number
  /** Where pictures are: `http://host:port`, one of many. See `DemoImages` for the paths. */
  readonly imageOrigins: readonly [string, ...ReadonlyArray<string>]
  /** Relays that really hold these people's events. */
  readonly relays: readonly [string, ...ReadonlyArray<string>]
}

/** Each case once where there is room, the rest by their shares, in any order. */
const castOf = (count: number, dice: Dice.Dice): ReadonlyArray<Case> => {
  const total = cases.reduce((sum, name) => sum + shares[name], 0)
  const byShare = (): Case => {
    let at = dice.fraction() * total
    return cases.find((name) => (at -= shares[name]) < 0) ?? "good"
  }
  const once = count >= 2 * cases.length ? cases : []
  return dice.shuffle([...once, ...Array.from({ length: count - once.length }, byShare)])
}

const daySeconds = 86_400
const beginning = Date.UTC(2021, 0, 1) / 1000

/** `count` people. */
export function* people(count: number, options: Options): Generator<Person, void> {
  const dice = Dice.make(options.seed)
  for (const [index, name] of castOf(count, dice).entries()) yield person(index, name, options, dice)
}

/** People who turn up later, one after the other, each at the moment `now` says; without an end. */
export function* newcomers(options: Omit<Options, "now">, now: () => number): Generator<Person, never> {
  const dice = Dice.make(options.seed + 1)
  const arrivals = ["good", "good", "bridged", "good", "no about", "quirky"] as const
  for (let index = 0;; index++) {
    const name = arrivals[index % arrivals.length] ?? "good"
    yield person(`newcomer ${index}`, name, { ...options, now: now() }, dice, now())
  }
}

const person = (
  index: number | string,
  name: Case,
  options: Options,
  dice: Dice.Dice,
  at: number = momentOf(options.now, dice)
): Person => {
  const key = keyOf(`demo/${options.seed}/${index}`)
  const language = dice.pick(languages)
  const write = (kind: number, created_at: number, content: string, tags: EventTemplate["tags"] = []) =>
    sign({ kind, created_at, content, tags }, key)
  const profiles = profilesOf(name, contentOf(name, language, options, dice), at, key, dice)
  const notes = name === "no notes"
    ? []
    : Array.from(
      { length: dice.chance(0.2) ? 2 : 1 },
      () => write(1, Math.min(options.now, at + dice.between(1, 30 * daySeconds)), dice.pick(language.note))
    )
  return { case: name, pubkey: key.pubkey, profiles, lists: listsOf(options, dice, at, write), notes }
}

/** Recent moments are more likely, and one in ten shares its second with others, as imports do. */
const momentOf = (now: number, dice: Dice.Dice): number => {
  if (dice.chance(0.1)) return Math.min(now - 60, beginning + dice.between(1, 20) * 90 * daySeconds)
  return Math.floor(now - 60 - (now - beginning - 60) * dice.fraction() ** 2)
}

type Content = Record<string, unknown>

const contentOf = (name: Case, language: Language, options: Options, dice: Dice.Dice): Content => {
  const [given, family] = [dice.pick(language.given), dice.pick(language.family)]
  const full = language.order === "given family"
    ? `${given} ${family}`
    : `${family}${language.order === "familygiven" ? "" : " "}${given}`
  const handle = `${given}${dice.between(1, 999)}`.toLowerCase().replaceAll(/\s/g, "")
  return {
    name: handle,
    display_name: full + dice.pick(ornaments),
    about: dice.chance(0.3)
      ? `${dice.pick(language.work)}\n${dice.pick(language.leisure)}`
      : dice.pick(dice.chance(0.5) ? language.work : language.leisure),
    picture: pictureOf(name, handle, options, dice),
    ...(dice.chance(0.4) ? { nip05: `${dice.chance(0.3) ? "_" : "me"}@${dice.pick(nip05Domains)}` } : {}),
    ...(dice.chance(0.25) ? { website: dice.pick(websites) } : {}),
    ...(dice.chance(0.3) ? { lud16: `tips@${dice.pick(nip05Domains)}` } : {}),
    ...(dice.chance(0.05) ? { bot: true } : {}),
    ...(dice.chance(0.1) ? { displayName: full, username: handle } : {})
  }
}

const formats = ["png", "png", "jpg", "jpg", "webp", "gif"] as const
/** Portraits that the usual 300x600 lets pass, and one square that does so as well. */
const largeSizes = ["300x600", "480x640", "600x800", "600x600", "1080x1350"] as const
const smallSizes = ["64x64", "256x256", "400x400", "299x600", "300x599", "1200x630"] as const
const pictureFolders: { readonly [name in Case]?: string } = {
  "picture gone": "/gone",
  "picture busy": "/busy",
  "picture slow": "/slow",
  "picture is a page": "/page"
}

const pictureOf = (name: Case, handle: string, options: Options, dice: Dice.Dice): string => {
  const size = dice.pick(name === "picture too small" ? smallSizes : largeSizes)
  const file = name === "picture placeholder"
    ? "default-avatar"
    : `${encodeURIComponent(handle)}-${dice.between(0, 999)}`
  // A host that asks for a pause makes all of its pictures wait: the busy ones keep to themselves.
  const origin = name === "picture busy" ? options.imageOrigins.at(-1) : dice.pick(options.imageOrigins)
  return `${origin}${pictureFolders[name] ?? ""}/${size}/${file}.${dice.pick(formats)}`
}

/** The profile events of somebody, oldest first. */
const profilesOf = (name: Case, content: Content, at: number, key: Key, dice: Dice.Dice): ReadonlyArray<Event> => {
  const profile = (fields: Content | string, created_at = at, tags: EventTemplate["tags"] = []) =>
    sign(
      { kind: 0, created_at, tags, content: typeof fields === "string" ? fields : JSON.stringify(fields) },
      key
    )
  const earlier = at - dice.between(1, 200) * daySeconds
  switch (name) {
    case "quirky":
      return [profile({ ...content, nip05: null, bot: "false", lud16: 21, birthday: { month: 2 }, reactions: false })]
    case "updated":
      return [profile({ ...content, about: "…" }, earlier), profile(content)]
    case "worsened":
      return [profile(content, earlier), profile({ ...content, about: "" })]
    case "bridged":
      return [bridged(content, dice, profile)]
    case "no about":
      return [profile({ ...content, about: dice.pick([undefined, "", "  \n", null]) })]
    case "no name":
      return [profile({ ...content, name: undefined, display_name: " ", displayName: undefined, username: undefined })]
    case "no picture":
      return [profile({ ...content, picture: dice.pick([undefined, "", "ipfs://bafkrei", "me.png"]) })]
    case "not JSON":
      return [profile(dice.pick(["", "{\"name\":", "null", "[]", "\"hello\"", "name: me"]))]
    case "forged signature":
      return [withForgedSignature(profile(content))]
    case "wrong id":
      return [withWrongId(profile(content))]
    case "from the future":
      return [profile(content, at + 20 * 365 * daySeconds)]
    case "from the past":
      return [profile(content, dice.between(0, 1_500_000_000))]
    case "deleted":
      return [profile({ name: "nobody", about: "account deleted", deleted: true })]
    default:
      return [profile(content)]
  }
}

/** Bridges say so in a tag (NIP-48), in a label (NIP-32), or only by the domain of the address. */
const bridged = (
  content: Content,
  dice: Dice.Dice,
  profile: (fields: Content, created_at?: number, tags?: EventTemplate["tags"]) => Event
): Event => {
  const mark = dice.between(0, 2)
  if (mark === 0) {
    return profile(content, undefined, [["proxy", "https://social.example/users/somebody", "activitypub"]])
  }
  if (mark === 1) {
    return profile(content, undefined, [["L", "pink.momostr"], ["l", "pink.momostr.activitypub", "pink.momostr"]])
  }
  return profile({ ...content, nip05: `${String(content["name"])}_at_social.example@mostr.pub` })
}

const listsOf = (
  { now, relays }: Options,
  dice: Dice.Dice,
  at: number,
  write: (kind: number, created_at: number, content: string, tags: EventTemplate["tags"]) => Event
): ReadonlyArray<Event> => {
  const later = Math.min(now, at + dice.between(0, 10 * daySeconds))
  const lists: Array<Event> = []
  if (dice.chance(0.6)) {
    const own = dice.pick(relays)
    const tags = [["r", own], ["r", dice.pick(deadRelays), dice.pick(["read", "write"])]]
    lists.push(write(10_002, later, "", dice.chance(0.5) ? tags : tags.toReversed()))
  }
  if (dice.chance(0.3)) lists.push(write(10_050, later, "", [["relay", dice.pick(relays)]]))
  return lists
}
