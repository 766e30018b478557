/** One run: its world, what is in it, and what was seen to be wrong. */
import { Journal } from "../../src/lifecycle/Journal.ts"
import type { Client } from "./Client.ts"
import { Disk } from "./Disk.ts"
import type { FakeServer } from "./fakes/http.ts"
import type { Plan } from "./Plan.ts"
import type { Upstream } from "./Upstream.ts"
import { begin, World } from "./World.ts"

export class Run {
  readonly plan: Plan
  readonly world: World
  readonly disk = new Disk()
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
  /** Jobs that verifier threads were given. */
  jobs = 0

  constructor(plan: Plan, traced: boolean) {
    this.plan = plan
    this.world = new World({ seed: plan.seed, yieldChance: plan.yieldChance, traced })
    this.journal = new Journal({
      now: () => this.world.now - begin,
      wallTime: () => this.world.now,
      emit: (line) => this.world.note(() => line)
    })
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
