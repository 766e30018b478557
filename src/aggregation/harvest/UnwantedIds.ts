/**
 * Ids of events that an upstream holds and we do not want: refused by a rule, or older than what we keep.
 *
 * A reconciliation would find them missing again each time, so they count as held. They are kept by the day on which they
 * were signed, for some weeks and under the rules that refused them: after that they are looked at once more. Only what was
 * judged with a valid signature, or is older than what we keep, may be added.
 */
import { Clock, Effect, Schema } from "effect"
import { Settings } from "../../config/Settings.ts"
import { Database, type DatabaseError, type RecordWrite } from "../../database/Database.ts"
import { rulesIdOf } from "../evidence/Rules.ts"
import * as Space from "../Space.ts"

export const daySeconds = 86_400

/** Milliseconds for which an id is kept, from the first of its day. */
const lifetime = 30 * 24 * 3_600_000

/** Ids of one day; the latest to be refused are kept. */
const idsPerDayMax = 10_000

/** Bytes of one id, after the second it was signed in, counted from the day's first: 4 bytes. */
const [idBytes, itemBytes] = [32, 36]

export interface Item {
  /** Unix seconds. */
  readonly created_at: number
  /** Lower-case hex. */
  readonly id: string
}

/** By day since 1970; due when they are to be forgotten. */
export const space = Space.versioned("unwanted", {
  rules: Schema.String,
  items: Schema.String
})

export const dayOf = (created_at: number): number => Math.floor(created_at / daySeconds)

const pack = (day: number, items: Iterable<Item>): string => {
  const all = [...items].slice(-idsPerDayMax)
  const bytes = Buffer.alloc(all.length * itemBytes)
  for (const [n, { created_at, id }] of all.entries()) {
    bytes.writeUInt32BE(created_at - day * daySeconds, n * itemBytes)
    bytes.write(id, n * itemBytes + itemBytes - idBytes, "hex")
  }
  return bytes.toString("base64")
}

const unpack = (day: number, text: string): ReadonlyArray<Item> => {
  const bytes = Buffer.from(text, "base64")
  return Array.from({ length: Math.floor(bytes.length / itemBytes) }, (_, n) => {
    const at = n * itemBytes
    return {
      created_at: day * daySeconds + bytes.readUInt32BE(at),
      id: bytes.toString("hex", at + itemBytes - idBytes, at + itemBytes)
    }
  })
}

export interface UnwantedIds {
  readonly of: (day: number) => Effect.Effect<ReadonlyArray<Item>, DatabaseError>
  /** What to write so that these are known from now on. */
  readonly add: (items: ReadonlyArray<Item>) => Effect.Effect<ReadonlyArray<RecordWrite>, DatabaseError>
}

export const make = Effect.fnUntraced(function*() {
  const database = yield* Database
  const settings = yield* Settings

  const find = Effect.fnUntraced(function*(day: number) {
    const kept = yield* space.get(database, String(day))
    const now = yield* Clock.currentTimeMillis
    const due = kept?.due ?? 0
    const found = due > now ? kept?.value : undefined
    return found?.rules === rulesIdOf(settings.now)
      ? { items: unpack(day, found.items), due }
      : { items: [], due: now + lifetime }
  })

  const unwanted: UnwantedIds = {
    of: (day) => Effect.map(find(day), ({ items }) => items),
    add: (items) =>
      Effect.forEach(
        Map.groupBy(items, ({ created_at }) => dayOf(created_at)),
        Effect.fnUntraced(function*([day, fresh]) {
          const { due, items: before } = yield* find(day)
          const all = new Map([...before, ...fresh].map((item) => [item.id, item]))
          return space.put(String(day), { rules: rulesIdOf(settings.now), items: pack(day, all.values()) }, due)
        })
      )
  }
  return unwanted
})
