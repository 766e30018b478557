/**
 * NIP-05 names, `name@domain`, and the document by which a domain says whose they are.
 *
 * Everything is compared in lower case: names and keys are written so since 2026, and were written in any case before. A
 * bare domain stands for `_@domain`, the name of the domain itself.
 */

import { isAscii } from "./Folding.ts"

/** A name in the one way it is compared and kept. */
export interface Nip05Name {
  /** Of `a-z0-9-_.`; `_` stands for the domain itself. */
  readonly local: string
  /** In lower case, and in ASCII as it is looked up (RFC 5890): `xn--…` for anything else. */
  readonly domain: string
}

/** Characters of each part; a domain of more cannot be looked up (RFC 1035, 2.3.4). */
const localMax = 64
const domainMax = 253

/** UTF-16 units of what stands in a profile that are looked at: a name, a scheme, a path, and what cannot be seen. */
const spellingMax = 2048

const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** Dots of other scripts, which part the labels of a domain as well (RFC 3490, 3.1). */
const dots = /[\u3002\uff0e\uff61]/g

/**
 * A name or a domain as it looks: in lower case, without what cannot be seen, full-width letters and signs as the usual ones, and
 * without blanks around it. Accents stay, as a domain with one is another domain.
 */
export const nip05Spelling = (text: string): string => {
  const start = text.slice(0, spellingMax)
  const shown = isAscii(start)
    ? start
    : start.replace(dots, ".").normalize("NFKC").replace(/[\p{Cc}\p{Default_Ignorable_Code_Point}]/gu, "")
  return shown.trim().toLowerCase()
}

/** A domain that can be looked up: labels with a dot between them, and no address. */
const domainOf = (text: string): string | undefined => {
  // Whatever would end or split the host of a URL is no part of a domain.
  if (text === "" || text.length > domainMax || /[\s/\\?#@:%[\]]/.test(text)) return undefined
  // A dot at the end only says that nothing follows (RFC 1034, 3.1).
  const host = URL.parse(`https://${text}`)?.hostname.replace(/\.$/, "")
  if (host === undefined || host.length > domainMax) return undefined
  const labels = host.split(".")
  // The last label of an address is a number, that of a name never is.
  if (labels.length < 2 || !labels.every((one) => label.test(one)) || /^\d+$/.test(labels.at(-1) ?? "")) {
    return undefined
  }
  return host
}

/** From what stands in a profile; undefined where that is none, such as a URL, a key, or two domains. Never throws. */
export const nip05NameOf = (text: string): Nip05Name | undefined => {
  const [first = "", second, ...rest] = nip05Spelling(text).split("@")
  const [local, written] = second === undefined ? ["_", first] : [first, second]
  if (rest.length > 0 || local.length > localMax || !/^[a-z0-9_.-]+$/.test(local)) return undefined
  const domain = domainOf(written)
  return domain === undefined ? undefined : { local, domain }
}

/** As it is kept: `_@domain` for a bare domain. */
export const nip05TextOf = ({ domain, local }: Nip05Name): string => `${local}@${domain}`

/** Where a domain says whose a name is. */
export const nip05UrlOf = ({ domain, local }: Nip05Name): string =>
  `https://${domain}/.well-known/nostr.json?name=${local}`

/**
 * Keys by name, both in lower case, from the text of a document; empty where it is none. A name that is given twice, in
 * different cases, is that of the spelling in lower case. What is no key in hex is left out.
 */
export const nip05DocumentOf = (text: string): ReadonlyMap<string, string> => {
  const keys = new Map<string, string>()
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return keys
  }
  const names = typeof document === "object" && document !== null && "names" in document ? document.names : undefined
  if (typeof names !== "object" || names === null) return keys
  for (const [name, key] of Object.entries<unknown>(names as Readonly<Record<string, unknown>>)) {
    if (typeof key !== "string" || !/^[0-9a-f]{64}$/i.test(key)) continue
    const lower = name.toLowerCase()
    if (name === lower || !keys.has(lower)) keys.set(lower, key.toLowerCase())
  }
  return keys
}
