/**
 * Made-up profiles for measuring searches: names and words as unevenly common as people's are, so that some words are in
 * every third profile and most in a few.
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

const vocabulary = wordsOf(vocabularySize, 1)
const given = wordsOf(givenNames, 2)
const family = wordsOf(familyNames, 3)

/** The rarer the higher: rank `r` comes up in proportion to 1 / r (Zipf). */
const common = (dice: Dice, list: ReadonlyArray<string>): string =>
  list[Math.floor(list.length ** dice.fraction()) - 1] ?? list[0]!

const capital = (text: string): string => text[0]!.toUpperCase() + text.slice(1)

/** Canonical JSON of a kind 0 event by somebody of his own; its signature is made up too. */
export const profile = (number: number): string => {
  const dice = makeDice(number * 2 + 1)
  const first = common(dice, given)
  const last = common(dice, family)
  const name = dice.chance(0.5) ? `${first}_${last}` : dice.chance(0.5) ? first : `${first}${dice.between(1, 999)}`
  const about: Array<string> = []
  for (let words = dice.between(4, 60); words > 0; words--) about.push(common(dice, vocabulary))
  const id = hash("sha256", `id ${number}`)
  return rawOf({
    id,
    pubkey: hash("sha256", `pubkey ${number}`),
    created_at: oldest + dice.between(0, span),
    kind: 0,
    tags: [],
    content: JSON.stringify({
      name,
      display_name: `${capital(first)} ${capital(last)}`,
      about: about.join(" "),
      picture: `https://images.example/${id.slice(0, 20)}.png`,
      ...(dice.chance(0.4) ? { nip05: `${name}@${common(dice, vocabulary)}.example` } : {})
    }),
    sig: id + id
  })
}

/** Words and names by rank, 0 the commonest. */
export const words = (rank: number): string => vocabulary[rank]!
export const names = (rank: number): string => given[rank]!
export const surnames = (rank: number): string => family[rank]!
