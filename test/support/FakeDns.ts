/** Names and addresses by decree, for `Resolver`. */
import { Effect, Layer } from "effect"
import { ResolveError, Resolver } from "../../src/fetch/Resolver.ts"

export interface FakeDns {
  readonly layer: Layer.Layer<Resolver>
  /** What a name's first, second, … query gets; the last answer stays. */
  readonly set: (
    host: string,
    ...answers: ReadonlyArray<ReadonlyArray<string> | "NoSuchName" | "Unavailable" | "never">
  ) => void
  /** Names that were asked for, in order; an array that keeps growing. */
  readonly queries: ReadonlyArray<string>
}

/** Knows no name until told. */
export const make = (): FakeDns => {
  const names = new Map<string, Array<ReadonlyArray<string> | "NoSuchName" | "Unavailable" | "never">>()
  const queries: Array<string> = []
  return {
    layer: Layer.succeed(Resolver, {
      resolve: (host) =>
        Effect.suspend(() => {
          queries.push(host)
          const list = names.get(host)
          const [answer = "NoSuchName"] = list ?? []
          if (list !== undefined && list.length > 1) list.shift()
          if (answer === "never") return Effect.never
          return typeof answer === "string"
            ? Effect.fail(new ResolveError({ reason: answer }))
            : Effect.succeed(answer)
        })
    }),
    set: (host, ...answers) => void names.set(host, [...answers]),
    queries
  }
}
