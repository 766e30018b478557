/** The `picture` of a profile, judged by its text alone: no host is asked. */

/** Where a picture could be had from. */
export type PictureUrl =
  | {
    readonly _tag: "Web"
    /** Normalised by the WHATWG URL rules. */
    readonly url: string
    /** Lower-case name or address; an IPv6 address keeps its brackets. */
    readonly host: string
    /** An IP address in place of a name, in whichever notation it was written. */
    readonly isAddress: boolean
    /** `http:`; browsers block or upgrade it on a secure page. */
    readonly isInsecure: boolean
    /** Undefined for the scheme's own. */
    readonly port: number | undefined
    /** Of a path that ends in one: the name of the file at any Blossom server (NIP-B7). */
    readonly sha256: string | undefined
  }
  /** A `data:` URL with an image type; it can be decoded without a network. */
  | { readonly _tag: "Inline"; readonly mediaType: string }
  | { readonly _tag: "Refused"; readonly reason: PictureUrlProblem }

export type PictureUrlProblem =
  | "picture is not a URL"
  | "picture URL is too long"
  | "picture scheme is not supported"
  | "picture URL holds credentials"
  | "picture host is an address"
  | "picture is a page"
  | "picture is a placeholder"

export interface PictureUrlRules {
  /** UTF-16 units; a `data:` URL is bounded by the content it stands in. */
  readonly pictureUrlMax: number
  /** Without colon. `blob`, `ipfs` and the like need a gateway, or a browser that made them. */
  readonly pictureSchemes: ReadonlyArray<string>
  /** Whether an IP address may stand for a host. Which addresses may be asked is for the fetcher to say. */
  readonly pictureAddressHosts: boolean
  /** Exactly these hosts answer with a page about the picture. */
  readonly picturePageHosts: ReadonlyArray<string>
  /** In lower case: `/path`, `host.example` or a word of either that marks a picture that shows nobody. */
  readonly picturePlaceholders: ReadonlyArray<string>
}

const refused = (reason: PictureUrlProblem): PictureUrl => ({ _tag: "Refused", reason })

/** The URL parser writes every notation of an IPv4 address as four decimal numbers. */
const isAddress = (host: string): boolean => host.startsWith("[") || /^\d+\.\d+\.\d+\.\d+$/.test(host)

/** Media type of a `data:` URL: the text up to the first `;` or `,`. */
const inlineOf = (url: string): PictureUrl => {
  const mediaType = /^data:\s*(image\/[a-z0-9.+-]+)\s*[;,]/i.exec(url.slice(0, 128))?.[1]?.toLowerCase()
  return mediaType === undefined ? refused("picture is not a URL") : { _tag: "Inline", mediaType }
}

const isLetter = (code: number): boolean => code >= 0x61 && code <= 0x7a

/** Does a text in lower case have this word, with no letter behind it, and none before where it begins with one? */
const hasWord = (text: string, word: string): boolean => {
  const isAnywhere = !isLetter(word.charCodeAt(0))
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
    if ((isAnywhere || !isLetter(text.charCodeAt(at - 1))) && !isLetter(text.charCodeAt(at + word.length))) return true
  }
  return false
}

/**
 * A mark that begins with a slash is a part of a path; one with a dot is a host, and all below it; any other is a word of either.
 */
const isMarked = (mark: string, host: string, path: string): boolean => {
  if (mark.startsWith("/")) return hasWord(path, mark)
  return mark.includes(".") ? host === mark || host.endsWith(`.${mark}`) : hasWord(host, mark) || hasWord(path, mark)
}

/** Classifies a picture's URL; blanks around it do not count. Never throws. */
export const pictureUrlOf = (text: string, rules: PictureUrlRules): PictureUrl => {
  const trimmed = text.trim()
  const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(trimmed.slice(0, 32))?.[0].toLowerCase()
  if (scheme === undefined) return refused("picture is not a URL")
  if (!rules.pictureSchemes.includes(scheme.slice(0, -1))) return refused("picture scheme is not supported")
  if (scheme === "data:") return inlineOf(trimmed)
  if (trimmed.length > rules.pictureUrlMax) return refused("picture URL is too long")
  const url = URL.parse(trimmed)
  if (url === null || url.hostname === "") return refused("picture is not a URL")
  if (url.username !== "" || url.password !== "") return refused("picture URL holds credentials")
  const host = url.hostname.replace(/\.$/, "")
  if (isAddress(host)) {
    if (!rules.pictureAddressHosts) return refused("picture host is an address")
  } else if (!host.includes(".") && host !== "localhost") return refused("picture is not a URL")
  if (rules.picturePageHosts.includes(host)) return refused("picture is a page")
  const path = url.pathname.toLowerCase()
  if (rules.picturePlaceholders.some((mark) => isMarked(mark, host, path))) return refused("picture is a placeholder")
  return {
    _tag: "Web",
    url: url.href,
    host,
    isAddress: isAddress(host),
    isInsecure: url.protocol === "http:",
    port: url.port === "" ? undefined : Number(url.port),
    sha256: /\/([0-9a-f]{64})(?:\.[a-z0-9]+)?$/.exec(url.pathname)?.[1]
  }
}
