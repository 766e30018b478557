/**
 * The events that a benchmark is run on: made up, seeded, and validly signed, so that every run and every machine sees
 * the same bytes.
 *
 * They come in blocks of 10,000, signed once and kept under `node_modules/.cache`. A block of `store` is 8,000 profiles
 * by as many authors, and 20 notes by each of 100 of them; blocks of the others have one kind, and an author
 * per event; `essays` are profiles by people who have much to say of themselves. An event is about 1 kB of JSON.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Dice, make as makeDice } from "../../src/demo/Dice.ts"
import { eventId, keyOf, sign } from "../../src/demo/Signer.ts"
import { type EventTemplate, rawOf } from "../../src/domain/Event.ts"
import * as People from "./People.ts"

const sets = ["store", "profiles", "notes", "essays"] as const
export type Set = typeof sets[number]

export const blockEvents = 10_000

/** Canonical JSON of each event. */
export type Block = ReadonlyArray<string>

/** Blocks of the store from this one on are not signed: they are put into the file, where nobody checks them again. */
const unsignedFrom = 10

const profilesPerBlock = 8000
const notesPerAuthor = 20

/** 2025-07-01T00:00:00Z in Unix seconds; a store has events of the 200 days after it. */
export const oldest = 1_751_328_000
export const newest = oldest + 200 * 86_400

const words = ("wooden boats tide harbour letters evening garden slowly writes about music maps north river small " +
  "painted window bread morning never quite finished learning street café naïve 日本 lantern copper thread").split(" ")

const text = (dice: Dice, length: number): string => {
  let text = ""
  while (text.length < length) text += `${words[dice.between(0, words.length - 1)]} `
  return text.slice(0, length).trimEnd()
}

/** Words of an essay: more than 99 of 100 people write. */
const essayWords = 65

const profileOf = (dice: Dice, set: Set, seed: string, created_at: number): EventTemplate => ({
  kind: 0,
  created_at,
  tags: [],
  content: set === "essays" ? People.content(dice, seed, essayWords) : People.content(dice, seed)
})

const noteOf = (dice: Dice, created_at: number): EventTemplate => ({
  kind: 1,
  created_at,
  tags: [],
  content: text(dice, 450 + dice.between(0, 400))
})

/** Events that are signed in a second, and how many seconds they are on their way at most. */
const perSecond = 100
const wayMax = 60

/** A store has all times in any order; what is published has just been signed. */
const timeOf = (dice: Dice, set: Set, index: number): number =>
  set === "store"
    ? oldest + dice.between(0, newest - oldest)
    : newest + Math.floor(index / perSecond) - dice.between(0, wayMax)

const authorOf = (set: Set, block: number, index: number): string => {
  if (set !== "store" || index < profilesPerBlock) return `bench/${set}/${block}/${index}`
  return `bench/store/${block}/${Math.floor((index - profilesPerBlock) / notesPerAuthor)}`
}

const make = (set: Set, block: number): Block => {
  const dice = makeDice(sets.length * block + sets.indexOf(set))
  return Array.from({ length: blockEvents }, (_, index) => {
    const author = authorOf(set, block, index)
    const isProfile = set === "profiles" || set === "essays" || (set === "store" && index < profilesPerBlock)
    const time = timeOf(dice, set, block * blockEvents + index)
    const template = isProfile ? profileOf(dice, set, author, time) : noteOf(dice, time)
    if (set !== "store" || block < unsignedFrom) return rawOf(sign(template, keyOf(author)))
    const pubkey = eventId(author, noteOf(dice, oldest))
    const id = eventId(pubkey, template)
    return rawOf({ id, pubkey, ...template, sig: id + id })
  })
}

/** Only what took long to make is worth a file. */
const isKept = (set: Set, block: number): boolean => set !== "store" || block < unsignedFrom

const folder = join(import.meta.dirname, "../../node_modules/.cache/bench")

/** The same on every call; made at the first, in about a second. */
export const block = (set: Set, index: number): Block => {
  if (!isKept(set, index)) return make(set, index)
  const path = join(folder, `v4-${set}-${index}.jsonl`)
  try {
    return readFileSync(path, "utf8").split("\n")
  } catch {
    const made = make(set, index)
    mkdirSync(folder, { recursive: true })
    writeFileSync(path, made.join("\n"))
    return made
  }
}

/** What is in a block of the store, for those who ask for it. */
export const storedProfiles = (block: Block): Block => block.slice(0, profilesPerBlock)
export const storedNotes = (block: Block): Block => block.slice(profilesPerBlock)
