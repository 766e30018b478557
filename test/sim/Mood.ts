/**
 * What a history is made of ("swarm testing"): each one leaves some kinds of trouble out altogether, so that the others are
 * met often and together. A world in which everything goes wrong now and then rarely gets to where one thing goes wrong.
 */
import type * as Dice from "../../src/demo/Dice.ts"

/** Chances, from 0 to 1, but for `clientsMax`. */
export interface Mood {
  readonly clientsMax: number
  /** An EVENT follows the last one at once. */
  readonly bursts: number
  /** An EVENT is one of a few that everybody publishes. */
  readonly repeats: number
  readonly forgeries: number
  /** An action is of an author whose events are much work, or has them removed. */
  readonly removals: number
  /** A peer does not answer Close, or does not read. */
  readonly rudeness: number
  readonly departures: number
  readonly upstreamFaults: number
  /** A transaction takes so long that a stop rarely finds none in hand. */
  readonly slowWrites: number
  readonly diskFaults: number
  /** A verifier thread crashes. */
  readonly crashes: number
  /** A second signal. */
  readonly impatience: number
  /** The stop comes while the service starts. */
  readonly earlyStops: number
  /** It comes in the moment something happens, not at a time. */
  readonly stopsAtEdges: number
  readonly powerCuts: number
}

export const draw = (dice: Dice.Dice): Mood => {
  const sometimes = (chance: number) => dice.chance(0.5) ? chance : 0
  return {
    clientsMax: dice.pick([2, 4, 6]),
    bursts: dice.pick([0.2, 0.5, 0.9]),
    repeats: dice.pick([0.1, 0.3, 0.7]),
    forgeries: sometimes(0.12),
    removals: sometimes(0.3),
    rudeness: sometimes(0.25),
    departures: sometimes(0.35),
    upstreamFaults: sometimes(0.5),
    slowWrites: dice.pick([0.1, 0.4, 0.8]),
    diskFaults: sometimes(0.2),
    crashes: sometimes(0.15),
    impatience: sometimes(0.45),
    earlyStops: sometimes(0.2),
    stopsAtEdges: sometimes(0.6),
    powerCuts: sometimes(0.4)
  }
}
