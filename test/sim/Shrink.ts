/** Makes a failing history smaller for as long as it fails in the same way. */
import type { History } from "./History.ts"
import type { ClientPlan, Plan } from "./Plan.ts"
import { type Outcome, simulate } from "./Simulation.ts"

/** Simulations that a search may cost. */
const triesMax = 600

const without = <A>(list: ReadonlyArray<A>, at: number): ReadonlyArray<A> => list.filter((_, n) => n !== at)

/** Plans that are a little smaller, the boldest first. */
function* smallerPlans(plan: Plan): Generator<Plan, void> {
  for (const n of plan.upstreams.keys()) yield { ...plan, upstreams: without(plan.upstreams, n) }
  for (const n of plan.clients.keys()) yield { ...plan, clients: without(plan.clients, n) }
  if (plan.powerCut !== undefined) yield { ...plan, powerCut: undefined }
  if (plan.hurryAfter !== undefined) yield { ...plan, hurryAfter: undefined }
  if (plan.disk.fails !== undefined) yield { ...plan, disk: { ...plan.disk, fails: undefined } }
  if (plan.threads.crashAt !== undefined) yield { ...plan, threads: { ...plan.threads, crashAt: undefined } }
  if (plan.threads.millis > 0) yield { ...plan, threads: { ...plan.threads, millis: 0 } }
  if (plan.disk.syncMillis > 0) yield { ...plan, disk: { ...plan.disk, syncMillis: 0 } }
  if (plan.disk.writeMillis > 0) yield { ...plan, disk: { ...plan.disk, writeMillis: 0 } }
  if (plan.yieldChance > 0) yield { ...plan, yieldChance: 0 }
  const change = (at: number, client: ClientPlan): Plan => ({ ...plan, clients: plan.clients.with(at, client) })
  for (const [at, client] of plan.clients.entries()) {
    if (client.leaves !== undefined) yield change(at, { ...client, leaves: undefined })
    if (!client.polite || !client.reads) yield change(at, { ...client, polite: true, reads: true })
    for (const n of client.actions.keys()) yield change(at, { ...client, actions: without(client.actions, n) })
  }
}

function* smaller({ lives, seed }: History): Generator<History, void> {
  for (const n of lives.keys()) if (lives.length > 1) yield { seed, lives: without(lives, n) }
  for (const [n, plan] of lives.entries()) {
    for (const life of smallerPlans(plan)) yield { seed, lives: lives.with(n, life) }
  }
}

const kindsOf = ({ violations }: Outcome): ReadonlySet<string> =>
  new Set(violations.map((violation) => violation.split(":")[0] ?? ""))

/** The smallest history that was found to break one of the same invariants; no life in it comes after the one that does. */
export const shrink = async (history: History): Promise<History> => {
  const first = await simulate(history)
  const wanted = kindsOf(first)
  let best: History = { ...history, lives: history.lives.slice(0, first.lives.length) }
  let tries = 0
  for (let progress = true; progress && tries < triesMax;) {
    progress = false
    for (const candidate of smaller(best)) {
      if (++tries > triesMax) break
      const found = await simulate(candidate)
      const kinds = kindsOf(found)
      if (![...wanted].some((kind) => kinds.has(kind))) continue
      best = { ...candidate, lives: candidate.lives.slice(0, found.lives.length) }
      progress = true
      break
    }
  }
  return best
}
