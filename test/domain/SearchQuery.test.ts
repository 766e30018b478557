import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { nprofileEncode } from "nostr-tools/nip19"
import { folded } from "../../src/domain/Folding.ts"
import { type Profile, profileOf } from "../../src/domain/Profile.ts"
import { npubOf } from "../../src/domain/PublicKey.ts"
import {
  isAnswer,
  keysOf,
  keysOfQuery,
  mayAnswer,
  queryWordsMax,
  relevanceOf,
  relevances,
  type SearchDocument,
  searchDocumentOf,
  searchQueryOf
} from "../../src/domain/SearchQuery.ts"
import { cut, start, wordMax } from "../../src/domain/SearchText.ts"
import { keyOf } from "../support/events.ts"

const documentOf = (fields: Readonly<Record<string, string>>, pubkey = "") =>
  searchDocumentOf(profileOf(JSON.stringify(fields), Infinity) as Profile, pubkey)

const relevance = (search: string, fields: Readonly<Record<string, string>>) =>
  relevanceOf(searchQueryOf(search), documentOf(fields))

const isFound = (search: string, document: SearchDocument) => {
  const [query, keys] = [searchQueryOf(search), keysOf(document)]
  return keysOfQuery(query).some((key) => keys.has(key)) && mayAnswer(query, keys)
}

const wholes = (text: string) => cut(text, "name").compounds.map(({ whole }) => whole)

const words = (text: string) => cut(text, "name").words

describe("text as a search sees it", () => {
  it("folds case, accents, width and the letters of mathematics", () => {
    for (const text of ["ALICE", "Álïçe", "Ａｌｉｃｅ", "𝓐𝓵𝓲𝓬𝓮", "a\u0301lice", "al\u200bice", "Alice\ufe0f"]) {
      assert.strictEqual(folded(text), "alice", text)
    }
    assert.strictEqual(folded("Straße Łódź Øl æther İzmir ılgın"), "strasse lodz ol aether izmir ilgin")
    assert.strictEqual(folded("مُحَمَّد"), "محمد")
  })

  it("does not fold what only looks alike", () => {
    assert.notStrictEqual(folded("аlice"), "alice", "a Cyrillic а")
    assert.notStrictEqual(folded("が"), folded("か"))
    assert.notStrictEqual(folded("हिन्दी"), folded("हन्द"))
  })

  it("cuts at all that is neither letter nor digit", () => {
    assert.deepStrictEqual(words("jack_dorsey, (d'or) @jack.2-x"), ["jack", "dorsey", "d", "or", "jack", "2", "x"])
    assert.deepStrictEqual(words(" \t\n.,;_-–—\u3000"), [])
    assert.deepStrictEqual(words("привет, 세계"), ["привет", "세계"])
  })

  it("has each emoji and each flag as a word", () => {
    assert.deepStrictEqual(words("⚡alice🦁🇩🇪🇫🇷"), ["⚡", "alice", "🦁", "🇩🇪", "🇫🇷"])
    assert.strictEqual(cut("al⚡ice", "name").joined, "al⚡ice")
  })

  it("has pairs of characters where a script has no spaces, and the last one of a document alone", () => {
    assert.deepStrictEqual(words("東京都"), ["東京", "京都", "都"])
    assert.deepStrictEqual(cut("東京都", "query").words, ["東京", "京都"])
    assert.deepStrictEqual(cut("東", "query").words, ["東"])
    assert.deepStrictEqual(words("alice東京"), ["alice", "東京", "京"])
    assert.strictEqual(cut("東 京", "query").joined, "東京")
  })

  it("cuts words of ASCII the same whatever they stand beside", () => {
    assert.deepStrictEqual(words("ab—cd ef⚡gh iж9-x y日z q"), [
      "ab",
      "cd",
      "ef",
      "⚡",
      "gh",
      "iж9",
      "x",
      "y",
      "日",
      "z",
      "q"
    ])
    assert.deepStrictEqual(words(`é ${"x".repeat(wordMax + 1)} end`), ["e", "x".repeat(wordMax), "end"])
    for (const text of ["Jack_dorsey, (d'or) @jack.2-x", "", "a", "7Z", "\u007f a\u0001b ", "~~end"]) {
      const alone = cut(text, "name")
      for (const other of ["日本", "⚡", "—", "ж", "\u{1d15e}"]) {
        const { joined, words } = cut(other, "name")
        assert.deepStrictEqual(cut(`${text} ${other}`, "name"), {
          words: [...alone.words, ...words],
          joined: alone.joined + joined,
          compounds: alone.compounds
        })
        assert.deepStrictEqual(cut(`${other} ${text}`, "name"), {
          words: [...words, ...alone.words],
          joined: joined + alone.joined,
          compounds: alone.compounds.map((compound) => ({ ...compound, at: compound.at + words.length }))
        })
      }
    }
  })

  it("makes one of words with nothing but an apostrophe or a hyphen between them", () => {
    assert.deepStrictEqual(wholes("Sean O'Brien, captain Jean-Luc of d’Arc-en-Ciel"), [
      "obrien",
      "jeanluc",
      "darcenciel"
    ])
    assert.deepStrictEqual(wholes("'n' rock- -roll a - b x--y p---q — jack_dorsey.x"), ["xy"])
    assert.deepStrictEqual(wholes("Мар'яна О’Коннор ג׳ורג׳ בן־גוריון"), ["маряна", "оконнор", "גורג", "בנגוריונ"])
    assert.deepStrictEqual(wholes("東-京 al-東"), [], "a script without spaces has its pairs")
    assert.deepStrictEqual(cut("don't", "text").compounds, [], "words of texts are looked for one by one")
    assert.strictEqual(wholes(`${"x".repeat(20)}-${"y".repeat(20)}`)[0]?.length, wordMax)
  })

  it("cuts long words, and never half a character", () => {
    assert.deepStrictEqual(words("x".repeat(wordMax)), ["x".repeat(wordMax)])
    assert.deepStrictEqual(words("x".repeat(wordMax + 1)), ["x".repeat(wordMax)])
    assert.strictEqual(start("ab🦁", 3), "ab")
    assert.strictEqual(start("ab🦁", 4), "ab🦁")
    assert.strictEqual(start("", 3), "")
  })

  it.effect.prop(
    "makes of any text words that are nothing but letters, digits and emoji, folding them once for all",
    { text: Schema.String, json: Schema.String.check(Schema.isMinLength(4)) },
    ({ json, text }) =>
      Effect.sync(() => {
        for (const one of [text, json, `${text}\ud83e${json}`]) {
          for (const word of cut(one, "name").words) {
            assert.match(word, /^[^\s"'()*:^+\-.,\\]+$/u)
            assert.isAtMost(word.length, wordMax)
            assert.isTrue(word.isWellFormed())
          }
          assert.strictEqual(folded(folded(one)), folded(one))
        }
      }),
    { arbitrary: { runs: 300 } }
  )
})

describe("NIP-50 search text", () => {
  it("ignores tokens it does not know, and takes addresses for text", () => {
    assert.deepInclude(searchQueryOf("include:spam mira language:en sort:hot"), {
      words: ["mira"],
      joined: "mira",
      domain: undefined,
      isEmpty: false
    })
    assert.deepStrictEqual(searchQueryOf("https://mira.example").words, ["https", "mira", "example"])
  })

  it("asks for nothing when there is nothing but tokens, and for what is nowhere when there are no words", () => {
    for (const search of ["", "  ", "language:en", "nsfw:false include:spam"]) {
      assert.isTrue(searchQueryOf(search).isEmpty, search)
    }
    for (const search of ["?", "\"*\"", "domain:mira.example"]) assert.isFalse(searchQueryOf(search).isEmpty, search)
    assert.strictEqual(relevance("?!", { name: "?!", about: "?!" }), relevances.none)
  })

  it("takes for words what only looks like a token", () => {
    const expected = {
      "Re:Zero": ["re", "zero"],
      "C:\\": ["c"],
      "name:jack": ["name", "jack"],
      "12:30": ["12", "30"],
      ":": []
    }
    for (const [search, words] of Object.entries(expected)) {
      assert.deepStrictEqual(searchQueryOf(search).words, words, search)
    }
    assert.isAtLeast(relevance("Re:Zero", { name: "Re:Zero fan" }), relevances.nameStart)
    assert.isAtLeast(relevance("rezero", { name: "Re:Zero" }), relevances.nameWhole)
  })

  it("knows a key and a NIP-05 name, however they are written", () => {
    const { pubkey } = keyOf("one")
    const npub = npubOf(pubkey)
    const texts = [
      pubkey,
      pubkey.toUpperCase(),
      npub,
      ` ${npub} `,
      `nostr:${npub}`,
      `@${npub}`,
      nprofileEncode({ pubkey, relays: ["wss://r.example"] })
    ]
    for (const search of texts) assert.strictEqual(searchQueryOf(search).pubkey, pubkey, search)
    for (const search of [npub.slice(0, -1), pubkey.slice(1), `${npub} x`, "nprofile1"]) {
      assert.isUndefined(searchQueryOf(search).pubkey, search)
    }
    for (const search of ["Mira@Boats.example", "@mira@boats.example"]) {
      assert.deepStrictEqual(searchQueryOf(search).nip05, { local: "mira", domain: "boats.example" }, search)
    }
    assert.deepStrictEqual(searchQueryOf("boats.example").nip05, { local: "_", domain: "boats.example" })
    for (const search of ["mira", "mira@boats", "mira boats.example"]) {
      assert.isUndefined(searchQueryOf(search).nip05, search)
    }
  })

  it("knows a domain", () => {
    assert.strictEqual(searchQueryOf("Domain:Mira.Example.").domain, "mira.example")
    assert.deepStrictEqual(searchQueryOf("domain:mira.example boats").words, ["boats"])
  })

  it("looks at a bounded number of words, each once", () => {
    const many = Array.from({ length: 40 }, (_, i) => `w${i}`)
    assert.deepStrictEqual(searchQueryOf(many.join(" ")).words, many.slice(0, queryWordsMax))
    assert.deepStrictEqual(searchQueryOf("a A á a").words, ["a"])
  })
})

describe("relevance", () => {
  it("is in the order of names before texts, and of the whole before its beginning", () => {
    const profiles: ReadonlyArray<Readonly<Record<string, string>>> = [
      { name: "Mira" },
      { name: "Mirá" },
      { name: "miracle" },
      { name: "the_mira" },
      { name: "x", display_name: "Mira" },
      { name: "x", display_name: "Mira Solberg" },
      { name: "x", display_name: "Captain Mira" },
      { name: "x", nip05: "mira@boats.example" },
      { name: "x", about: "a friend of mira" },
      { name: "x", about: "miracles" }
    ]
    assert.deepStrictEqual(profiles.map((fields) => relevance("mira", fields)), [
      relevances.nameLiteral,
      relevances.nameWhole,
      relevances.nameStart,
      relevances.name,
      relevances.displayNameLiteral,
      relevances.displayNameStart,
      relevances.displayName,
      relevances.nip05,
      relevances.about,
      relevances.none
    ])
  })

  it("needs every word, each wherever it is", () => {
    const fields = { name: "mira", display_name: "Solberg", nip05: "m@tide.example", about: "builds wooden boats" }
    assert.strictEqual(relevance("mira wooden", fields), relevances.about)
    assert.strictEqual(relevance("solb mir", fields), relevances.names)
    assert.strictEqual(relevance("tid exam", fields), relevances.nip05)
    assert.strictEqual(relevance("mira iron", fields), relevances.none)
    assert.strictEqual(relevance("mira wood", fields), relevances.none, "whole words about the author")
  })

  it("is of a name with an apostrophe or a hyphen however it is typed, wherever in the name", () => {
    for (const search of ["sean obrien", "o'brien", "OBRI", "o’bri", "brien", "sean o'brien"]) {
      assert.isAtLeast(relevance(search, { name: "Sean O'Brien" }), relevances.name, search)
    }
    for (const name of ["Captain Jean-Luc", "Captain Jeanluc", "Captain Jean Luc"]) {
      assert.isAtLeast(relevance("jean-luc", { name }), relevances.name, name)
      assert.isAtLeast(relevance("captain jean-luc", { name }), relevances.name, name)
    }
    assert.strictEqual(relevance("captain jeanluc", { name: "Captain Jean Luc" }), relevances.nameWhole)
    assert.strictEqual(relevance("o'neil", { name: "Sean O'Brien" }), relevances.none)
    assert.strictEqual(relevance("bitcoin-only", { about: "a bitcoin only life" }), relevances.about)
  })

  it("is highest for whom a key or a NIP-05 name names", () => {
    const { pubkey } = keyOf("one")
    const of = (search: string, fields: Readonly<Record<string, string>>, isVerified = false) =>
      relevanceOf(searchQueryOf(search), documentOf(fields, pubkey), () => isVerified)
    assert.strictEqual(of(npubOf(pubkey), {}), relevances.exact)
    assert.strictEqual(of(npubOf(keyOf("two").pubkey), { name: "x" }), relevances.none)
    assert.strictEqual(of("mira@boats.example", { nip05: "Mira@BOATS.example" }, true), relevances.exact)
    assert.strictEqual(of("mira@boats.example", { nip05: "mira@boats.example" }), relevances.nip05Whole)
    assert.strictEqual(of("boats.example", { nip05: "_@boats.example" }), relevances.nip05Domain)
    assert.strictEqual(of("boats.example", { nip05: "_@boats.example" }, true), relevances.exact)
    assert.isBelow(of("mira@boats.example", { nip05: "mira@boats.example.org" }, true), relevances.nip05Domain)
  })

  it("sees one name in its several spellings", () => {
    for (const name of ["Jack Dorsey", "jack_dorsey", "JackDorsey", "jack.dorsey"]) {
      assert.isAtLeast(relevance("jack dorsey", { name }), relevances.nameWhole, name)
      assert.strictEqual(relevance("@jackdor", { name }), relevances.nameStart, name)
    }
    assert.strictEqual(relevance("dorsey", { name: "Jack Dorsey" }), relevances.name)
  })

  it("puts a name before its look-alikes", () => {
    assert.strictEqual(relevance("jack", { name: "jаck" }), relevances.none, "Cyrillic")
    assert.isAbove(relevance("jack", { name: "Jack" }), relevance("jack", { name: "jáck" }))
    assert.isAbove(relevance("jack", { name: "jack" }), relevance("jack", { name: "jack ⚡" }))
    assert.isAbove(relevance("jáck", { name: "jáck" }), relevance("jáck", { name: "jack" }))
  })

  it("finds parts of Chinese, Japanese and Thai names, and emoji", () => {
    for (const search of ["東", "京", "都", "東京", "京都", "東京都"]) {
      assert.isAtLeast(relevance(search, { name: "東京都" }), relevances.name, search)
    }
    assert.strictEqual(relevance("都東", { name: "東京都" }), relevances.none)
    assert.strictEqual(relevance("東京", { about: "私は東京に住んでいます" }), relevances.about)
    assert.isAtLeast(relevance("ชาย", { name: "สมชาย" }), relevances.name)
    assert.isAtLeast(relevance("🦁", { name: "leo 🦁" }), relevances.name)
  })

  it("is none for a profile without texts", () => assert.strictEqual(relevance("a", {}), relevances.none))
})

describe("keys of waiting queries", () => {
  it.effect.prop(
    "lead from every profile to every query that it answers",
    {
      name: Schema.String,
      about: Schema.String,
      search: Schema.String,
      cut: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 }))
    },
    ({ about, cut, name, search }) =>
      Effect.sync(() => {
        const document = documentOf({ name, nip05: `x ${search}`, about })
        const spaced = `${name.slice(0, cut)} ${name.slice(cut)}`
        for (const text of [search, name, name.slice(0, cut), spaced, about.split(" ")[0]!, `${name} ${about}`]) {
          if (isAnswer(searchQueryOf(text), document)) {
            assert.isTrue(isFound(text, document), JSON.stringify({ text, name, about }))
          }
        }
      }),
    { arbitrary: { runs: 500 } }
  )

  it("lead to whom a key, a NIP-05 name or a compound names", () => {
    const { pubkey } = keyOf("one")
    const document = documentOf({ name: "Captain Jean Luc", nip05: "mira@boats.example" }, pubkey)
    for (const search of [npubOf(pubkey), "mira@boats.example", "jean-luc", "captain jean-luc"]) {
      assert.isTrue(isAnswer(searchQueryOf(search), document), search)
      assert.isTrue(isFound(search, document), search)
    }
  })

  it("lead to a name that has the words of the query as one", () => {
    const long = "pneumonoultramicroscopicsilico"
    const expected = { "jack dorsey": "jackdorsey", "jack dor": "JackDorsey", [`a ${long}`]: `a${long}x` }
    for (const [search, name] of Object.entries(expected)) {
      const document = documentOf({ name })
      assert.isTrue(isAnswer(searchQueryOf(search), document), name)
      assert.isTrue(isFound(search, document), name)
    }
  })

  it("tell of most queries under a common word that no answer is to be had", () => {
    const keys = keysOf(documentOf({ name: "mira of the sea", about: "the tide" }))
    for (const search of ["the zebra", "tide zebra", "mira zebra", "the tid"]) {
      assert.isFalse(mayAnswer(searchQueryOf(search), keys), search)
    }
    for (const search of ["the tide", "mira tide", "miraof"]) {
      assert.isTrue(mayAnswer(searchQueryOf(search), keys), search)
    }
  })

  it("has none for a query without words, nor an answer for one with a domain", () => {
    assert.deepStrictEqual(keysOfQuery(searchQueryOf("?")), [])
    assert.isFalse(isAnswer(searchQueryOf("domain:mira.example mira"), documentOf({ name: "mira" })))
  })
})
