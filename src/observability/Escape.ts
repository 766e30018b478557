/**
 * Text that a stranger wrote, made fit for a terminal, a log line or an error message. Pure.
 */

/**
 * What could move a cursor, start an ANSI sequence, break a line, or reorder the text around it: C0, DEL and C1 controls,
 * line and paragraph separators, bidirectional controls, the byte order mark, and halves of surrogate pairs.
 */
const unsafe =
  // oxlint-disable-next-line no-control-regex -- these characters are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/gu

const codeOf = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/**
 * `text` on one line: unsafe characters are spelled out (`\u001b`), and what is longer than `max` (UTF-16 code units) is
 * cut, with the number of units left out. The result is at most six times `max`, plus that number.
 */
export const escape = (text: string, max: number): string => {
  if (text.length <= max) return text.replace(unsafe, codeOf)
  // A pair that straddles the cut would leave half a character behind.
  const high = text.charCodeAt(max - 1)
  const end = high >= 0xd800 && high <= 0xdbff ? max - 1 : max
  return `${text.slice(0, end).replace(unsafe, codeOf)}… (+${text.length - end})`
}

/** As `escape`, but line breaks stay: for stack traces. */
export const escapeLines = (text: string, max: number): string =>
  text.length <= max
    ? text.split("\n").map((line) => escape(line, max)).join("\n")
    : `${escapeLines(text.slice(0, max), max)}… (+${text.length - max})`
