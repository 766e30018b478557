/**
 * 100,000 made-up profiles among whom 1,000 real people have up to 30 impostors each, a quarter of them also a dead account of
 * their own; and what a relay could know of each. Names are as unevenly common as people's are.
 */
import { hash } from "node:crypto"
import { type Dice, make as makeDice } from "../../../src/demo/Dice.ts"
import { rawOf } from "../../../src/domain/Event.ts"

export type Kind = "real" | "impostor" | "dead" | "person" | "silent" | "bot" | "unknown"

export interface Account {
  readonly kind: Kind
  readonly pubkey: string
  readonly name: string
  readonly displayName: string
  readonly nip05: string | undefined
  /** The name is the account's by right. */
  readonly isVerified: boolean
  readonly picture: string
  /** Unix seconds. */
  readonly created_at: number
  /** Unix seconds of its first profile, anywhere. */
  readonly born: number
  readonly hasPosted: boolean
  /** 0 is the most popular of all; real people only. */
  readonly popularity: number
}

export interface World {
  readonly accounts: ReadonlyArray<Account>
  readonly real: ReadonlyArray<Account>
  /** Unknown people whose whole name is the beginning of a real one's. */
  readonly unknown: ReadonlyArray<Account>
}

export const now = 1_790_000_000
export const year = 31_557_600

const counts = { all: 100_000, people: 45_000, silent: 25_000, real: 1000, impostorsMax: 30, unknown: 300 } as const
const providers = ["freenames.example", "verify.example", "plebs.example"] as const

const syllables =
  "ba re mi tou la neo du sil van ter mo kar ji an elo phi sta per ma ru ke zon li fa gre tis nu bel hai do"
    .split(" ")

const word = (rank: number, salt: number): string => {
  const dice = makeDice(Math.imul(rank + 1, 2_654_435_761) + salt)
  const parts = 2 + Math.floor(Math.log10(rank + 3))
  return Array.from({ length: parts }, () => syllables[dice.between(0, syllables.length - 1)]).join("")
}

const words = (count: number, salt: number) => Array.from({ length: count }, (_, rank) => word(rank, salt))
const given = words(4000, 2)
const family = words(20_000, 3)

/** The rarer the higher (Zipf). */
const common = (dice: Dice, list: ReadonlyArray<string>): string =>
  list[Math.max(0, Math.floor(list.length ** dice.fraction()) - 1)]!

const capital = (text: string): string => text[0]!.toUpperCase() + text.slice(1)
const host = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, "") || "x"

/** A pubkey or an id that nobody has the key of. */
const made = (what: string, seed: number, i: number): string => hash("sha256", `${what} ${seed} ${i}`)

type Draft = { -readonly [Key in keyof Account]: Account[Key] }

/** Names and times of somebody, without a NIP-05 name. */
const somebody = (dice: Dice, seed: number, i: number, kind: Kind, yearsMax: number): Draft => {
  const [first, last] = [common(dice, given), common(dice, family)]
  const form = dice.fraction()
  const name = form < 0.4
    ? `${first}_${last}`
    : form < 0.6
    ? first
    : form < 0.8
    ? first + last
    : `${first}${dice.between(0, 998)}`
  const born = now - dice.fraction() * yearsMax * year
  return {
    kind,
    pubkey: made("pubkey", seed, i),
    name,
    displayName: form < 0.6 && dice.fraction() < 0.3 ? capital(first) : `${capital(first)} ${capital(last)}`,
    nip05: undefined,
    isVerified: false,
    picture: `https://pictures.example/${seed}/${i}.jpg`,
    born,
    created_at: born + dice.fraction() * (now - born),
    hasPosted: true,
    popularity: Infinity
  }
}

/** Names at providers that somebody has by right: one key each. */
type Taken = Set<string>

const atProvider = (dice: Dice, taken: Taken, local: string): string => {
  const domain = dice.pick(providers)
  let name = `${local}@${domain}`
  for (let i = 2; taken.has(name); i++) name = `${local}${i}@${domain}`
  taken.add(name)
  return name
}

/** How often a NIP-05 name is verified, at a domain of one's own, and claimed without being verified. */
interface Chances {
  readonly verified: number
  readonly own: number
  readonly claimed: number
}

/** Gives a name: by right or not, at a domain of one's own or at a provider. */
const named = (dice: Dice, taken: Taken, account: Draft, i: number, { claimed, own, verified }: Chances): void => {
  const chance = dice.fraction()
  if (chance >= verified + claimed) return
  account.isVerified = chance < verified
  if (!account.isVerified) account.nip05 = `${host(account.name)}@once-${host(account.name)}.example`
  else if (dice.fraction() < own) account.nip05 = `_@${host(account.displayName)}${i}.example`
  else account.nip05 = atProvider(dice, taken, host(account.name))
}

/** A copy of somebody's profile, by somebody else: mostly the same names, the picture of four in five, the NIP-05 name of a third. */
const impostorOf = (dice: Dice, taken: Taken, real: Account, seed: number, i: number): Draft => {
  const { name } = real
  const born = Math.max(real.born, now - dice.fraction() * 1.5 * year)
  const spelled = dice.fraction()
  const copied = dice.fraction()
  const zero = name.replace("o", "0")
  const impostor: Draft = {
    ...real,
    kind: "impostor",
    pubkey: made("pubkey", seed, i),
    name: spelled > 0.85
      ? (zero === name ? `${name}.` : zero)
      : spelled > 0.7
      ? name + String(dice.between(0, 98))
      : name,
    nip05: copied < 0.35 ? real.nip05 : undefined,
    isVerified: false,
    picture: dice.fraction() < 0.8 ? real.picture : `https://pictures.example/${seed}/${i}.jpg`,
    born,
    created_at: born + dice.fraction() * dice.fraction() * (now - born),
    hasPosted: dice.fraction() < 0.7,
    popularity: Infinity
  }
  if (copied > 0.85) {
    impostor.isVerified = true
    impostor.nip05 = atProvider(dice, taken, `${host(impostor.name)}${dice.between(0, 998)}`)
  }
  return impostor
}

/** The account a real person has lost: older, with their names, and half the time with their picture. */
const deadOf = (dice: Dice, real: Account, seed: number, i: number): Draft => ({
  ...real,
  kind: "dead",
  pubkey: made("pubkey", seed, i),
  nip05: undefined,
  isVerified: false,
  picture: dice.fraction() < 0.5 ? real.picture : `https://pictures.example/${seed}/${i}.jpg`,
  born: real.born - dice.fraction() * year,
  created_at: real.born - dice.fraction() * 0.5 * year,
  popularity: Infinity
})

export const make = (seed: number): World => {
  const dice = makeDice(seed)
  const taken: Taken = new Set()
  const accounts: Array<Draft> = []
  const real: Array<Account> = []
  const isReal = new Set<number>()
  while (isReal.size < counts.real) isReal.add(Math.floor(Math.exp(Math.log(counts.people) * dice.fraction())) - 1)
  const isDead = new Set<number>()
  for (let i = 0; i < counts.people + counts.silent; i++) {
    const kind = isReal.has(i) ? "real" : i < counts.people ? "person" : "silent"
    const account = somebody(dice, seed, i, kind, 4)
    accounts.push(account)
    if (kind !== "real") {
      named(dice, taken, account, i, { verified: kind === "person" ? 0.3 : 0.1, own: 0.3, claimed: 0.1 })
      account.hasPosted = dice.fraction() < (kind === "person" ? 0.95 : 0.5)
      continue
    }
    if (account.name.length < 4) account.name += "sil"
    account.born = now - (1 + dice.fraction() * 3) * year
    account.created_at = account.born + dice.fraction() * (now - account.born)
    account.popularity = i
    named(dice, taken, account, i, { verified: 0.6, own: 0.5, claimed: 0.15 })
    real.push(account)
  }
  for (const one of real) {
    if (dice.fraction() >= 0.25) continue
    let i = 0
    do i = Math.floor(counts.people * (0.4 + 0.6 * dice.fraction()))
    while (isReal.has(i) || isDead.has(i))
    isDead.add(i)
    accounts[i] = deadOf(dice, one, seed, i)
  }
  const unknown: Array<Account> = []
  for (let k = 0; k < counts.unknown; k++) {
    const whole = host(real[k * 3]!.name)
    const i = counts.people + dice.between(0, counts.silent - 1)
    if (whole.length < 5 || accounts[i]!.kind !== "silent") continue
    const name = whole.slice(0, whole.length - 1 - dice.between(0, 1))
    const account = { ...somebody(dice, seed, i, "unknown", 4), name, displayName: capital(name) }
    accounts[i] = account
    unknown.push(account)
  }
  for (const one of real) {
    const copies = dice.between(0, counts.impostorsMax)
    for (let c = 0; c < copies; c++) accounts.push(impostorOf(dice, taken, one, seed, accounts.length))
  }
  while (accounts.length < counts.all) {
    const i = accounts.length
    const bot = somebody(dice, seed, i, "bot", 2)
    named(dice, taken, bot, i, { verified: 0.1, own: 0, claimed: 0.05 })
    bot.hasPosted = dice.fraction() < 0.7
    accounts.push(bot)
  }
  // As a harvest meets them.
  return { accounts: dice.shuffle(accounts), real, unknown }
}

/** Its profile, with a signature that nobody checks. */
export const profileOf = ({ created_at, displayName, name, nip05, picture, pubkey }: Account): string =>
  rawOf({
    id: hash("sha256", `id ${pubkey}`),
    pubkey,
    created_at: Math.floor(created_at),
    kind: 0,
    tags: [],
    content: JSON.stringify({ name, display_name: displayName, picture, ...(nip05 === undefined ? {} : { nip05 }) }),
    sig: "0".repeat(128)
  })

/** A letter that is wrong, missing, too many, or in its neighbour's place. */
const misspelt = (dice: Dice, text: string): string => {
  const i = dice.between(1, text.length - 2)
  const letter = String.fromCharCode(97 + dice.between(0, 25))
  const how = dice.fraction()
  if (how < 0.4) return text.slice(0, i) + letter + text.slice(i + 1)
  if (how < 0.6) return text.slice(0, i) + text.slice(i + 1)
  if (how < 0.8) return text.slice(0, i) + letter + text.slice(i)
  return text.slice(0, i) + text[i + 1]! + text[i]! + text.slice(i + 2)
}

export interface Question {
  readonly about: string
  readonly search: string
  /** Who should come first. */
  readonly wanted: string
}

/** What is asked of a world. */
export const questionsOf = ({ real, unknown }: World, seed: number): ReadonlyArray<Question> => {
  const dice = makeDice(seed + 77)
  const popular = new Set(real.toSorted((a, b) => a.popularity - b.popularity).slice(0, 371))
  const all: Array<Question> = []
  for (const one of real) {
    const { displayName, isVerified, name, nip05, pubkey: wanted } = one
    const add = (about: string, search: string) => void all.push({ about, search, wanted })
    add("full name", name)
    add("display name", displayName)
    if (name.length > 5 && popular.has(one)) add("prefix of 5, the 371 most popular", name.toLowerCase().slice(0, 5))
    if (isVerified && nip05 !== undefined) add("own confirmed NIP-05", nip05.replace(/^_@/, ""))
    const typed = (displayName.length > 5 ? displayName : name).toLowerCase()
    if (popular.has(one)) add("one typo, the 371 most popular", misspelt(dice, typed))
    else add("one typo, the others", misspelt(dice, typed))
  }
  for (const { name, pubkey } of unknown) {
    all.push({ about: "an unknown whose whole name begins a known one's", search: name, wanted: pubkey })
  }
  return all
}
