/**
 * Letters as readers see them: makes equal what people do not tell apart when they type a name.
 *
 * Mostly that is what Unicode's collation calls equal at its first level (UTS 10), and `test/domain/Folding.test.ts` holds a
 * table against it. It goes further where keyboards and habits do (hamza, teh marbuta, Farsi yeh, dotless i, Cyrillic і), where a
 * script is used as a font (small capitals, letters in squares), and less far where a mark makes a letter that no reader
 * would leave out (the voiced marks of kana, vowels of Indic scripts). Letters of two scripts are never equal, however
 * alike they look: a Cyrillic "а" is no Latin "a".
 */

/**
 * Accents, points, tone marks, nuktas, by script as a character class has them. What else `\p{M}` has makes another letter in its
 * script and stays.
 */
const marks: Readonly<Record<string, string>> = {
  "of any script": String.raw`\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f`,
  Cyrillic: String.raw`\u0483-\u0489\ua66f-\ua672\ua67c\ua67d`,
  Hebrew: String.raw`\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\ufb1e`,
  // With tatweel, which only makes a word longer.
  Arabic: String
    .raw`\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0897-\u089f\u08ca-\u08e1\u08e3-\u08ff`,
  Syriac: String.raw`\u0711\u0730-\u074a`,
  "N’Ko": String.raw`\u07eb-\u07f3\u07fd`,
  "nuktas and accents of India": String.raw`\u093c\u0951-\u0954\u09bc\u0a3c\u0abc\u0b3c\u0c3c\u0cbc`,
  "Thai and Lao": String.raw`\u0e47-\u0e4c\u0e4e\u0ec8-\u0ecc`,
  Ethiopic: String.raw`\u135d-\u135f`,
  Coptic: String.raw`\u2cef-\u2cf1`,
  Han: String.raw`\u302a-\u302f`,
  Adlam: String.raw`\u{1e944}-\u{1e94a}`
}

/** Each row: what it becomes, and the letters that do; all of them are left whole by NFKD and by lower case. */
const rows: ReadonlyArray<readonly [folded: string, letters: string]> = [
  // Latin: strokes and hooks that are typed without, and the small capitals that pass for a font.
  ["a", "ᴀⱥꞛɑ"],
  ["b", "ʙƀᴃ"],
  ["c", "ᴄȼ"],
  ["d", "ᴅđðꝺᴆ"],
  ["e", "ᴇɇ"],
  ["f", "ꜰꝼ"],
  ["g", "ɢǥɡᵹꞡ"],
  ["h", "ʜħⱨ"],
  ["i", "ıɪɨ"],
  ["j", "ᴊȷɉ"],
  ["k", "ᴋĸꝁꞣ"],
  ["l", "ʟłƚᴌ"],
  ["m", "ᴍ"],
  ["n", "ɴŋꞥ"],
  ["o", "ᴏøɵ"],
  ["p", "ᴘᵽ"],
  ["q", "ꞯ"],
  ["r", "ʀɍꞧꞃꝛ"],
  ["s", "ꜱꞩꞅ"],
  ["t", "ᴛŧⱦꞇ"],
  ["u", "ᴜʉꞟ"],
  ["v", "ᴠ"],
  ["w", "ᴡꟃ"],
  ["y", "ʏɏ"],
  ["z", "ᴢƶ"],
  ["aa", "ꜳ"],
  ["ae", "æᴁ"],
  ["ao", "ꜵ"],
  ["au", "ꜷ"],
  ["av", "ꜹꜻ"],
  ["ay", "ꜽ"],
  ["oe", "œɶ"],
  ["oo", "ꝏ"],
  ["ss", "ß"],
  ["th", "þᵺ"],
  ["tz", "ꜩ"],
  // Greek: one sigma, wherever in the word and in whichever shape.
  ["σ", "ς"],
  // Cyrillic: і is typed as и where the keyboard has none; ї, й and ё lose their marks before.
  ["и", "і"],
  ["г", "ґ"],
  // Arabic, Persian, Urdu: forms of one letter that keyboards of different countries have.
  ["ا", "ٱ"],
  ["ه", "ةہھەۃ"],
  ["ي", "ىیۍ"],
  ["ك", "کڪ"],
  // Hebrew: letters at the end of a word, Yiddish pairs.
  ["כ", "ך"],
  ["מ", "ם"],
  ["נ", "ן"],
  ["פ", "ף"],
  ["צ", "ץ"],
  ["וו", "װ"],
  ["וי", "ױ"],
  ["יי", "ײ"],
  // Signs for a nasal, of which either is written.
  ["ं", "ँ"],
  ["ং", "ঁ"],
  ["ં", "ઁ"],
  // Apostrophes and hyphens inside names, however they are typed.
  ["'", "‘’‛ʹʻʼʽʾʿˈ′‵׳״՚ꞌ"],
  ["-", "‐‑⁃־֊·"]
]

/** Letters in black squares and circles, which NFKD leaves alone, unlike those in white ones. */
const blackLetters = [0x1f150, 0x1f170]

const letters = new Map(rows.flatMap(([folded, all]) => Array.from(all, (letter) => [letter, folded] as const)))
for (const first of blackLetters) {
  for (let i = 0; i < 26; i++) letters.set(String.fromCodePoint(first + i), String.fromCharCode(0x61 + i))
}

/** Each run of digits in Unicode begins with its zero. */
const isDigit = /^\p{Nd}$/u
const digitOf = (digit: string): string => {
  const code = digit.codePointAt(0) as number
  let zero = code
  while (code - zero < 9 && isDigit.test(String.fromCodePoint(zero - 1))) zero--
  return String(code - zero)
}

const moved = (from: string, to: string): (letter: string) => string => {
  const distance = to.charCodeAt(0) - from.charCodeAt(0)
  return (letter) => String.fromCharCode(letter.charCodeAt(0) + distance)
}
const hiraganaOf = moved("ァ", "ぁ")
/** Capitals of the Georgian church pair with no letter of today's alphabet. */
const mkhedruliOf = moved("ⴀ", "ა")

/** Letters that become others by a rule, as a character class has them. */
const ruled = {
  digits: String.raw`\p{Nd}`,
  katakana: String.raw`\u30a1-\u30f6\u30fd\u30fe`,
  nuskhuri: String.raw`\u2d00-\u2d25`
}

const becoming = (letter: string): string => {
  const other = letters.get(letter)
  if (other !== undefined) return other
  if (letter >= "\u30a1" && letter <= "\u30fe") return hiraganaOf(letter)
  if (letter >= "\u2d00" && letter <= "\u2d25") return mkhedruliOf(letter)
  // What is left is dropped: marks, and what cannot be seen.
  return isDigit.test(letter) ? digitOf(letter) : ""
}

const unseen = String.raw`\p{Default_Ignorable_Code_Point}`
const notStaying = [...Object.values(marks), unseen, ...letters.keys(), ...Object.values(ruled)].join("")
/** Every letter that does not stay: one pass over the text finds them all. */
const replaced = new RegExp(`[${notStaying}]`, "gu")

/** What is not ASCII: mostly a sign or two between English words, or words of another script. */
const foreign = /[^\0-\x7f]+/g

/**
 * What runs became. Texts repeat the same few (quotation marks, emoji, é), and a look costs a tenth of folding. A full map is
 * emptied at once: what is common is back after a few texts, and no run has to be moved for being looked at.
 */
const kept = new Map<string, string>()
const keptMax = 4_096
/** UTF-16 code units of a run that is kept: a word, not a page. */
const keptLengthMax = 16

const foldedRun = (run: string): string => {
  const known = kept.get(run)
  if (known !== undefined) return known
  // Before the rest, as the decomposition of an acute accent that stands alone would begin with a blank.
  const fold = run.replaceAll("\u00b4", "'").normalize("NFKD").toLowerCase().normalize("NFKD")
    .replace(replaced, becoming).normalize("NFC")
  if (run.length <= keptLengthMax) {
    if (kept.size >= keptMax) kept.clear()
    kept.set(run, fold)
  }
  return fold
}

/** Is the text of printable ASCII and blanks only, as most are? */
export const isAscii = (text: string): boolean => !/[^ -~\t\n\r]/.test(text)

/**
 * Folds a text. Never throws, whatever the text; what is folded stays as it is when folded again.
 *
 * Runs of what is not ASCII fold by themselves: no mark that stays, and no letter, composes with one of ASCII.
 */
export const folded = (text: string): string => text.replace(foreign, foldedRun).toLowerCase().replaceAll("`", "'")
