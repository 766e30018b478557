/**
 * Names to addresses, for hosts that strangers chose.
 *
 * Asks the configured name servers directly (c-ares): a query can be given up at once, and never occupies one of the few
 * threads that the process has for files. The price is that `/etc/hosts` is not read.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { Resolver as NodeResolver } from "node:dns"

/** `NoSuchName`: the name servers say so, today. `Unavailable`: they did not answer, or could not. */
export class ResolveError extends Schema.TaggedError<ResolveError>()("ResolveError", {
  reason: Schema.Literals(["NoSuchName", "Unavailable"])
}) {}

export interface Options {
  /** Addresses with ports; by default those the machine is configured with. */
  readonly servers?: ReadonlyArray<string>
  /** Milliseconds for one attempt, and for all of them. */
  readonly attemptMillis: number
  readonly totalMillis: number
}

const defaults: Options = { attemptMillis: 1500, totalMillis: 3000 }

export class Resolver extends Context.Service<Resolver, {
  /** All addresses of a name, IPv6 and IPv4 in text form, at least one. Interrupting it ends the query. */
  readonly resolve: (host: string) => Effect.Effect<ReadonlyArray<string>, ResolveError>
}>()("profile-aggregator/fetch/Resolver") {
  static readonly layerWith = (options: Partial<Options>): Layer.Layer<Resolver> =>
    Layer.sync(Resolver, () => make({ ...defaults, ...options }))

  static readonly layer: Layer.Layer<Resolver> = Resolver.layerWith({})
}

/** Codes by which a name server, or the library, says that there is nothing to be had. */
const noSuchName = new Set(["ENOTFOUND", "ENODATA", "EBADNAME", "ENONAME"])

const query = (resolver: NodeResolver, host: string, type: "A" | "AAAA") =>
  Effect.callback<ReadonlyArray<string>, ResolveError>((resume) => {
    const done = (error: NodeJS.ErrnoException | null, addresses: ReadonlyArray<string>) => {
      if (error === null) return resume(Effect.succeed(addresses))
      if (noSuchName.has(error.code ?? "")) return resume(Effect.succeed([]))
      resume(Effect.fail(new ResolveError({ reason: "Unavailable" })))
    }
    try {
      if (type === "A") resolver.resolve4(host, done)
      else resolver.resolve6(host, done)
    } catch {
      // A name that cannot be written in a query.
      resume(Effect.succeed([]))
    }
    return Effect.sync(() => resolver.cancel())
  })

const make = (options: Options): Resolver["Service"] => {
  const ask = Effect.fnUntraced(function*(host: string) {
    const resolver = new NodeResolver({ timeout: options.attemptMillis, tries: 2 })
    if (options.servers !== undefined) resolver.setServers(options.servers)
    const [six, four] = yield* Effect.all([
      Effect.result(query(resolver, host, "AAAA")),
      Effect.result(query(resolver, host, "A"))
    ], { concurrency: 2 })
    const addresses = [six, four].flatMap((answer) => answer._tag === "Success" ? answer.success : [])
    if (addresses.length > 0) return addresses
    // One answer that there is none does not make up for the other that never came.
    const reason = six._tag === "Success" && four._tag === "Success" ? "NoSuchName" : "Unavailable"
    return yield* new ResolveError({ reason })
  })

  return {
    resolve: (host) => {
      // RFC 6761, 6.3: these never leave the machine. RFC 7686, 2: and these must not be looked up.
      if (host === "localhost" || host.endsWith(".localhost")) return Effect.succeed(["::1", "127.0.0.1"])
      if (host === "onion" || host.endsWith(".onion")) return Effect.fail(new ResolveError({ reason: "NoSuchName" }))
      return Effect.timeoutOrElse(ask(host), {
        duration: options.totalMillis,
        orElse: () => Effect.fail(new ResolveError({ reason: "Unavailable" }))
      })
    }
  }
}
