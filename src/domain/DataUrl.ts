/** Pictures that stand in their own URL (RFC 2397). Pure. */

/**
 * The bytes of a `data:` URL; undefined when it is none, its data is malformed, or its text is longer than `textMax`
 * UTF-16 units. The media type is not looked at. Never throws.
 */
export const decodeDataUrl = (url: string, textMax: number): Uint8Array | undefined => {
  if (url.length > textMax || !/^data:/i.test(url)) return undefined
  const comma = url.indexOf(",")
  if (comma === -1) return undefined
  const isBase64 = /;\s*base64\s*$/i.test(url.slice(Math.max(0, comma - 32), comma))
  const bytes = percentDecode(url.slice(comma + 1))
  return isBase64 ? base64(bytes) : bytes
}

/** A `%` that two hex digits do not follow stands for itself (WHATWG URL, "percent-decode"). */
const percentDecode = (text: string): Uint8Array => {
  const bytes = new TextEncoder().encode(text)
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    const high = byte === 0x25 ? hexDigit(bytes[at + 1]) : -1
    const low = high === -1 ? -1 : hexDigit(bytes[at + 2])
    if (low !== -1) at += 2
    bytes[length] = low === -1 ? byte : high * 16 + low
    length += 1
  }
  return bytes.subarray(0, length)
}

const hexDigit = (code: number | undefined): number => {
  if (code === undefined) return -1
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

/** Blanks and missing padding are forgiven, as browsers do. */
const base64 = (bytes: Uint8Array): Uint8Array | undefined => {
  try {
    const text = atob(new TextDecoder("latin1").decode(bytes))
    return Uint8Array.from(text, (character) => character.charCodeAt(0))
  } catch {
    return undefined
  }
}
