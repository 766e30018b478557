/**
 * Records of one kind, over their Schema: what this component keeps beside the events, one small JSON document per key.
 *
 * Reading asks the database. Writing does not: `put` and `drop` are operations, which join whatever write they belong to, so
 * that a record never runs ahead of the events it is about.
 */
import { Effect, Option, Schema } from "effect"
import type { Database, DatabaseError, Operation, RecordWrite, StoredRecord } from "../database/Database.ts"
import { aboutAuthors, type SpaceName } from "../database/Spaces.ts"

/** A record as it was read. */
export interface Kept<A> {
  readonly key: string
  /** Undefined where another version of this service wrote what this one cannot read: as good as nothing. */
  readonly value: A | undefined
  /** Unix milliseconds, or null. */
  readonly due: number | null
}

/** What the records of a space hold. */
export type Value<S> = S extends Space<infer A> ? A : never

export interface Space<A> {
  readonly name: SpaceName
  readonly get: (database: Database["Service"], key: string) => Effect.Effect<Kept<A> | undefined, DatabaseError>
  /** All of them, by key. */
  readonly all: (database: Database["Service"]) => Effect.Effect<ReadonlyArray<Kept<A>>, DatabaseError>
  /** Those that are due at `now` (Unix milliseconds), soonest first. */
  readonly due: (
    database: Database["Service"],
    now: number,
    limit: number
  ) => Effect.Effect<ReadonlyArray<Kept<A>>, DatabaseError>
  /** `due`: Unix milliseconds. */
  readonly put: (key: string, value: A, due?: number | null) => RecordWrite
  readonly drop: (key: string) => RecordWrite
  /** What an operation writes here; undefined when it is about anything else. Without a value where it drops the record. */
  readonly written: (operation: Operation) => Kept<A> | undefined
}

const drop = (space: SpaceName, key: string): RecordWrite => ({ _tag: "Record", space, key, value: null, due: null })

/** Documents that JSON writes as they are. */
export const make = <A>(
  name: SpaceName,
  schema: Schema.Codec<A, unknown>,
  encode: (value: A) => string = JSON.stringify
): Space<A> => {
  const decode = Schema.decodeUnknownOption(Schema.fromJsonString(schema))
  return text(name, (value) => Option.getOrUndefined(decode(value)), encode)
}

/** Documents of these fields, and `version: 1` to tell them from what comes later. */
export const versioned = <F extends Schema.Struct.Fields>(
  name: SpaceName,
  fields: F
): Space<Schema.Struct<F>["Type"]> =>
  make<Schema.Struct<F>["Type"]>(
    name,
    // What is read has its version too, which nobody looks at, and which is written first as ever.
    Schema.Struct({ version: Schema.Literal(1), ...fields }) as unknown as Schema.Codec<
      Schema.Struct<F>["Type"],
      unknown
    >,
    (value) => JSON.stringify({ version: 1, ...value })
  )

/** Documents that are written and read by somebody who knows more about them than a Schema; undefined: not readable. */
export const text = <A>(
  name: SpaceName,
  decode: (value: string) => A | undefined,
  encode: (value: A) => string
): Space<A> => {
  const keptOf = ({ due, key, value }: StoredRecord): Kept<A> => ({ key, value: decode(value), due })
  return {
    name,
    get: (database, key) =>
      Effect.map(database.record(name, key), (found) => found === undefined ? undefined : keptOf(found)),
    all: (database) => Effect.map(database.records(name), (all) => all.map(keptOf)),
    due: (database, now, limit) => Effect.map(database.due(name, now, limit), (all) => all.map(keptOf)),
    put: (key, value, due = null) => ({ _tag: "Record", space: name, key, value: encode(value), due }),
    drop: (key) => drop(name, key),
    written: (operation) => {
      if (operation._tag !== "Record" || operation.space !== name) return undefined
      const { due, key, value } = operation
      return value === null ? { key, value: undefined, due } : keptOf({ key, value, due })
    }
  }
}

/** Drops all that is noted about an author. */
export const forgetAuthor = (pubkey: string): ReadonlyArray<RecordWrite> =>
  aboutAuthors.map((name) => drop(name, pubkey))

/** Drops records that have expired. */
export const forget = (name: SpaceName, expired: ReadonlyArray<StoredRecord>): ReadonlyArray<RecordWrite> =>
  expired.map(({ key }) => drop(name, key))
