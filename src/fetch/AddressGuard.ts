/**
 * Whom we may talk to, when it was a stranger who named the host.
 *
 * A URL passes three gates: its text (scheme, credentials, length, port), its host where that is an address, and
 * otherwise every address its name has at that moment. The connection then goes to the addresses that were looked at, so a
 * name that changes in between changes nothing. The guard is asked again for every hop of a redirect.
 */
import { Context, Effect, FiberSet, Layer, Result, Schema } from "effect"
import type { LookupAddress } from "node:dns"
import type { LookupFunction } from "node:net"
import type { Network } from "../config/Notation.ts"
import { madeOf, Settings } from "../config/Settings.ts"
import { type ResolveError, Resolver } from "./Resolver.ts"
import { type Address, isSpecial, matcher, parseAddress } from "./SpecialAddress.ts"

/** Why a target is refused. It stays refused until its URL, its name's addresses or our settings change. */
const RefusalReason = Schema.Literals([
  "malformed URL",
  "URL is too long",
  "scheme is not allowed",
  "URL holds credentials",
  "port is not allowed",
  "address is not public"
])
type RefusalReason = typeof RefusalReason.Type

/** Nothing was sent to the target. */
export class TargetRefused extends Schema.TaggedError<TargetRefused>()("TargetRefused", { reason: RefusalReason }) {}

/** UTF-16 units. */
const urlMax = 2048

/** Addresses of one name that are connected to, at most; all of them are looked at. */
const addressesMax = 8

const schemesOf = { web: ["http:", "https:"], websocket: ["ws:", "wss:"] } as const

export class AddressGuard extends Context.Service<AddressGuard, {
  /** What can be said of a URL without asking anyone. The result has no fragment, and no dot at the end of its host. */
  readonly check: (text: string, schemes: "web" | "websocket") => Result.Result<URL, TargetRefused>

  /** Where to connect for a URL that `check` has passed: at least one address, none of them refused. */
  readonly vet: (url: URL) => Effect.Effect<ReadonlyArray<LookupAddress>, TargetRefused | ResolveError>

  /**
   * `vet` for what resolves names by itself when it connects, such as `ws`. Not called for a host that is an address:
   * those are for `check`.
   */
  readonly lookup: (url: URL) => LookupFunction
}>()("profile-aggregator/fetch/AddressGuard") {}

/** Of `http`, `https`, `ws` and `wss`; the parser drops a scheme's own port. */
const isWebPort = ({ port }: URL): boolean => port === "" || port === "80" || port === "443"

/** The host of a URL where it is an address; the URL parser has made one of every notation there is. */
const literalOf = (url: URL): Address | undefined => parseAddress(url.hostname.replace(/^\[|\]$/g, ""))

/** A `LookupFunction` that answers with addresses that are known already. */
export const pinned = (addresses: ReadonlyArray<LookupAddress>): LookupFunction => (_, options, done) =>
  answer(addresses, options.all === true, done)

type LookupDone = Parameters<LookupFunction>[2]

const answer = (addresses: ReadonlyArray<LookupAddress>, all: boolean, done: LookupDone): void => {
  const [first] = addresses
  if (all) done(null, [...addresses])
  else if (first !== undefined) done(null, first.address, first.family)
  else done(new Error("no address"), "", 0)
}

const refuse = (reason: RefusalReason) => Result.fail(new TargetRefused({ reason }))

const make = Effect.fnUntraced(function*(allow: () => ReadonlyArray<Network>) {
  const resolver = yield* Resolver
  const exempt = madeOf(allow, matcher)
  const run = yield* FiberSet.makeRuntime()

  const judge = (url: URL, address: Address | undefined): RefusalReason | undefined => {
    if (address === undefined) return "address is not public"
    if (exempt()(address)) return undefined
    if (isSpecial(address)) return "address is not public"
    return isWebPort(url) ? undefined : "port is not allowed"
  }

  const check = (text: string, schemes: "web" | "websocket"): Result.Result<URL, TargetRefused> => {
    const allowed: ReadonlyArray<string> = schemesOf[schemes]
    const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(text.slice(0, 32))?.[0].toLowerCase()
    if (scheme === undefined) return refuse("malformed URL")
    if (!allowed.includes(scheme)) return refuse("scheme is not allowed")
    if (text.length > urlMax) return refuse("URL is too long")
    const url = URL.parse(text)
    if (url === null || !allowed.includes(url.protocol)) return refuse("malformed URL")
    if (url.username !== "" || url.password !== "") return refuse("URL holds credentials")
    url.hash = ""
    if (url.hostname.endsWith(".")) url.hostname = url.hostname.slice(0, -1)
    if (url.hostname === "" || url.hostname.endsWith(".")) return refuse("malformed URL")
    const literal = literalOf(url)
    if (literal !== undefined) {
      const reason = judge(url, literal)
      return reason === undefined ? Result.succeed(url) : refuse(reason)
    }
    // With no exemption the addresses would change nothing, so nobody needs to be asked.
    return isWebPort(url) || allow().length > 0 ? Result.succeed(url) : refuse("port is not allowed")
  }

  const vet = Effect.fn("AddressGuard.vet")(function*(url: URL) {
    const literal = literalOf(url)
    const found = literal === undefined ? yield* resolver.resolve(url.hostname) : [literal.address]
    const addresses: Array<LookupAddress> = []
    for (const text of found) {
      const address = parseAddress(text)
      const reason = judge(url, address)
      if (address === undefined || reason !== undefined) {
        return yield* new TargetRefused({ reason: reason ?? "address is not public" })
      }
      addresses.push({ address: address.address, family: address.family === "ipv4" ? 4 : 6 })
    }
    return addresses.slice(0, addressesMax)
  })

  const lookup = (url: URL): LookupFunction => (_, options, done) =>
    void run(Effect.matchEffect(vet(url), {
      onFailure: (error) =>
        Effect.sync(() =>
          done(new Error(error._tag === "TargetRefused" ? error.reason : `name not resolved: ${error.reason}`), "", 0)
        ),
      onSuccess: (addresses) => Effect.sync(() => answer(addresses, options.all === true, done))
    }))

  return AddressGuard.of({ check, vet, lookup })
})

/** `allow`: networks that may be contacted although they are special, and on any port. */
export const layerWith = (allow: ReadonlyArray<Network>): Layer.Layer<AddressGuard, never, Resolver> =>
  Layer.effect(AddressGuard, make(() => allow))

export const layer: Layer.Layer<AddressGuard, never, Resolver | Settings> = Layer.effect(
  AddressGuard,
  Effect.flatMap(Settings, (settings) => make(() => settings.fetchAllow))
)
