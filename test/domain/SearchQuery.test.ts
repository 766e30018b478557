import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type Profile, profileOf } from "../../src/domain/Profile.ts"
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
import { cut, folded, start, wordMax } from "../../src/domain/SearchText.ts"

const documentOf = (fields: Readonly<Record<string, string>>) =>
  searchDocumentOf(profileOf(JSON.stringify(fields), Infinity) as Profile)

const relevance = (search: string, fields: Readonly<Record<string, string>>) =>
  relevanceOf(searchQueryOf(search), documentOf(fields))

const isFound = (search: string, document: SearchDocument) => {
  const [query, keys] = [searchQueryOf(search), keysOf(document)]
  return keysOfQuery(query).some((key) => keys.has(key)) && mayAnswer(query, keys)
}

const words = (text: string) => cut(text, "document").words

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
    assert.strictEqual(cut("al⚡ice", "document").joined, "al⚡ice")
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
      const alone = cut(text, "document")
      for (const other of ["日本", "⚡", "—", "ж", "\u{1d15e}"]) {
        const { joined, words } = cut(other, "document")
        assert.deepStrictEqual(cut(`${text} ${other}`, "document"), {
          words: [...alone.words, ...words],
          joined: alone.joined + joined
        })
        assert.deepStrictEqual(cut(`${other} ${text}`, "document"), {
          words: [...words, ...alone.words],
          joined: joined + alone.joined
        })
      }
    }
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
          for (const word of cut(one, "document").words) {
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
      relevances.displayNameWhole,
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
