/**
 * What happens in one life of the service, drawn before it begins: who connects and says what, how long everything takes,
 * what breaks, and when the stop comes. Plain data, so that a failing run can be made smaller.
 */
import type * as Dice from "../../src/demo/Dice.ts"
import type { Mood } from "./Mood.ts"

export type Action =
  /** Publishes the world's note of this number; several clients may publish the same one. */
  | { readonly _tag: "Event"; readonly note: number; readonly forged: boolean }
  /** Publishes an event that is much work to store, or has such events removed, one by one or all of an author. */
  | {
    readonly _tag: "Burden"
    readonly what: "heavy" | "deletion" | "vanish"
    readonly author: number
    readonly n: number
  }
  | { readonly _tag: "Req"; readonly subscription: string }
  | { readonly _tag: "Close"; readonly subscription: string }

export interface ClientPlan {
  /** Milliseconds after the listener is there. */
  readonly connectAt: number
  readonly actions: ReadonlyArray<{ readonly after: number; readonly action: Action }>
  /** Answers Close frames; reads what it is sent. */
  readonly polite: boolean
  readonly reads: boolean
  /** How it goes by itself, so many milliseconds after its last action. */
  readonly leaves: { readonly after: number; readonly how: "close" | "cut" } | undefined
}

/** What can be counted in a life, so that something can happen at the very moment of it. */
export type Edge =
  /** A component begins to open, or has been released. */
  | "acquired"
  | "released"
  /** The service has taken a client's EVENT. */
  | "taken"
  /** A verifier thread has answered. */
  | "verified"
  /** A transaction is with the ingester's thread; it is on the disk; the ingester has been told so. */
  | "handed"
  | "written"
  | "synced"
  /** A client was told `OK true`. */
  | "acknowledged"
  /** An upstream was sent a REQ. */
  | "asked"

export type Moment =
  | { readonly _tag: "AtStep"; readonly step: number }
  | { readonly _tag: "AtMillis"; readonly millis: number }
  | { readonly _tag: "AtEdge"; readonly edge: Edge; readonly count: number }

export interface UpstreamPlan {
  /** Which relay it is; it has the same events in every life. */
  readonly relay: number
  readonly openMillis: number
  readonly latency: number
  readonly fault:
    | { readonly _tag: "Honest" }
    | { readonly _tag: "NeverOpens" }
    | { readonly _tag: "Refuses" }
    | { readonly _tag: "NeverEose" }
    /** Ends each connection after so many frames. */
    | { readonly _tag: "Cuts"; readonly frames: number }
  /** Answers Close frames. */
  readonly polite: boolean
  /** New events come so often, in milliseconds. */
  readonly live: number
}

export interface Plan {
  /** Of the interleaving; everything else stands here. */
  readonly seed: number
  readonly yieldChance: number
  readonly clients: ReadonlyArray<ClientPlan>
  readonly upstreams: ReadonlyArray<UpstreamPlan>
  readonly disk: {
    readonly writeMillis: number
    readonly syncMillis: number
    readonly closeMillis: number
    /** A row or index entry takes so long. */
    readonly entryMillis: number
    /** Transactions of some size that take seconds each, though the disk gets on with them. */
    readonly crawls: number
    /** The transaction that fails, and whether it had reached the disk all the same. */
    readonly fails: { readonly at: number; readonly written: boolean } | undefined
  }
  readonly threads: { readonly millis: number; readonly crashAt: number | undefined }
  /** The port is taken. */
  readonly portTaken: boolean
  readonly stop: Moment
  /** A second signal, so many milliseconds after the first. */
  readonly hurryAfter: number | undefined
  /** Milliseconds until the stop at the latest, if it is to come at a step and there are none any more. */
  readonly stopAtLatest: number
  /** Nothing has happened for a while when the stop comes. */
  readonly isQuietAtEnd: boolean
  /** The power is cut: nothing runs any more, and what is not on the disk is gone. */
  readonly powerCut: Moment | undefined
}

/** Notes there are to publish. */
export const notesMax = 48

const times = <A>(count: number, make: (n: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, n) => make(n))

const drawAction = (dice: Dice.Dice, mood: Mood, note: number): Action => {
  if (dice.chance(mood.removals)) {
    const what = dice.pick(["heavy", "heavy", "heavy", "deletion", "vanish"] as const)
    return { _tag: "Burden", what, author: dice.between(0, 1), n: dice.between(0, what === "heavy" ? 11 : 2) }
  }
  const kind = dice.fraction()
  if (kind < 0.76) {
    return {
      _tag: "Event",
      note: dice.chance(mood.repeats) ? dice.between(0, 5) : note,
      forged: dice.chance(mood.forgeries)
    }
  }
  const subscription = dice.pick(["a", "a", "b"])
  return kind < 0.94 ? { _tag: "Req", subscription } : { _tag: "Close", subscription }
}

const drawClient = (dice: Dice.Dice, mood: Mood, number: number, clients: number): ClientPlan => {
  const count = dice.pick([2, 4, 8, 12])
  return {
    connectAt: dice.pick([0, 0, 0, dice.between(0, 300)]),
    actions: times(count, (n) => ({
      after: dice.chance(mood.bursts) ? 0 : dice.pick([0, 1, dice.between(0, 120)]),
      action: n === 0 && dice.chance(0.5)
        ? { _tag: "Req", subscription: "a" } as const
        : drawAction(dice, mood, (number + n * clients) % notesMax)
    })),
    polite: !dice.chance(mood.rudeness),
    reads: !dice.chance(mood.rudeness / 2),
    leaves: dice.chance(mood.departures) ? { after: dice.between(0, 60), how: dice.pick(["close", "cut"]) } : undefined
  }
}

const drawUpstream = (dice: Dice.Dice, mood: Mood, relay: number): UpstreamPlan => ({
  relay,
  openMillis: dice.between(0, 60),
  latency: dice.pick([0, 1, dice.between(0, 50)]),
  fault: dice.chance(mood.upstreamFaults)
    ? dice.pick<UpstreamPlan["fault"]>([
      { _tag: "NeverOpens" },
      { _tag: "Refuses" },
      { _tag: "NeverEose" },
      { _tag: "Cuts", frames: dice.between(0, 20) }
    ])
    : { _tag: "Honest" },
  polite: !dice.chance(mood.rudeness),
  live: dice.pick([0, dice.between(1, 20), dice.between(5, 200)])
})

/** Steps that a start takes, more or less. */
const startSteps = 2500

const drawEdge = (dice: Dice.Dice): Moment => {
  const edge = dice.pick<Edge>([
    "acquired",
    "released",
    "taken",
    "verified",
    "handed",
    "written",
    "synced",
    "acknowledged",
    "asked"
  ])
  return { _tag: "AtEdge", edge, count: dice.between(1, edge === "acquired" || edge === "released" ? 4 : 8) }
}

const drawMoment = (dice: Dice.Dice, mood: Mood): Moment => {
  if (dice.chance(mood.earlyStops)) return { _tag: "AtStep", step: dice.between(1, startSteps) }
  if (dice.chance(mood.stopsAtEdges)) return drawEdge(dice)
  return { _tag: "AtMillis", millis: dice.pick([dice.between(0, 100), dice.between(60, 500), dice.between(200, 900)]) }
}

/** Life number `life` of a history in such a mood; `relays` that were there before, and may be there again. */
export const draw = (dice: Dice.Dice, mood: Mood, life: number, relays: number): Plan => {
  const clients = dice.between(1, mood.clientsMax)
  return {
    seed: dice.between(0, 2 ** 31 - 1),
    yieldChance: dice.pick([0, 0.01, 0.1, 0.5]),
    clients: times(clients, (n) => drawClient(dice, mood, n, clients)),
    upstreams: times(dice.pick([1, 1, 2]), (n) => {
      const known = relays > n && dice.chance(0.4)
      return drawUpstream(dice, mood, known ? relays - 1 - n : 2 * life + n)
    }),
    disk: {
      writeMillis: dice.chance(mood.slowWrites) ? dice.between(100, 600) : dice.pick([0, 1, 10, dice.between(0, 60)]),
      syncMillis: dice.pick([0, 1, 10, dice.between(0, 60)]),
      closeMillis: dice.pick([0, 5, dice.between(0, 200)]),
      entryMillis: dice.pick([0, 0.1, 0.3]),
      crawls: 0,
      fails: dice.chance(mood.diskFaults) ? { at: dice.between(1, 12), written: dice.chance(0.5) } : undefined
    },
    threads: {
      millis: dice.pick([0, 1, dice.between(0, 40)]),
      crashAt: dice.chance(mood.crashes) ? dice.between(1, 6) : undefined
    },
    portTaken: dice.chance(0.01),
    stop: drawMoment(dice, mood),
    stopAtLatest: 1500,
    isQuietAtEnd: false,
    hurryAfter: dice.chance(mood.impatience)
      ? dice.pick([0, 1, dice.between(0, 50), dice.between(250, 1500)])
      : undefined,
    powerCut: dice.chance(mood.powerCuts) ? drawMoment(dice, mood) : undefined
  }
}
