/**
 * Several lives of the service on one disk, one after the other: what a seed stands for.
 *
 * A bug shows in what a life leaves behind as much as in how it ends, so each life but the first one starts on what the
 * last one left: events, coverage, and whatever a power cut made of them. The last life has no faults, upstreams with much
 * to say and a slow disk, so that the stop finds work in hand, and a client that asks for everything and publishes again
 * what was published before.
 */
import * as Dice from "../../src/demo/Dice.ts"
import * as Mood from "./Mood.ts"
import { type ClientPlan, draw, type Plan } from "./Plan.ts"

export interface History {
  readonly seed: number
  readonly lives: ReadonlyArray<Plan>
}

const event = (after: number, note: number) => ({ after, action: { _tag: "Event", note, forged: false } }) as const

const read = (after: number, subscription: string) => ({ after, action: { _tag: "Req", subscription } }) as const

/** Reads what is there, publishes what may be there already, and stays to the end. */
const auditor: ClientPlan = {
  connectAt: 0,
  actions: [
    { after: 0, action: { _tag: "Req", subscription: "a" } },
    ...[0, 1, 2, 3].map((note) => event(0, note)),
    event(60, 0),
    event(0, 4),
    event(60, 1)
  ],
  polite: true,
  reads: true,
  leaves: undefined
}

/** Events of one author whose index entries are several transactions of work, and events of others meanwhile. */
const burdens = 40
const bystanders = 12

/** How often they are asked for while the author vanishes, and milliseconds in between. */
const readings = 16
const readEvery = 10

/**
 * A life in which removing is much work: an author whose events have many tags deletes some of them, asks for more deletions
 * than are remembered, and vanishes, while others publish and read. Once, the disk gets on so slowly that a transaction
 * takes longer than a disk that has hung would be given. The stop comes when all that has been over for a while.
 */
const laden = (dice: Dice.Dice, plan: Plan, author: number): Plan => {
  const burden = (after: number, what: "heavy" | "deletion" | "vanish", n: number) =>
    ({ after, action: { _tag: "Burden", what, author, n } }) as const
  const count = { deletions: dice.between(6, 8), pause: dice.between(17_000, 18_000) }
  const heavy: ClientPlan = {
    connectAt: 0,
    actions: [
      ...Array.from({ length: burdens }, (_, n) => burden(0, "heavy", n)),
      ...Array.from({ length: count.deletions }, (_, n) => burden(n === 0 ? count.pause : 0, "deletion", n)),
      // Deleted: to be had no more.
      ...[0, 1, 5, 9, 13].map((n) => burden(n === 0 ? 1000 : 0, "heavy", n)),
      burden(500, "vanish", 0),
      // While it is swept.
      ...Array.from({ length: readings }, (_, n) => read(readEvery, `r${n % 8}`)),
      burden(0, "heavy", dice.between(0, burdens - 1))
    ],
    polite: true,
    reads: true,
    leaves: undefined
  }
  const innocent: ClientPlan = {
    connectAt: dice.between(0, 20),
    actions: Array.from({ length: bystanders }, (_, n) => event(dice.between(0, 30), 6 + n)),
    polite: true,
    reads: true,
    leaves: undefined
  }
  return {
    ...audited(dice, plan),
    clients: [heavy, innocent],
    // A harvest of forty seconds would be most of what is simulated.
    upstreams: [],
    disk: { ...plan.disk, fails: undefined, writeMillis: dice.between(0, 20), entryMillis: 0.3, crawls: 1 },
    stop: { _tag: "AtMillis", millis: quietAfter },
    stopAtLatest: quietAfter,
    isQuietAtEnd: true
  }
}

/** Milliseconds after which the last of a laden life is done, and less than a minute, when anything hidden is swept anyway. */
const quietAfter = 40_000

/** What is left of a plan when nothing goes wrong in it. */
const audited = (dice: Dice.Dice, plan: Plan): Plan => ({
  ...plan,
  clients: [...plan.clients, auditor],
  upstreams: plan.upstreams.map((upstream) => ({ ...upstream, fault: { _tag: "Honest" }, live: dice.between(1, 20) })),
  disk: { ...plan.disk, fails: undefined, writeMillis: dice.between(100, 600) },
  threads: { ...plan.threads, crashAt: undefined },
  portTaken: false,
  stop: { _tag: "AtMillis", millis: dice.between(150, 900) },
  hurryAfter: undefined,
  powerCut: undefined
})

export const historyOf = (seed: number): History => {
  const dice = Dice.make(seed)
  const mood = Mood.draw(dice)
  const count = dice.between(2, 4)
  const lives: Array<Plan> = []
  const ladenLife = dice.between(0, count - 2)
  for (let life = 0; life < count; life++) {
    const plan = draw(dice, mood, life, 2 * life)
    if (life === ladenLife) lives.push(laden(dice, plan, 2 + life))
    lives.push(life === count - 1 ? audited(dice, plan) : plan)
  }
  return { seed, lives }
}
