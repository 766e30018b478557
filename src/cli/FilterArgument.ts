/** Filters as they are typed: JSON as in a REQ, one filter or an array of alternatives (NIP-01), or flags. */
import { Effect, Option } from "effect"
import { Argument } from "effect/cli"
import { type Filter, filterOf, filterRefusal } from "../domain/Filter.ts"
import { pubkeyOf } from "../domain/PublicKey.ts"
import type { StartError } from "../lifecycle/StartError.ts"
import { usage } from "./DataCommand.ts"

export const filterArgument = Argument.String("filter").pipe(
  Argument.withDescription("JSON as in a REQ: one filter, or an array of alternatives. Only its own limits bind it.")
)

/** Values in one filter: as many as a command line holds. */
const limits = { filterValuesMax: 100_000 }

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Where a filter names people: by hand they are named as they are shown, npub1… or nprofile1…. */
const peopleFields: ReadonlySet<string> = new Set(["authors", "#p", "#P"])

const withKeys = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  const fields = Object.entries(value).map(([field, values]) =>
    peopleFields.has(field) && Array.isArray(values)
      ? [field, values.map((each) => typeof each === "string" ? pubkeyOf(each) ?? each : each)]
      : [field, values]
  )
  return Object.fromEntries(fields)
}

/** One filter, decoded, or why it is none. */
export const decode = (value: unknown): Effect.Effect<Filter, StartError> => {
  const filter = filterOf(withKeys(value), limits)
  if (typeof filter === "string") return Effect.fail(usage(`the filter is refused: ${filterRefusal(filter)}`))
  // A walk over the store does not rank, and a search that is left out would let everything through.
  return filter.search === undefined
    ? Effect.succeed(filter)
    : Effect.fail(usage("the filter is refused: search works over a connection only"))
}

/** Fails (64) with what is wrong with the text. */
export const filtersOf = (text: string): Effect.Effect<ReadonlyArray<Filter>, StartError> => {
  const value = parse(text)
  if (typeof value !== "object" || value === null) {
    return Effect.fail(usage("the filter must be JSON, such as {\"kinds\":[0],\"limit\":10}"))
  }
  const list: ReadonlyArray<unknown> = Array.isArray(value) ? value : [value]
  return list.length === 0
    ? Effect.fail(usage("the list of filters is empty"))
    : Effect.forEach(list, decode)
}

/** A filter in parts. */
export interface Selection {
  readonly since: Option.Option<number>
  readonly until: Option.Option<number>
  readonly kinds: Option.Option<string>
  readonly authors: Option.Option<string>
  readonly filter: Option.Option<string>
}

/** Values as flags have them: separated by commas, of which one may be left over. */
export const listOf = (text: string): ReadonlyArray<string> =>
  text.split(",").map((item) => item.trim()).filter((item) => item !== "")

/** The one filter that a selection describes. Fails (64) where a flag and the filter say the same, or one is no value. */
export const selectionFilter = Effect.fnUntraced(function*(selection: Selection) {
  const object = Option.isSome(selection.filter) ? parse(selection.filter.value) : {}
  if (typeof object !== "object" || object === null || Array.isArray(object)) {
    return yield* usage("the filter must be one JSON object, such as {\"kinds\":[0]}")
  }
  const given = {
    ...Option.isSome(selection.since) && { since: selection.since.value },
    ...Option.isSome(selection.until) && { until: selection.until.value },
    ...Option.isSome(selection.kinds) && { kinds: listOf(selection.kinds.value).map(Number) },
    ...Option.isSome(selection.authors) && { authors: listOf(selection.authors.value) }
  }
  const twice = Object.keys(given).find((key) => Object.hasOwn(object, key))
  if (twice !== undefined) return yield* usage(`${twice} is given by a flag and in the filter`)
  return yield* decode({ ...object, ...given })
})
