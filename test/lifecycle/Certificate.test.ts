/** What the last line says about a stop, and which code it asks for: every proof from its own fact, and nothing else. */
import { assert, describe, it } from "@effect/vitest"
import { type Certificate, certify, ExitCode, exitCode } from "../../src/lifecycle/Certificate.ts"
import { type Holder, Journal, type MailboxView } from "../../src/lifecycle/Journal.ts"

const holder = (label: string, since: number): Holder => ({
  mailbox: "database",
  label,
  since,
  site: [`${label}.open @ here.ts:1`],
  inFlight: 2
})

const mailbox = (...holders: ReadonlyArray<Holder>): MailboxView => ({
  name: "database",
  capacity: 8,
  depth: () => 0,
  holders: () => holders
})

/** The certificate of a clean stop of two components, but for what `change` does to the journal. */
const certified = (change: (journal: Journal) => void, handles: ReadonlyArray<string> = []): Certificate => {
  const journal = new Journal({ now: () => 0, wallTime: () => 5000, emit: () => {} })
  journal.acquired.push("database", "websocket")
  journal.released.push("websocket", "database")
  journal.proofs.set("ingesterExited", () => true)
  journal.stop({ name: "SIGTERM", code: ExitCode.Clean })
  change(journal)
  return certify(journal, handles)
}

const unproved = (journal: Journal, name: string) => void journal.proofs.set(name, () => false)

/** Names of the proofs that do not hold. */
const broken = ({ proofs }: Certificate) => Object.entries(proofs).flatMap(([name, holds]) => holds ? [] : [name])

describe("a certificate", () => {
  it("proves a clean stop", () => {
    const certificate = certified(() => {})
    assert.deepStrictEqual([certificate.code, certificate.cause, broken(certificate)], [0, "SIGTERM", []])
    assert.deepStrictEqual(certificate.released, ["websocket", "database"])
    assert.strictEqual(certificate.wal, "not opened")
  })

  const faults: ReadonlyArray<readonly [string, string, (journal: Journal) => void]> = [
    [
      "order",
      "components were released in the order of acquisition",
      (journal) => void journal.released.push(journal.released.shift() as string)
    ],
    ["order", "a component was not released", (journal) => void journal.released.pop()],
    ["order", "the last one acquired was not released", (journal) => void journal.released.shift()],
    ["order", "more was released than acquired", (journal) => void journal.released.push("logs")],
    ["zeroSenders", "a holder outlived its mailbox", (journal) => void journal.stragglers.push(holder("a", 0))],
    ["zeroSenders", "a sender is still held", (journal) => void journal.mailboxes.add(mailbox(holder("a", 0)))],
    ["ingesterExited", "the ingester was not seen to end", (journal) => unproved(journal, "ingesterExited")],
    ["noWriteAfterClose", "something was written after the close", (journal) => unproved(journal, "noWriteAfterClose")],
    ["drained", "accepted work was left", (journal) => journal.addDepthAtClose(1)]
  ]
  for (const [proof, what, change] of faults) {
    it(`says ${proof} does not hold, and 70, when ${what}`, () => {
      const certificate = certified(change)
      assert.deepStrictEqual([broken(certificate), certificate.code], [[proof], ExitCode.ProofFailed])
    })
  }

  it("says 70 when a handle is left open, and which", () => {
    const certificate = certified(() => {}, ["Timeout"])
    assert.deepStrictEqual([broken(certificate), certificate.code], [["noHandles"], ExitCode.ProofFailed])
    assert.deepStrictEqual(certificate.handles, ["Timeout"])
  })

  it("takes a database that was never opened for no fault", () => {
    assert.strictEqual(certified((journal) => journal.proofs.clear()).code, ExitCode.Clean)
  })

  it("excuses work that an expired budget cut off: 75 rather than 70", () => {
    const certificate = certified((journal) => {
      journal.addDepthAtClose(3)
      journal.expire("ingester drain")
    })
    assert.deepStrictEqual([broken(certificate), certificate.code, certificate.queue], [[], ExitCode.CutShort, 3])
  })

  it("names each sender that is left once, with its age and where it was acquired", () => {
    const left = holder("left", 2000)
    const later = holder("later", 9000)
    const { senders } = certified((journal) => {
      journal.stragglers.push(left)
      journal.mailboxes.add(mailbox(left, later))
    })
    assert.deepStrictEqual(senders.map(({ heldMs, label }) => [label, heldMs]), [["left", 3000], ["later", 0]])
    assert.deepStrictEqual(senders[0], {
      mailbox: "database",
      label: "left",
      since: "1970-01-01T00:00:02.000Z",
      heldMs: 3000,
      inFlight: 2,
      site: ["left.open @ here.ts:1"]
    })
  })

  it("keeps the first cause apart from what failed besides, and leaves further signals out", () => {
    const certificate = certified((journal) => {
      journal.stop({ name: "component failed", detail: "the disk is full", code: ExitCode.Storage })
      journal.stop({ name: "SIGINT", code: ExitCode.Clean })
      journal.stop({ name: "finalizer defect", code: ExitCode.ProofFailed })
    })
    assert.strictEqual(certificate.cause, "SIGTERM")
    assert.deepStrictEqual(certificate.failures, ["component failed: the disk is full", "finalizer defect"])
    assert.strictEqual(certificate.code, ExitCode.Storage)
  })

  it("says of a program that ended without being asked that it completed", () => {
    const journal = new Journal({ now: () => 0, wallTime: () => 0, emit: () => {} })
    assert.deepStrictEqual([certify(journal, []).cause, certify(journal, []).code], ["completed", 0])
  })
})

const lineOf = (journal: Journal) => JSON.stringify({ stopped: certify(journal, []) })
const journalOf = () => new Journal({ now: () => 0, wallTime: () => 5000, emit: () => {} })

describe("the line that others read", () => {
  it("has its fields in their order, whatever has come up", () => {
    assert.strictEqual(
      lineOf(journalOf()),
      `{"stopped":{"code":0,"cause":"completed","failures":[],"phases":{"draining":0,"releasing":0},"forced":[],` +
        `"released":[],"senders":[],"queue":0,"committed":0,"answered":{"true":0,"false":0},` +
        `"sockets":{"clean":0,"terminated":0},"wal":"not opened","handles":[],"proofs":{"order":true,` +
        `"zeroSenders":true,"ingesterExited":true,"noWriteAfterClose":true,"drained":true,"noHandles":true}}}`
    )
  })

  it("has what components state in the same places, whoever states it first, and what is new behind it", () => {
    const journal = journalOf()
    journal.acquired.push("database", "websocket")
    journal.released.push("websocket", "database")
    journal.stop({ name: "SIGTERM", code: 0 })
    journal.expire("close handshakes", true)
    journal.proofs.set("pagesClosed", () => true)
    journal.proofs.set("noWriteAfterClose", () => false)
    journal.proofs.set("ingesterExited", () => false)
    journal.statements.set("pages", () => 12)
    journal.statements.set("wal", () => "checkpointed")
    journal.statements.set("sockets", () => ({ clean: 2, terminated: 3 }))
    journal.statements.set("answered", () => ({ true: 6, false: 1 }))
    journal.statements.set("committed", () => 7)
    assert.strictEqual(
      lineOf(journal),
      `{"stopped":{"code":70,"cause":"SIGTERM","failures":[],"phases":{"draining":0,"releasing":0},` +
        `"forced":["close handshakes"],"released":["websocket","database"],"senders":[],"queue":0,"committed":7,` +
        `"answered":{"true":6,"false":1},"sockets":{"clean":2,"terminated":3},"wal":"checkpointed","handles":[],` +
        `"proofs":{"order":true,"zeroSenders":true,"ingesterExited":false,"noWriteAfterClose":false,"drained":true,` +
        `"noHandles":true,"pagesClosed":true},"pages":12}}`
    )
  })
})

const { proofs } = certified(() => {})

/** What it is once these budgets have fired. */
const codeWith = (...harmless: ReadonlyArray<boolean>) =>
  certified((journal) => {
    for (const isHarmless of harmless) journal.expire("a budget", isHarmless)
  }).code

describe("the exit code", () => {
  it("is the first of 78, 64, 74, 70, 75, 69, 1 that applies", () => {
    const order = [78, 64, 74, 70, 75, 69, 1]
    for (const [i, code] of order.entries()) {
      assert.strictEqual(exitCode({ causes: order.slice(i).toReversed(), isCutShort: false, proofs }), code)
    }
    assert.strictEqual(exitCode({ causes: [0, 0], isCutShort: false, proofs }), 0)
  })

  it("is 75 when a budget fired, but for one that costs nothing", () => {
    assert.deepStrictEqual([codeWith(false), codeWith(true, true), codeWith(true, false)], [75, 0, 75])
  })
})
