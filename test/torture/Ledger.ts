/** What clients sent and were told, over any number of rounds, to be held against what is in the database. */
import type { StoredEvents } from "./StoredEvents.ts"

/** What one client has to say: ids it sent, and every answer to each of them. */
export interface Account {
  readonly sent: Iterable<string>
  readonly answers: ReadonlyMap<string, ReadonlyArray<boolean>>
}

export class Ledger {
  readonly #acknowledged = new Set<string>()
  readonly #sent = new Set<string>()
  readonly #refused = new Set<string>()
  /** What is gone once a request is accepted. */
  readonly #removals = new Map<string, ReadonlyArray<string>>()
  /** Answers, all clients together. */
  readonly answers = { true: 0, false: 0 }
  /** Acknowledged and not found. */
  lost = 0
  /** Removed by a request that was acknowledged, and found. */
  returned = 0
  /** EVENTs answered more than once. */
  twice = 0
  /** Stored without an answer that got through: allowed, and worth counting. */
  unacknowledged = 0

  get acknowledged(): number {
    return this.#acknowledged.size
  }

  /** Ids that a request removes, if it is accepted; to be entered before it is sent. */
  removes(request: string, ids: ReadonlyArray<string>): void {
    this.#removals.set(request, ids)
  }

  /** Enters a client's account; says what is wrong with it by itself. Each client sends an event once. */
  enter({ answers, sent }: Account): ReadonlyArray<string> {
    const wrong: Array<string> = []
    for (const id of sent) this.#sent.add(id)
    for (const [id, all] of answers) {
      if (all.length > 1) {
        this.twice++
        wrong.push(`${id} was answered ${all.length} times: ${all.join(", ")}`)
      }
      if (!this.#sent.has(id)) wrong.push(`${id} was answered and never sent`)
      if (all.includes(true)) this.#acknowledged.add(id)
      else this.#refused.add(id)
      for (const accepted of all) this.answers[`${accepted}`]++
    }
    return wrong
  }

  /** Holds everything that was ever acknowledged against the file. */
  compare({ damage, ids }: StoredEvents): ReadonlyArray<string> {
    const gone = new Set<string>()
    // A request without an answer may have been carried out all the same; so may one that a hurried stop has refused, as the
    // answer then is that it was not decided in time (`docs/shutdown.md`): it was carried out if it is stored itself.
    const excused = new Set<string>()
    for (const [request, removed] of this.#removals) {
      if (!this.#sent.has(request) || (this.#refused.has(request) && !ids.has(request))) continue
      for (const id of removed) {
        excused.add(id)
        if (this.#acknowledged.has(request)) gone.add(id)
      }
    }
    const returned = [...gone].filter((id) => ids.has(id))
    const lost = [...this.#acknowledged].filter((id) => !ids.has(id) && !excused.has(id))
    this.lost = lost.length
    this.returned = returned.length
    this.unacknowledged = [...this.#sent].filter((id) => ids.has(id) && !this.#acknowledged.has(id)).length
    return [
      ...damage,
      ...lost.map((id) => `${id} was acknowledged and is not stored`),
      ...returned.map((id) => `${id} was removed at its author's request and is there`)
    ]
  }
}
