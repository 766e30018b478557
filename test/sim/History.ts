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
  for (let life = 0; life < count; life++) {
    const plan = draw(dice, mood, life, 2 * life)
    lives.push(life === count - 1 ? audited(dice, plan) : plan)
  }
  return { seed, lives }
}
