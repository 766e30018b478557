/**
 * What happens in one run, drawn from its seed before it begins: who connects and says what, how long everything takes, what
 * breaks, and when the stop comes. Plain data, so that a failing run can be made smaller.
 */
import type * as Dice from "../../src/demo/Dice.ts"

export type Action =
  /** Publishes the world's note of this number; several clients may publish the same one. */
  | { readonly _tag: "Event"; readonly note: number; readonly forged: boolean }
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

export interface UpstreamPlan {
  /** Events it has. */
  readonly events: number
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
    /** The transaction that fails, and whether it had reached the disk all the same. */
    readonly fails: { readonly at: number; readonly written: boolean } | undefined
  }
  readonly threads: { readonly millis: number; readonly crashAt: number | undefined }
  /** The port is taken. */
  readonly portTaken: boolean
  readonly stop:
    | { readonly _tag: "AtStep"; readonly step: number }
    | { readonly _tag: "AtMillis"; readonly millis: number }
  /** A second signal, so many milliseconds after the first. */
  readonly hurryAfter: number | undefined
}

/** Notes there are to publish. */
export const notesMax = 48

const times = <A>(count: number, make: (n: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, n) => make(n))

const drawAction = (dice: Dice.Dice, note: number): Action => {
  const kind = dice.fraction()
  if (kind < 0.76) {
    return { _tag: "Event", note: dice.chance(0.3) ? dice.between(0, 5) : note, forged: dice.chance(0.06) }
  }
  const subscription = dice.pick(["a", "a", "b"])
  return kind < 0.94 ? { _tag: "Req", subscription } : { _tag: "Close", subscription }
}

const drawClient = (dice: Dice.Dice, number: number, clients: number): ClientPlan => {
  const count = dice.pick([2, 4, 8, 12])
  return {
    connectAt: dice.pick([0, 0, 0, dice.between(0, 300)]),
    actions: times(count, (n) => ({
      after: dice.pick([0, 0, 0, 1, dice.between(0, 120)]),
      action: n === 0 && dice.chance(0.5)
        ? { _tag: "Req", subscription: "a" } as const
        : drawAction(dice, (number + n * clients) % notesMax)
    })),
    polite: dice.chance(0.85),
    reads: dice.chance(0.92),
    leaves: dice.chance(0.2) ? { after: dice.between(0, 60), how: dice.pick(["close", "cut"]) } : undefined
  }
}

const drawUpstream = (dice: Dice.Dice): UpstreamPlan => ({
  events: dice.pick([3, 12, 30]),
  openMillis: dice.between(0, 60),
  latency: dice.pick([0, 1, dice.between(0, 50)]),
  fault: dice.pick<UpstreamPlan["fault"]>([
    { _tag: "Honest" },
    { _tag: "Honest" },
    { _tag: "Honest" },
    { _tag: "Honest" },
    { _tag: "Honest" },
    { _tag: "Honest" },
    { _tag: "Honest" },
    { _tag: "Honest" },
    { _tag: "NeverOpens" },
    { _tag: "Refuses" },
    { _tag: "NeverEose" },
    { _tag: "Cuts", frames: dice.between(0, 20) }
  ]),
  polite: dice.chance(0.8),
  live: dice.pick([0, dice.between(1, 20), dice.between(5, 200)])
})

/** `startSteps`: about as many steps as a start takes, so that a good part of the stops falls into it. */
export const draw = (dice: Dice.Dice, seed: number, startSteps: number): Plan => {
  const clients = dice.between(1, 4)
  return {
    seed,
    yieldChance: dice.pick([0, 0.01, 0.1, 0.5]),
    clients: times(clients, (n) => drawClient(dice, n, clients)),
    upstreams: times(dice.pick([1, 1, 2]), () => drawUpstream(dice)),
    disk: {
      writeMillis: dice.pick([0, 1, 10, dice.between(0, 60), dice.between(100, 600)]),
      syncMillis: dice.pick([0, 1, 10, dice.between(0, 60)]),
      closeMillis: dice.pick([0, 5, dice.between(0, 200)]),
      fails: dice.chance(0.1) ? { at: dice.between(1, 12), written: dice.chance(0.5) } : undefined
    },
    threads: {
      millis: dice.pick([0, 1, dice.between(0, 40)]),
      crashAt: dice.chance(0.08) ? dice.between(1, 6) : undefined
    },
    portTaken: dice.chance(0.02),
    stop: dice.chance(0.1)
      ? { _tag: "AtStep", step: dice.between(1, startSteps) }
      : { _tag: "AtMillis", millis: dice.pick([dice.between(0, 100), dice.between(60, 500), dice.between(200, 900)]) },
    hurryAfter: dice.chance(0.25) ? dice.pick([0, 1, dice.between(0, 50), dice.between(250, 1500)]) : undefined
  }
}
