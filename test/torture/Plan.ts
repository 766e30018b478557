/**
 * One round of torture, as the seed decides it before anything happens: who connects, who misbehaves how, and when which
 * signals come. Plain data, so that a round that went wrong can be shown and run again.
 */
import type * as Dice from "../../src/demo/Dice.ts"
import type { Faults } from "../support/FakeUpstream.ts"
import { type Kind, names } from "./HostileClients.ts"

export type Signal = "SIGINT" | "SIGTERM" | "SIGHUP"
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const

/** The file, or its log, is taken from where the service has it, so many milliseconds before the first signal. */
export interface Displaced {
  readonly _tag: "Displaced"
  readonly how: "moved" | "removed" | "replaced by a backup" | "removed, its log only"
  readonly millis: number
}

/** The disk is full for so many milliseconds after a client was told so; then the signal comes, or first an OK. */
export interface FullDisk {
  readonly _tag: "FullDisk"
  readonly millis: number
  readonly waitsForRoom: boolean
}

export interface Plan {
  readonly admission: "open" | "profiles"
  /** Goes on with the file of the round before. */
  readonly sameFile: boolean
  readonly hostile: ReadonlyArray<Kind>
  /** Honest clients: how many EVENTs each leaves unanswered at a time; whether it dies in the middle. */
  readonly clients: ReadonlyArray<{
    readonly window: number
    readonly diesAfter: number | undefined
    /** Its authors delete and vanish, one after the other, and have many tags. */
    readonly removes: boolean
  }>
  /** All honest clients publish the same events. */
  readonly sameEvents: boolean
  readonly upstreams: ReadonlyArray<Faults>
  readonly signals: {
    /** Milliseconds after the spawn, or answers of one client and milliseconds after those. */
    readonly first:
      & { readonly name: Signal }
      & (
        | { readonly whileStarting: number }
        | { readonly afterAnswers: number; readonly millis: number }
      )
    /** Milliseconds after the one before. */
    readonly later: ReadonlyArray<{ readonly name: Signal; readonly millis: number }>
    /** Asks for the report just before. */
    readonly report: boolean
  }
  /** What befalls the store while it serves. */
  readonly trouble: Displaced | FullDisk | undefined
}

/** Every way an upstream has been seen to be wrong, each with the others or alone. */
const faults: ReadonlyArray<(dice: Dice.Dice) => Faults> = [
  () => ({ neverUpgrade: true }),
  () => ({ refuse: { status: 503, headers: { "retry-after": "1" } } }),
  () => ({ mute: true }),
  () => ({ neverEose: true }),
  (dice) => ({ closeAfter: { messages: dice.between(0, 200), code: dice.pick([1000, 1011, 4000]) } }),
  (dice) => ({ closeAfter: { messages: dice.between(0, 200) } }),
  (dice) => ({ cutAfterBytes: dice.between(1, 60_000) }),
  (dice) => ({ dripMillis: dice.between(1, 50) }),
  () => ({ forge: true }),
  () => ({ flood: true }),
  () => ({ samePage: true }),
  () => ({ outsideFilter: true }),
  () => ({ ignoreLimit: true }),
  () => ({ oldestFirst: true }),
  () => ({ notices: 50 }),
  () => ({ auth: true }),
  () => ({ closed: "error: not today" }),
  () => ({ garbage: ["", "[", `["EVENT"]`, `["EVENT","live",{"id":1}]`, "\u0000", "{}".repeat(1000)] }),
  () => ({ hugeFrameBytes: 2_000_000 })
]

/** What leaves an upstream's answers true: what it says is covered can be believed. */
export const isTruthful = ({ flood, forge, outsideFilter, samePage }: Faults): boolean =>
  (flood ?? forge ?? outsideFilter ?? samePage) === undefined

/** Around the edges of the debounce (250 ms) and of the fast path (1 s), and anywhere. */
const delay = (dice: Dice.Dice): number =>
  dice.chance(0.6) ? dice.pick([0, 100, 240, 260, 300, 1000]) : dice.between(0, 1500)

const upstream = (dice: Dice.Dice): Faults => {
  const count = dice.pick([0, 0, 1, 1, 1, 2])
  return Object.assign({}, ...dice.shuffle(faults).slice(0, count).map((make) => make(dice)))
}

const times = <A>(count: number, make: () => A): ReadonlyArray<A> => Array.from({ length: count }, make)

const drawTrouble = (dice: Dice.Dice): Plan["trouble"] => {
  const chance = dice.fraction()
  if (chance < 0.12) {
    const how = dice.pick(["moved", "removed", "replaced by a backup", "removed, its log only"] as const)
    return { _tag: "Displaced", how, millis: dice.pick([0, 20, dice.between(0, 1500)]) }
  }
  if (chance > 0.24) return undefined
  return { _tag: "FullDisk", millis: dice.between(0, 500), waitsForRoom: dice.chance(0.5) }
}

export const draw = (dice: Dice.Dice): Plan => ({
  admission: dice.chance(0.7) ? "open" : "profiles",
  sameFile: dice.chance(0.5),
  hostile: times(dice.between(0, 6), () => dice.pick(names)),
  clients: times(dice.between(1, 5), () => ({
    window: dice.pick([1, 16, 64, 256, 2000]),
    diesAfter: dice.chance(0.25) ? dice.between(1, 200) : undefined,
    removes: dice.chance(0.4)
  })),
  sameEvents: dice.chance(0.15),
  upstreams: times(dice.pick([0, 1, 1, 2]), () => upstream(dice)),
  signals: {
    first: {
      name: dice.pick(signals),
      ...(dice.chance(0.25)
        ? { whileStarting: dice.between(0, 900) }
        : { afterAnswers: dice.between(0, 400), millis: dice.chance(0.5) ? 0 : dice.between(0, 500) })
    },
    later: dice.chance(0.4)
      ? times(dice.pick([1, 1, 1, 2]), () => ({ name: dice.pick(signals), millis: delay(dice) }))
      : [],
    report: dice.chance(0.3)
  },
  // Last, so that what else happens in a round is the same with it and without it.
  trouble: drawTrouble(dice)
})
