/**
 * One simulated machine: a pool of runnable steps, a clock that jumps to the next timer, and one seed that decides what
 * runs next, who yields, and how long everything takes.
 *
 * It is an Effect scheduler and an Effect clock. The pool is unordered on purpose: whatever order the seed picks is one
 * that a real machine may pick too. Time moves only when nothing can run, so no budget fires because a machine was slow.
 */
import { type Clock, Duration, Effect, type Fiber, type Random, type Scheduler } from "effect"
import * as Dice from "../../src/demo/Dice.ts"

interface Timer {
  readonly at: number
  /** Breaks ties, by chance. */
  readonly order: number
  readonly what: string
  readonly run: () => void
  cancelled: boolean
}

/** Milliseconds since the epoch at which the first life begins: a day after the newest event that was there before. */
export const begin = 1_767_225_600_000 + 86_400_000

/** Steps after which a run is taken for one that never ends. */
const stepsMax = 3_000_000

export type Verdict = "done" | "deadlock" | "livelock"

export class World implements Scheduler.Scheduler {
  readonly executionMode = "async"
  readonly dice: Dice.Dice
  readonly #yieldChance: number
  readonly #pool: Array<() => void> = []
  #urgent: Array<() => void> = []
  readonly #timers: Array<Timer> = []
  readonly #startedAt: number
  #now: number
  /** Steps so far: pieces of fibers between two points at which they may yield. */
  steps = 0
  readonly #alarms = new Map<number, () => void>()
  /** What happened, when somebody wants to know. */
  readonly trace: Array<string> | undefined
  /** Changes with every choice: equal at the end of two runs that were the same. */
  fingerprint = 0

  constructor(options: {
    readonly seed: number
    readonly yieldChance: number
    readonly traced: boolean
    /** Milliseconds since the epoch. */
    readonly startsAt: number
  }) {
    this.dice = Dice.make(options.seed)
    this.#startedAt = options.startsAt
    this.#now = options.startsAt
    this.#yieldChance = options.yieldChance
    this.trace = options.traced ? [] : undefined
  }

  note(what: () => string): void {
    this.trace?.push(`${String(this.elapsed).padStart(7)} ms  ${what()}`)
  }

  // Scheduler

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    this.steps++
    const alarm = this.#alarms.get(this.steps)
    if (alarm !== undefined) {
      this.#urgent.push(alarm)
      return true
    }
    // A fiber that has just been resumed takes one step at least, or it would never get anywhere.
    return fiber.currentOpCount > 1 && this.dice.fraction() < this.#yieldChance
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return { scheduleTask: (task) => void this.#pool.push(task), flush: () => {} }
  }

  /** Runs before anything else does, as a microtask would. */
  readonly soon = (task: () => void): void => void this.#urgent.push(task)

  /** Runs `run` between two steps, once so many have been taken. */
  atStep(at: number, run: () => void): void {
    this.#alarms.set(at, run)
  }

  // Clock

  /** Calls back after so many milliseconds; returns how to forget it. */
  later(millis: number, what: string, run: () => void): () => void {
    const timer: Timer = {
      at: this.#now + Math.max(0, millis),
      order: this.dice.fraction(),
      what,
      run,
      cancelled: false
    }
    const timers = this.#timers
    let low = 0
    let high = timers.length
    // Latest first, so that the next one is at the end.
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = timers[middle] as Timer
      if (other.at > timer.at || (other.at === timer.at && other.order > timer.order)) low = middle + 1
      else high = middle
    }
    timers.splice(low, 0, timer)
    return () => void (timer.cancelled = true)
  }

  get now(): number {
    return this.#now
  }

  /** Milliseconds since it began. */
  get elapsed(): number {
    return this.#now - this.#startedAt
  }

  /** Names of the timers that are still to come. */
  pending(): ReadonlyArray<string> {
    return this.#timers.filter(({ cancelled }) => !cancelled).map(({ what }) => what)
  }

  readonly clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => this.#now,
    currentTimeMillis: Effect.sync(() => this.#now),
    currentTimeNanosUnsafe: () => BigInt(this.#now) * 1_000_000n,
    currentTimeNanos: Effect.sync(() => BigInt(this.#now) * 1_000_000n),
    monotonicTimeNanosUnsafe: () => BigInt(this.elapsed) * 1_000_000n,
    monotonicTimeNanos: Effect.sync(() => BigInt(this.elapsed) * 1_000_000n),
    sleep: (duration: Duration.Duration) => {
      const millis = Duration.toMillis(duration)
      if (millis <= 0) return Effect.yieldNow
      if (!Number.isFinite(millis)) return Effect.never
      return Effect.callback<void>((resume) => {
        const cancel = this.later(millis, `sleep of ${millis} ms`, () => resume(Effect.void))
        return Effect.sync(cancel)
      })
    }
  }

  readonly random: typeof Random.Random.Service = {
    nextIntUnsafe: () => this.dice.between(Number.MIN_SAFE_INTEGER / 2, Number.MAX_SAFE_INTEGER / 2),
    nextDoubleUnsafe: () => this.dice.fraction()
  }

  // The loop

  #step(task: () => void): void {
    this.fingerprint = (Math.imul(this.fingerprint, 31) + this.#pool.length + this.steps) | 0
    task()
  }

  /** What can run now, without time passing; promises that resolve by themselves included. */
  async #settle(isDone: () => boolean): Promise<void> {
    for (let idle = 0; idle < 8; idle++) {
      for (;;) {
        const urgent = this.#urgent.shift()
        if (urgent !== undefined) {
          this.#step(urgent)
          if (isDone()) return
          continue
        }
        const { length } = this.#pool
        if (length === 0 || this.steps > stepsMax) break
        idle = 0
        const chosen = length === 1 ? 0 : Math.floor(this.dice.fraction() * length)
        const task = this.#pool[chosen] as () => void
        const last = this.#pool.pop() as () => void
        if (chosen < this.#pool.length) this.#pool[chosen] = last
        this.#step(task)
        if (isDone()) return
      }
      await Promise.resolve()
    }
  }

  /** Runs until `isDone`, or until nothing is left that could ever run. `limit`: the time after which it has hung. */
  async run(isDone: () => boolean, limit: () => number): Promise<Verdict> {
    for (;;) {
      await this.#settle(isDone)
      if (isDone()) return "done"
      if (this.steps > stepsMax) return "livelock"
      const timer = this.#timers.pop()
      if (timer === undefined || timer.at > limit()) {
        if (timer !== undefined) this.#timers.push(timer)
        return "deadlock"
      }
      if (timer.cancelled) continue
      this.#now = timer.at
      this.#step(timer.run)
    }
  }

  /** Runs what is left without letting time pass. */
  async drain(): Promise<void> {
    await this.#settle(() => false)
  }
}
