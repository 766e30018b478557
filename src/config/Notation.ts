/**
 * How the values of settings are written: each kind of them by what is allowed, in words, and how it is read. Pure.
 */
import { Duration, Option, Redacted } from "effect"
import { isIP } from "node:net"
import { networkBegin } from "../domain/HarvestWindow.ts"
import { pubkeyOf } from "../domain/PublicKey.ts"
import { relayUrlOf } from "../domain/RelayUrl.ts"

/** How a value is written, and how it is read. */
export interface Notation<A> {
  /** Completes "allowed: …". */
  readonly allowed: string
  readonly decode: (text: string) => Option.Option<A>
}

/** A block of addresses in CIDR notation, ready for `net.BlockList.addSubnet`. */
export interface Network {
  readonly address: string
  readonly prefix: number
  readonly family: "ipv4" | "ipv6"
}

const group = (n: number): string => n.toLocaleString("en-US").replaceAll(",", "_")

export const whole = (minimum: number, maximum: number, unit?: string): Notation<number> => ({
  allowed: `${unit ?? "a whole number"}, ${group(minimum)} to ${group(maximum)}`,
  decode: (text) => {
    const value = /^\d{1,15}(?:_\d{3})*$/u.test(text) ? Number(text.replaceAll("_", "")) : Number.NaN
    return value >= minimum && value <= maximum ? Option.some(value) : Option.none()
  }
})

const duration =
  (unit: string, of: (amount: number) => Duration.Duration) =>
  (minimum: number, maximum: number): Notation<Duration.Duration> => ({
    allowed: `${unit}, ${minimum} to ${group(maximum)}, with up to 3 decimals`,
    decode: (text) => {
      const amount = /^\d{1,9}(?:\.\d{1,3})?$/u.test(text) ? Number(text) : Number.NaN
      return amount >= minimum && amount <= maximum ? Option.some(of(amount)) : Option.none()
    }
  })
export const seconds = duration("seconds", (amount) => Duration.millis(Math.round(amount * 1000)))
export const days = duration("days", Duration.days)

export const oneOf = <const A extends string>(values: ReadonlyArray<A>): Notation<A> => ({
  allowed: values.map((value) => `\`${value}\``).join(", "),
  decode: (text) => Option.fromUndefinedOr(values.find((value) => value.toLowerCase() === text.toLowerCase()))
})

export const onOff: Notation<boolean> = {
  allowed: "`on`, `off`",
  decode: (text) => Option.map(oneOf(["on", "off"]).decode(text), (value) => value === "on")
}

export const line = (lengthMax: number): Notation<string> => ({
  allowed: `one line, at most ${lengthMax} characters`,
  decode: (text) => text.length <= lengthMax && !/\p{Cc}/u.test(text) ? Option.some(text) : Option.none()
})

export const file: Notation<string> = {
  allowed: "the path of a file",
  decode: (text) => text !== "" && !/\p{Cc}|\/$/u.test(text) ? Option.some(text) : Option.none()
}

export const folder: Notation<string> = {
  allowed: "the path of a folder",
  decode: (text) => text !== "" && !/\p{Cc}/u.test(text) ? Option.some(text) : Option.none()
}

export const address: Notation<{ readonly host: string; readonly port: number }> = {
  allowed: "an IP address or `localhost`, then `:` and a port, 0 (any free one) to 65535; IPv6 in brackets",
  decode: (text) => {
    const [, bracketed, bare, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/u.exec(text) ?? []
    const port = Number(digits)
    if (digits === undefined || port > 65_535) return Option.none()
    if (bracketed !== undefined) return isIP(bracketed) === 6 ? Option.some({ host: bracketed, port }) : Option.none()
    const host = bare ?? ""
    return host === "localhost" || isIP(host) === 4 ? Option.some({ host, port }) : Option.none()
  }
}

export const relay: Notation<string> = {
  allowed: "a `ws://` or `wss://` URL without credentials or fragment",
  decode: (text) => {
    // What strangers write is read more kindly than what an operator sets, who sees what is wrong with it.
    const isWhole = /^wss?:\/\/[^\s#]+$/iu.test(text)
    return isWhole ? Option.fromUndefinedOr(relayUrlOf(text)) : Option.none()
  }
}

/** Comma-separated, each once; empty or `none` is the empty list. A comma at the end is forgiven. */
export const list = <A>(one: Notation<A>, many: string, lengthMax: number): Notation<ReadonlyArray<A>> => ({
  allowed: `${many}, separated by commas, at most ${lengthMax}; or \`none\``,
  decode: (text) => {
    const parts = text === "" || text === "none"
      ? []
      : [...new Set(text.replace(/,\s*$/u, "").split(",").map((part) => part.trim()))]
    return parts.length > lengthMax ? Option.none() : Option.all(parts.map(one.decode))
  }
})

/** The same, of at least one. */
export const some = <A>(one: Notation<A>, many: string, lengthMax: number): Notation<ReadonlyArray<A>> => ({
  allowed: `${many}, separated by commas, 1 to ${lengthMax}`,
  decode: (text) => Option.filter(list(one, many, lengthMax).decode(text), ({ length }) => length > 0)
})

/** Replaceable lists: an author has one of each, so they are as many as authors are. */
export const listKind: Notation<number> = {
  allowed: "a kind, 3 or 10_000 to 10_102",
  decode: (text) => Option.filter(whole(3, 10_102).decode(text), (kind) => kind === 3 || kind >= 10_000)
}

export const relays = list(relay, "`ws://` or `wss://` URLs without credentials or fragment", 64)

export const network: Notation<Network> = {
  allowed: "a CIDR block",
  decode: (text) => {
    const [address = "", digits = "", ...rest] = text.split("/")
    const version = isIP(address)
    const prefix = Number(digits)
    if (version === 0 || address.includes("%") || !/^\d{1,3}$/u.test(digits) || rest.length > 0) return Option.none()
    if (prefix > (version === 4 ? 32 : 128)) return Option.none()
    return Option.some({ address, prefix, family: version === 4 ? "ipv4" : "ipv6" })
  }
}

export const pixels: Notation<{ readonly width: number; readonly height: number }> = {
  allowed: "`<width>x<height>` in pixels, each 0 to 10_000",
  decode: (text) => {
    const [, width, height] = /^(\d{1,5})x(\d{1,5})$/u.exec(text) ?? []
    const size = { width: Number(width), height: Number(height) }
    return size.width <= 10_000 && size.height <= 10_000 ? Option.some(size) : Option.none()
  }
}

/** Lower-case hex. */
export const pubkey: Notation<string> = {
  allowed: "64 hex characters, or `npub1…` (NIP-19)",
  decode: (text) => Option.fromUndefinedOr(pubkeyOf(text))
}

/** One text among several: it holds no comma, and its case does not count where it is `lower`. */
export const phrase = (lower: boolean): Notation<string> => ({
  allowed: "a text of at most 100 characters",
  decode: (text) => {
    if (text === "" || text.length > 100 || /[\p{Cc},]/u.test(text)) return Option.none()
    return Option.some(lower ? text.toLowerCase() : text)
  }
})

/** `host=8`, in requests a minute. */
export const quota: Notation<{ readonly host: string; readonly perMinute: number }> = {
  allowed: "a host, `=` and requests a minute, 1 to 100_000",
  decode: (text) => {
    const [, host, digits] = /^([a-z0-9.:[\]-]{1,253})=(\d{1,6})$/iu.exec(text) ?? []
    const perMinute = Number(digits)
    if (host === undefined || perMinute < 1 || perMinute > 100_000) return Option.none()
    return Option.some({ host: host.toLowerCase(), perMinute })
  }
}

/** Unix seconds. */
export const day: Notation<number> = {
  allowed: "a day (UTC) as `YYYY-MM-DD`, 2020-01-01 or later",
  decode: (text) => {
    const at = /^\d{4}-\d{2}-\d{2}$/u.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
    // A day that does not exist, such as the 30th of February, is another day when written back.
    return at / 1000 >= networkBegin && new Date(at).toISOString().startsWith(text)
      ? Option.some(at / 1000)
      : Option.none()
  }
}

export const secretKey: Notation<Option.Option<Redacted.Redacted>> = {
  allowed: "64 hex characters, or `nsec1…` (NIP-19)",
  decode: (text) => {
    if (text === "") return Option.some(Option.none())
    if (!/^(?:[0-9a-f]{64}|nsec1[02-9ac-hj-np-z]{58})$/iu.test(text)) return Option.none()
    return Option.some(Option.some(Redacted.make(text.toLowerCase(), { label: "relay key" })))
  }
}

/** A list that is replaced, or added to by a `+` before its first. */
export const extendable = <A>(one: Notation<A>, many: string, otherwise: string): Notation<ReadonlyArray<A>> => {
  const plain = list(one, many, 200)
  return {
    allowed: `${plain.allowed}; after a \`+\` they are added to the default`,
    decode: (text) => plain.decode(text.startsWith("+") ? `${otherwise},${text.slice(1)}` : text)
  }
}
