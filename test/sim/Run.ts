/** One life of the service: its world, what is in it, and what was seen to be wrong. */
import type { Journal } from "../../src/lifecycle/Journal.ts"
import type { Client } from "./Client.ts"
import type { Disk } from "./Disk.ts"
import type { FakeServer } from "./fakes/http.ts"
import { OrderedJournal } from "./Order.ts"
import type { Edge, Moment, Plan } from "./Plan.ts"
import type { Upstream } from "./Upstream.ts"
import { World } from "./World.ts"

export class Run {
  readonly plan: Plan
  readonly world: World
  readonly disk: Disk
  /** Milliseconds since the epoch. */
  readonly startsAt: number
  readonly journal: Journal
  readonly violations: Array<string> = []
  readonly clients: Array<Client> = []
  readonly upstreams: Array<Upstream> = []
  server: FakeServer | undefined
  /** How the consumers of mailboxes, and other watched fibers, ended. */
  readonly ends = new Map<string, "done" | "interrupted" | "failed">()
  /** Milliseconds since the epoch; undefined until a stop is asked for. */
  stoppedAt: number | undefined
  hurried = false
  /** The power was cut. */
  isCut = false
  /** Jobs that verifier threads were given. */
  jobs = 0

  readonly #reached = new Map<Edge, number>()
  readonly #awaited: Array<{ readonly edge: Edge; readonly count: number; readonly act: () => void }> = []

  constructor(options: {
    readonly plan: Plan
    readonly disk: Disk
    /** Milliseconds since the epoch. */
    readonly startsAt: number
    readonly traced: boolean
  }) {
    const { plan, startsAt, traced } = options
    this.plan = plan
    this.disk = options.disk
    this.startsAt = startsAt
    this.world = new World({ seed: plan.seed, yieldChance: plan.yieldChance, startsAt, traced })
    this.journal = new OrderedJournal({
      now: () => this.world.elapsed,
      wallTime: () => this.world.now,
      emit: (line) => this.world.note(() => line),
      violate: this.violate.bind(this)
    })
  }

  /** Acts at that moment, if it comes. */
  at(moment: Moment, what: string, act: () => void): void {
    if (moment._tag === "AtStep") this.world.atStep(moment.step, act)
    else if (moment._tag === "AtMillis") this.world.later(moment.millis, what, act)
    else this.#awaited.push({ edge: moment.edge, count: moment.count, act })
  }

  /** Something happened that a moment may have been waiting for. */
  reach(edge: Edge): void {
    const count = (this.#reached.get(edge) ?? 0) + 1
    this.#reached.set(edge, count)
    for (const awaited of this.#awaited) {
      if (awaited.edge === edge && awaited.count === count) this.world.soon(awaited.act)
    }
  }

  violate(invariant: string, what: string): void {
    this.violations.push(`${invariant}: ${what}`)
    this.world.note(() => `*** ${invariant}: ${what}`)
  }
}

let current: Run | undefined

/** The run that is going on: fakes of modules that know nothing of Effect reach it here. */
export const run = (): Run => {
  if (current === undefined) throw new Error("nothing is being simulated")
  return current
}
export const enter = (next: Run): void => void (current = next)
