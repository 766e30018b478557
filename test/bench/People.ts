/**
 * Made-up profiles: names and words as unevenly common as people's are, so that some words are in every third profile and
 * most in a few; fields as many and as long as in real profiles of that size, of which most is addresses.
 */
import { hash } from "node:crypto"
import { type Dice, make as makeDice } from "../../src/demo/Dice.ts"
import { rawOf } from "../../src/domain/Event.ts"

/** 2021-01-01T00:00:00Z in Unix seconds; profiles are spread over the five years after it. */
const oldest = 1_609_459_200
const span = 5 * 365 * 86_400

const vocabularySize = 60_000
const givenNames = 4000
const familyNames = 20_000

const syllables = "ka ri mo ta len do sha vi ber nor al jo an chri sto pe mar el sa mu ko zen lu fi gra tu ny bo hei da"
  .split(" ")

/** The same number, the same word; common ones are short. */
const word = (rank: number, salt: number): string => {
  const dice = makeDice(Math.imul(rank + 1, 2_654_435_761) + salt)
  let text = ""
  const parts = 1 + Math.floor(Math.log10(rank + 3))
  for (let i = 0; i <= parts; i++) text += syllables[dice.between(0, syllables.length - 1)]
  return text
}

const wordsOf = (count: number, salt: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) => word(i, salt))

const accents: Readonly<Record<string, string>> = { a: "á", e: "é", i: "ï", o: "ø", u: "ü" }
const accented = (text: string): string => text.replace(/[aeiou]/, (vowel) => accents[vowel]!)

/** Of 100 words that people write about themselves, 6 are not of ASCII. */
const vocabulary = wordsOf(vocabularySize, 1).map((word, rank) => rank % 17 === 7 ? accented(word) : word)
const given = wordsOf(givenNames, 2)
const family = wordsOf(familyNames, 3)

/** The rarer the higher: rank `r` comes up in proportion to 1 / r (Zipf). */
const common = (dice: Dice, list: ReadonlyArray<string>): string =>
  list[Math.floor(list.length ** dice.fraction()) - 1] ?? list[0]!

const capital = (text: string): string => text[0]!.toUpperCase() + text.slice(1)

/**
 * Words that people write about themselves in profiles of 850 to 1200 bytes: the quantiles of 50 that were collected from
 * public relays. Their mean is 16.
 */
const aboutWords = [1, 4, 6, 9, 12, 14, 16, 20, 24, 31, 49] as const

const aboutLength = (dice: Dice): number => {
  const at = dice.fraction() * (aboutWords.length - 1)
  const below = Math.floor(at)
  const [low, high] = [aboutWords[below]!, aboutWords[below + 1]!]
  return Math.round(low + (high - low) * (at - below))
}

/** Content of a kind 0 event of about 1 kB, by somebody of his own. */
export const content = (dice: Dice, seed: string, words: number = aboutLength(dice)): string => {
  const key = hash("sha256", `address ${seed}`)
  const first = common(dice, given)
  const last = common(dice, family)
  const name = dice.chance(0.5) ? `${first}_${last}` : dice.chance(0.5) ? first : `${first}${dice.between(1, 999)}`
  const about = Array.from({ length: words }, () => common(dice, vocabulary))
  return JSON.stringify({
    name,
    display_name: `${dice.chance(0.14) ? accented(capital(first)) : capital(first)} ${capital(last)}`,
    about: about.join(" "),
    picture: `https://images.example/${key}.jpg`,
    banner: `https://images.example/${key}-banner.jpg`,
    website: `https://${name}.example`,
    ...(dice.chance(0.9) ? { nip05: `${name}@${common(dice, family)}.example` } : {}),
    ...(dice.chance(0.8) ? { lud16: `${name}@wallet.example` } : {}),
    ...(dice.chance(0.6) ? { lud06: `lnurl1${key}${key.slice(0, 17)}` } : {})
  })
}

/** Canonical JSON of a kind 0 event; its signature is made up too. */
export const profile = (number: number): string => {
  const dice = makeDice(number * 2 + 1)
  const id = hash("sha256", `id ${number}`)
  return rawOf({
    id,
    pubkey: hash("sha256", `pubkey ${number}`),
    created_at: oldest + dice.between(0, span),
    kind: 0,
    tags: [],
    content: content(dice, String(number)),
    sig: id + id
  })
}

/** Words and names by rank, 0 the commonest. */
export const words = (rank: number): string => vocabulary[rank]!
export const names = (rank: number): string => given[rank]!
export const surnames = (rank: number): string => family[rank]!
