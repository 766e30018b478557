/** What goes wrong with a message on its way: tokens are lost, repeated and exchanged, and so are bytes. */
import type { Random } from "../database/random.ts"
import { nasty } from "./Grammar.ts"

/** Strings (closed or not), numbers and words, white space, and single characters for all else. */
const token = /"(?:[^"\\]|\\.)*"?|[\w.+-]+|\s+|[^]/gu

const edited = <A>(items: ReadonlyArray<A>, random: Random, foreign: () => A): Array<A> => {
  const at = random.int(items.length)
  const other = random.int(items.length)
  const result = [...items]
  switch (random.int(6)) {
    case 0: // lost
      result.splice(at, 1)
      break
    case 1: // repeated
      result.splice(at, 0, items[at]!)
      break
    case 2: { // exchanged
      result[at] = items[other]!
      result[other] = items[at]!
      break
    }
    case 3: // replaced
      result[at] = foreign()
      break
    case 4: // inserted
      result.splice(at, 0, foreign())
      break
    default: // cut short, at either end
      if (random.chance(80)) result.length = at
      else result.splice(0, at)
  }
  return result
}

/** One to three edits of tokens. */
export const mutateTokens = (text: string, random: Random): string => {
  let tokens: Array<string> = text.match(token) ?? []
  for (let i = random.int(3); i >= 0 && tokens.length > 0; i--) {
    tokens = edited(tokens, random, () => random.pick(nasty))
  }
  return tokens.join("")
}

/** One to three edits of bytes; what comes out need not be UTF-8. */
export const mutateBytes = (bytes: Uint8Array, random: Random): Uint8Array => {
  let list = [...bytes]
  for (let i = random.int(3); i >= 0 && list.length > 0; i--) {
    // Mostly ASCII, as everything else is refused for the same reason.
    list = edited(list, random, () => random.int(random.chance(80) ? 128 : 256))
  }
  return Uint8Array.from(list)
}
