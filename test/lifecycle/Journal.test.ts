/** What a journal tells at any moment: the lines of its life, its phases, and the live report. */
import { assert, describe, it } from "@effect/vitest"
import { type Holder, Journal, type MailboxView } from "../../src/lifecycle/Journal.ts"

/** A journal on a clock of its own, and the lines that it has said. */
const journalled = (stopping?: () => void) => {
  const lines: Array<unknown> = []
  const clock = { now: 0 }
  const journal = new Journal({
    now: () => clock.now,
    wallTime: () => 1_700_000_000_000 + clock.now,
    emit: (line) => lines.push(JSON.parse(line)),
    ...stopping === undefined ? {} : { stopping }
  })
  return { journal, lines, clock }
}

const holder = (label: string, since: number): Holder => ({ mailbox: "m", label, since, site: [], inFlight: 0 })

const mailbox = (name: string, ...holders: ReadonlyArray<Holder>): MailboxView => ({
  name,
  capacity: 8,
  depth: () => 3,
  holders: () => holders
})

describe("a journal", () => {
  it("says each state once, when, why, and what was open when the stop began", () => {
    const { clock, journal, lines } = journalled()
    clock.now = 12.345
    journal.transition("ready")
    journal.acquired.push("database")
    clock.now = 100
    journal.stop({ name: "SIGTERM", code: 0 })
    clock.now = 150.4
    journal.transition("releasing")
    clock.now = 250.6
    journal.transition("stopped")
    assert.deepStrictEqual(lines, [
      { lifecycle: { state: "starting", ms: 0 } },
      { lifecycle: { state: "ready", ms: 12.3 } },
      { lifecycle: { state: "draining", ms: 100, cause: "SIGTERM", open: ["database"] } },
      { lifecycle: { state: "releasing", ms: 150.4, cause: "SIGTERM" } },
      { lifecycle: { state: "stopped", ms: 250.6, cause: "SIGTERM" } }
    ])
    assert.deepStrictEqual(journal.phases, { draining: 50, releasing: 100 })
  })

  it("leaves out what is open when nothing is, and names the latest cause", () => {
    const { journal, lines } = journalled()
    journal.stop({ name: "SIGTERM", code: 0 })
    journal.stop({ name: "component failed", code: 1 })
    journal.transition("stopped")
    assert.deepStrictEqual(lines.slice(1), [
      { lifecycle: { state: "draining", ms: 0, cause: "SIGTERM" } },
      { lifecycle: { state: "stopped", ms: 0, cause: "component failed" } }
    ])
  })

  it("calls back once the certificate has been written, whatever a callback does, and once only", () => {
    const { journal } = journalled()
    const called: Array<string> = []
    journal.onCertified(() => {
      called.push("first")
      throw new Error("no disk")
    })
    journal.onCertified(() => void called.push("second"))
    assert.deepStrictEqual(called, [])
    journal.certified()
    journal.certified()
    assert.deepStrictEqual(called, ["first", "second"])
  })

  it("says that a program which nobody stopped has completed", () => {
    const { journal, lines } = journalled()
    journal.transition("releasing")
    assert.deepStrictEqual(lines.at(-1), { lifecycle: { state: "releasing", ms: 0, cause: "completed" } })
  })

  it("never goes back, nor anywhere twice", () => {
    const { journal, lines } = journalled()
    journal.transition("draining")
    journal.transition("draining")
    journal.transition("ready")
    assert.strictEqual(journal.state, "draining")
    assert.strictEqual(lines.length, 2)
  })

  it("keeps every cause, and calls back at the first", () => {
    let calls = 0
    const { journal } = journalled(() => void calls++)
    const causes = [{ name: "SIGTERM", code: 0 }, { name: "component failed", code: 1 }]
    for (const cause of causes) journal.stop(cause)
    assert.deepStrictEqual([journal.causes, calls], [causes, 1])
  })

  it("adds up what mailboxes had left", () => {
    const { journal } = journalled()
    journal.addDepthAtClose(2)
    journal.addDepthAtClose(3)
    assert.strictEqual(journal.depthAtClose, 5)
  })

  it("counts from zero", () => {
    const { journal } = journalled()
    const counters = journal.count("committed", "answered")
    counters.committed++
    assert.deepStrictEqual(journal.count("answered", "committed"), { committed: 1, answered: 0 })
    assert.strictEqual(journal.depthAtClose, 0)
  })

  it("lists the holders of all mailboxes, oldest first", () => {
    const { journal } = journalled()
    journal.mailboxes.add(mailbox("a", holder("third", 3), holder("first", 1)))
    journal.mailboxes.add(mailbox("b", holder("second", 2)))
    assert.deepStrictEqual(journal.holders().map(({ label }) => label), ["first", "second", "third"])
  })
})
