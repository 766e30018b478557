/** Bits that flip on a disk, and what `doctor --repair` makes of them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { verifyEvent } from "nostr-tools/pure"
import { keyOf, signed } from "../support/events.ts"
import { folder } from "../support/service.ts"
import * as Service from "../support/service.ts"
import { databasePath, events, jsonLines, run } from "./support.ts"

const alter = (home: string, ...statements: ReadonlyArray<string>) => {
  const db = new DatabaseSync(databasePath(home))
  for (const statement of statements) db.exec(statement)
  db.close()
}

const tagged = Array.from(
  { length: 20 },
  (_, n) => signed({ kind: 30_000, created_at: 1_700_000_000 + n, tags: [["d", `${n}`], ["t", "tagged"]] }, "tagger")
)

const repair = Effect.fnUntraced(function*(home: string) {
  const result = yield* run(home, ["doctor", "--repair", "--discovery-relay-url", "none"])
  return { ...result, line: result.stdout.find((line) => line.includes(" repair ")) ?? "" }
})

const count = (home: string, filter: object) =>
  Effect.map(run(home, ["count", JSON.stringify(filter)]), ({ stdout }) => Number(stdout[0]))

const exported = (home: string) =>
  Effect.map(run(home, ["export"]), ({ stdout }) => stdout.map((line) => JSON.parse(line)))

/** The same flips in every run. */
const made = (seed: number) => {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state % below
  }
}

describe("doctor --repair", () => {
  it.live("takes out what is not what was signed, and finds again what is", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const all = [...events(200), ...tagged]
      yield* run(home, ["import", "--no-verify"], { input: jsonLines(all) })
      assert.match((yield* repair(home)).line, /^ok .* 220 events read again/)
      const [a, b, c, d, e] = all.slice(200).map(({ id }) => `(SELECT seq FROM event WHERE instr(raw, '${id}') = 8)`)
      alter(
        home,
        // A letter of its content, of its signature, and of what makes it an event at all.
        `UPDATE event SET raw = replace(raw, '"content":"', '"content":"x') WHERE seq = 5`,
        `UPDATE event SET raw = substr(raw, 1, length(raw) - 4) || '00"}' WHERE seq = 6`,
        `UPDATE event SET raw = replace(raw, '"tags"', '"togs"') WHERE seq = 7`,
        // What it is found by.
        `UPDATE event SET created_at = created_at + 1 WHERE seq = ${a}`,
        `UPDATE event SET id_key = id_key + 1 WHERE seq = ${b}`,
        `UPDATE event SET address = zeroblob(16) WHERE seq = ${c}`,
        `DELETE FROM tag WHERE seq = ${d}`,
        `UPDATE tag SET seq = 999999 WHERE seq = ${e}`,
        `INSERT INTO record VALUES ('coverage', 'wss://somewhere.example', '{}', NULL)`
      )
      assert.isBelow(yield* count(home, { "#t": ["tagged"] }), 20)
      const { code, line } = yield* repair(home)
      assert.match(line, /^warn .* 3 were not what was signed and are gone: .*; 5 could not be found by what they say/)
      assert.strictEqual(code, 0)
      assert.strictEqual(yield* count(home, {}), 217)
      assert.strictEqual(yield* count(home, { "#t": ["tagged"] }), 20)
      assert.strictEqual(yield* count(home, { kinds: [30_000], authors: [keyOf("tagger").pubkey], "#d": ["2"] }), 1)
      for (const event of yield* exported(home)) assert.isTrue(verifyEvent(event))
      const records = new DatabaseSync(databasePath(home), { readOnly: true })
      assert.deepStrictEqual(records.prepare("SELECT * FROM record WHERE space = 'coverage'").all(), [])
      records.close()
      assert.match((yield* repair(home)).line, /^ok .* 217 events/)
      // What was lost may come again.
      const again = yield* run(home, ["import"], { input: jsonLines(all) })
      assert.match(again.stderr.join("\n"), /3 added, 0 rejected, 217 dups/)
    }).pipe(Effect.scoped), 60_000)

  it.live("is refused beside a service", () =>
    Effect.gen(function*() {
      const home = yield* folder
      yield* run(home, ["import", "--no-verify"], { input: jsonLines(events(3)) })
      const service = yield* Service.start({ folder: home, env: { DATABASE_PATH: databasePath(home) } })
      yield* service.listening
      const { code, line } = yield* repair(home)
      assert.strictEqual(code, 69)
      assert.match(line, /^fail .* in use by another instance/)
      assert.strictEqual((yield* service.stop()).code, 0)
    }).pipe(Effect.scoped), 60_000)

  it.live(
    "of a file with one bit flipped anywhere (fault 85): refused, or nothing wrong is left in it",
    () =>
      Effect.gen(function*() {
        const home = yield* folder
        const all = [...events(400), ...tagged]
        yield* run(home, ["import", "--no-verify"], { input: jsonLines(all) })
        const good = readFileSync(databasePath(home))
        const known = new Map(all.map((event) => [event.id, JSON.stringify(event)]))
        const below = made(1)
        const verdicts = { refused: 0, repaired: 0, whole: 0 }
        for (let n = 0; n < 10; n++) {
          const broken = yield* folder
          const bytes = Buffer.from(good)
          // Every other one in the text of an event. The first page says what the file is, and is refused at once.
          const inEvent = good.indexOf(`{"id":"${all[below(all.length)]?.id}`) + below(300)
          const at = n % 2 === 0 ? inEvent : 8192 + below(good.length - 8192)
          bytes[at] = bytes[at]! ^ (1 << below(8))
          writeFileSync(databasePath(broken), bytes)
          const { code, line } = yield* repair(broken)
          if (code !== 0) {
            assert.include([74, 78], code, `bit ${at}: ${line}`)
            verdicts.refused++
            continue
          }
          const left = yield* exported(broken)
          for (const event of left) assert.strictEqual(JSON.stringify(event), known.get(event.id), `bit ${at}`)
          const [, lost] = /; (\d+) were not what was signed/.exec(line) ?? [undefined, "0"]
          assert.strictEqual(left.length + Number(lost), all.length, `bit ${at}: ${line}`)
          verdicts[lost === "0" ? "whole" : "repaired"]++
        }
        assert.isAbove(verdicts.repaired, 2, JSON.stringify(verdicts))
        assert.isAbove(verdicts.whole + verdicts.repaired, verdicts.refused, JSON.stringify(verdicts))
      }).pipe(Effect.scoped),
    180_000
  )
})
