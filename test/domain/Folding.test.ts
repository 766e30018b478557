/** Letters that readers see as one, beside what Unicode's collation says of them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { folded } from "../../src/domain/Folding.ts"

/** By script, each `a=b` for two texts that are one to whoever searches, or `a≠b` for two that are not. */
const pairs: Readonly<Record<string, string>> = {
  Latin:
    "Alice=ALICE Álïçe=alice Ａｌｉｃｅ=alice Øl=ol Łódź=lodz Straße=strasse STRASSE=straße ẞ=ss æther=aether Œuvre=oeuvre Đorđe=dorde Ħal=hal Señor=senor Ångström=angstrom İzmir=izmir Ilgın=ilgin ŋ=n Þór=thor Ŧest=test ﬁat=fiat ǆ=dž Ǳ=dz ŀ=l· jack≠jock resume=résumé naïve=naive ꝛ=r Ꜳ=aa ɨ=i Ƶ=z Čapek=capek Dvořák=dvorak Nguyễn=nguyen Françoise=francoise Jörg=jorg Kraków=krakow ş=s ğ=g ű=u ő=o ț=t ă=a ə≠e João=joao Beyoncé=beyonce Zoë=zoe Šárka=sarka Håkon=hakon",
  Fonts:
    "𝖘𝖊𝖙𝖙𝖔=setto 𝓙𝓾𝓵𝓲𝓪=julia ⓙⓐⓒⓚ=jack 🄹🄰🄲🄺=jack 🅹🅰🅲🅺=jack 🅙🅐🅒🅚=jack ʜᴏʟᴅᴇʀ=holder ꜱᴀᴛ=sat ʙɪᴛᴄᴏɪɴ=bitcoin ꜰɢʏ=fgy ᴢᴡᴠᴜ=zwvu ʀᴋʟᴍɴᴘ=rklmnp ʲᵃᶜᵏ=jack ₕₑₗₗₒ=hello 𝟙𝟚𝟛=123 ①②=12 Ⅷ=viii ℝ=r ᴁ=ae ™=tm",
  Greek:
    "Οδυσσεύς=οδυσσευσ ΣΙΣΥΦΟΣ=σισυφος ς=σ Σ=ς ϲ=σ Ϲ=ς Άλφα=αλφα ᾳ=α Ὀδυσσεύς=οδυσσευς ϐ=β ϑ=θ ϕ=φ ϰ=κ ϱ=ρ ΐ=ι Ώ=ω α≠ο α≠a ν≠n Γιώργος=γιωργος Ελένη=ελενη",
  Cyrillic:
    "Ёлка=елка ПЁТР=петр Київ=киів Київ=киив Андрій=андрии і=и Љ=љ ў=у ѓ=г ќ=к Й=и а\u0300=а Борис≠борыс а≠a е≠e о≠o р≠p с≠c х≠x ґ=г Алёна=алена Семён=семен",
  Armenian: "Արամ=արամ ԱՐԱՄ=արամ և=եւ ﬓ=մն Ա≠Բ ու≠օւ Սարգիս=սարգիս",
  Georgian: "ᲒᲘᲝᲠᲒᲘ=გიორგი Ა=ა ⴀ=ა Ⴀ=ა ჴ≠ხ ა≠ბ",
  Hebrew: "שָׁלוֹם=שלום שלוֹם=שלומ דָּוִד=דוד ך=כ ם=מ ן=נ ף=פ ץ=צ װ=וו ײ=יי ױ=וי שׁ=ש שׂ=ש בּ=ב ﭏ=אל א≠ע יִצְחָק=יצחק סַבָּא=סבא",
  Arabic:
    "أحمد=احمد إبراهيم=ابراهيم آدم=ادم ٱلله=الله مُحَمَّد=محمد محـــمد=محمد فاطمة=فاطمه مصطفى=مصطفي مؤمن=مومن رئيس=رييس رَبٌّ=رب ﷲ=الله لا=ﻻ ﻣﺤﻤﺪ=محمد ٣=3 ١٢٣=123 ماء≠ما ت≠ث ر≠ز قُرْآن=قران هٰذا=هذا عُمَر=عمر ﻓﺎﻃﻤﺔ=فاطمة",
  Persian: "علی=علي کریم=كريم ۴=4 ۵۶=56 گل≠كل پدر≠بدر چای≠جاي ژاله≠زاله خانۀ=خانه سی=سي",
  Urdu: "ہم=هم ھم=هم ۃ=ه آپ=اپ ٹ≠ت ڈ≠د ے≠ي",
  Syriac: "ܫܠܳܡܳܐ=ܫܠܡܐ ܐܰ=ܐ ܐ≠ܒ",
  Thaana: "ދި≠ދެ ދ≠ދި",
  Devanagari: "क़लम=कलम ज़मीन=जमीन फ़िल्म=फिल्म ड़=ड हँस=हंस हिन्दी≠हन्द कि≠का क्≠क ३=3 १२=12 ऩ=न गाँधी=गांधी",
  Bengali: "ড়=ড য়=য চাঁদ=চাংদ কি≠কা ৫=5 র≠ব",
  Gurmukhi: "ਸ਼=ਸ ਖ਼=ਖ ਜ਼=ਜ ੪=4 ਕਿ≠ਕਾ",
  Gujarati: "ઁ=ં કિ≠કા ૬=6",
  Tamil: "கோ=கோ கி≠கா க்≠க ௭=7 ன≠ண",
  Telugu: "కి≠కా ౮=8 స్≠స",
  Kannada: "ಕಿ≠ಕಾ ೯=9 ಫ಼=ಫ",
  Malayalam: "കി≠കാ ൧=1 ൻ≠ൺ",
  Sinhala: "කි≠කා ෧=1",
  Thai: "ใหม่=ใหม ก้อง=กอง น้ำ=นำ ศักดิ์=ศักดิ กา≠กิ ๓=3 เก่ง=เกง ปลา≠ปะ",
  Lao: "ບ້ານ=ບານ ໄກ່=ໄກ ກາ≠ກິ ໕=5",
  Khmer: "កា≠កិ ៣=3",
  Myanmar: "ကာ≠ကိ ၅=5 က≠ခ",
  Tibetan: "ཀ≠ཁ ༣=3 ཀི≠ཀུ",
  Han: "⼀=一 ㍿=株式会社 漢≠汉 台≠臺 豈=豈 ㊤=上 田≠由",
  Kana:
    "さくら=サクラ ﾀﾛｳ=たろう ｶﾞｷﾞ=がぎ が≠か ぱ≠は ぁ≠あ っ≠つ ゃ≠や ㋐=ア ヴ=ゔ ゞ=ヾ ー≠い さくら≠ざくら プリン=ぷりん",
  Hangul: "김철수=김철수 ㄱ=ᄀ ㈜≠주 각≠가 ﾡ=ᄀ 김≠금 까≠가",
  Ethiopic: "ሀ≠ሐ አ፝=አ ሀ≠ሁ",
  Cherokee: "Ꭰ=ꭰ ᏣᎳᎩ=ꮳꮃꭹ Ꭰ≠D",
  "between letters":
    "O’Brien=O'Brien OʼBrien=O'Brien O`Brien=O'Brien O´Brien=O'Brien Hawaiʻi=Hawai'i Jean‐Luc=Jean-Luc Jean‑Luc=Jean-Luc ג׳ורג׳=ג'ורג' צה״ל=צה'ל בן־גוריון=בן-גוריון al\u200bice=alice Alice\ufe0f=alice a\u00adb=ab x\u200dy=xy J\u2060ack=jack",
  signs: "🦁≠🐯 ⚡≠🦁 ❤️=❤ ₿≠b $≠s"
}

/** Where we see it otherwise than Unicode's collation, and why. */
const onPurpose: Readonly<Record<string, string>> = {
  "no dotless i on most keyboards": "Ilgın=ilgin",
  "letters that are typed as their nearest of ASCII": "ŋ=n Þór=thor Ŧest=test ɨ=i Ƶ=z",
  "small capitals are a font": "ʜᴏʟᴅᴇʀ=holder ꜱᴀᴛ=sat ʙɪᴛᴄᴏɪɴ=bitcoin ꜰɢʏ=fgy ᴢᴡᴠᴜ=zwvu ʀᴋʟᴍɴᴘ=rklmnp ᴁ=ae",
  "typed as и where the keyboard has no і, and й without its mark as ё is": "Київ=киив Андрій=андрии і=и Й=и",
  "an alphabet of the church, letter by letter that of today": "ⴀ=ა Ⴀ=ა",
  "hamza and madda are left out, as on the seat of most keyboards":
    "أحمد=احمد إبراهيم=ابراهيم آدم=ادم ٱلله=الله مؤمن=مومن رئيس=رييس قُرْآن=قران خانۀ=خانه آپ=اپ",
  "forms of one letter, each on the keyboard of another country":
    "فاطمة=فاطمه مصطفى=مصطفي علی=علي کریم=كريم سی=سي ہم=هم ھم=هم ۃ=ه",
  "voiced and small kana are other sounds": "が≠か ぱ≠は ぁ≠あ っ≠つ ゃ≠や ゞ=ヾ さくら≠ざくら",
  "one apostrophe and one hyphen":
    "OʼBrien=O'Brien O`Brien=O'Brien O´Brien=O'Brien Hawaiʻi=Hawai'i Jean‐Luc=Jean-Luc Jean‑Luc=Jean-Luc צה״ל=צה'ל בן־גוריון=בן-גוריון"
}

const base = new Intl.Collator("und", { sensitivity: "base" })

const parsed = Object.entries(pairs).flatMap(([script, row]) =>
  row.split(" ").map((text) => {
    const [, a = "", sign, b = ""] = /^(.+?)([=≠])(.+)$/u.exec(text) ?? []
    return { script, text, a, b, isEqual: sign === "=" }
  })
)

describe("folding", () => {
  it(`sees ${parsed.length} pairs in ${Object.keys(pairs).length} scripts as their readers do`, () => {
    assert.isAtLeast(parsed.length, 300)
    assert.isAtLeast(Object.keys(pairs).length, 20)
    for (const { a, b, isEqual, script, text } of parsed) {
      assert.strictEqual(folded(a) === folded(b), isEqual, `${script}: ${text} (${folded(a)}, ${folded(b)})`)
    }
  })

  it("agrees with Unicode's collation at its first level, but for what is listed with a reason", () => {
    const others = new Set(Object.values(onPurpose).flatMap((row) => row.split(" ")))
    const found = parsed.filter(({ a, b, isEqual }) => (base.compare(a, b) === 0) !== isEqual).map(({ text }) => text)
    assert.sameMembers(found, [...others])
  })

  it.effect.prop(
    "is done once: what is folded stays as it is",
    { text: Schema.String },
    ({ text }) => Effect.sync(() => assert.strictEqual(folded(folded(text)), folded(text))),
    { arbitrary: { runs: 2000 } }
  )

  it("is done once for every letter of an alphabet", () => {
    for (let code = 0; code < 0x20000; code++) {
      if ((code >= 0x3400 && code < 0xa000) || (code >= 0xac00 && code < 0xe000)) continue
      const once = folded(String.fromCodePoint(code))
      if (folded(once) !== once) assert.strictEqual(folded(once), once, code.toString(16))
    }
  })
})
