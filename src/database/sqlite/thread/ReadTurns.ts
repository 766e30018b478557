/**
 * Whose turn it is to read: what is soon done goes first, whatever came before it, and what takes long goes on in slices.
 *
 * How long a read takes shows only as it goes. Each begins with enough time for all but a few, and is mostly done by then.
 * One that is not goes on beside a few others of its kind, which take turns; when there are enough of these already, it gives
 * back what it holds and is begun again when one of them has ended. So a read waits for those that came with it and for a slice
 * of another, never for the end of a long one, and the long ones always keep a part of the time.
 *
 * Each read under way has a reader of its own, as it has a snapshot of its own.
 */
import type { Work } from "../Snapshots.ts"

/** Long reads under way at once; further ones wait. */
export const longMax = 4
/** Milliseconds in which a read is done that does not take long: any search, 500 profiles by author. */
const firstSlice = 8
/** Milliseconds that a long one may go on before the next one's turn. */
const slice = 4
/** So many times as much time goes to first slices as to long reads, when both wait. */
const share = 3

export interface Reader<A, B> {
  readonly work: (request: A) => Work<B>
  readonly close: () => void
}

export interface Outlet<A, B> {
  readonly answer: (id: number, answer: B, request: A) => void
  readonly failed: (id: number, error: unknown) => void
}

interface Asked<A> {
  readonly id: number
  readonly request: A
}

interface Job<A, B> extends Asked<A> {
  readonly reader: Reader<A, B>
  readonly work: Work<B>
}

const without = <A>(list: Array<{ readonly id: number } & A>, id: number): A | undefined => {
  const at = list.findIndex((one) => one.id === id)
  return at < 0 ? undefined : list.splice(at, 1)[0]
}

export class ReadTurns<A, B> {
  readonly #open: () => Reader<A, B>
  readonly #outlet: Outlet<A, B>
  readonly #now: () => number
  /** Not begun yet. */
  readonly #fresh: Array<Asked<A>> = []
  /** Known to take long, and not under way. */
  readonly #patient: Array<Asked<A>> = []
  /** Long ones under way, the one whose turn is next first. */
  readonly #long: Array<Job<A, B>> = []
  readonly #idle: Array<Reader<A, B>> = []
  /** Milliseconds that long reads may have before the next first slice. */
  #owed = 0

  /**
   * `now` in milliseconds that this thread has worked: by any other clock, a thread that waits for a CPU would take short
   * reads for long ones. At most `longMax + 1` readers are opened, each when it is first needed.
   */
  constructor(open: () => Reader<A, B>, outlet: Outlet<A, B>, now: () => number) {
    this.#open = open
    this.#outlet = outlet
    this.#now = now
    this.#idle.push(open())
  }

  ask(id: number, request: A): void {
    this.#fresh.push({ id, request })
  }

  /** Forgets a read that nobody waits for any more. */
  cancel(id: number): void {
    if (without(this.#fresh, id) !== undefined || without(this.#patient, id) !== undefined) return
    const job = without(this.#long, id)
    if (job !== undefined) this.#leave(job)
  }

  /** Works for one slice; answers false when there was nothing to do. */
  turn(): boolean {
    if (this.#long.length < longMax) {
      const asked = this.#patient.shift()
      if (asked !== undefined) this.#long.push(this.#begin(asked))
    }
    if (this.#fresh.length > 0 && (this.#long.length === 0 || this.#owed < slice)) {
      this.#first(this.#begin(this.#fresh.shift()!))
      return true
    }
    this.#owed = Math.max(0, this.#owed - slice)
    const job = this.#long.shift()
    if (job === undefined) return false
    if (!this.#advance(job, slice)) this.#long.push(job)
    return true
  }

  /** Nothing was asked for in a while: closes all readers but one, with what they keep in memory. */
  rest(): void {
    for (const reader of this.#idle.splice(1)) reader.close()
  }

  /** Drops all reads. */
  close(): void {
    this.#fresh.length = 0
    this.#patient.length = 0
    for (const job of this.#long.splice(0)) this.#leave(job)
    for (const reader of this.#idle) reader.close()
  }

  #begin(asked: Asked<A>): Job<A, B> {
    const reader = this.#idle.pop() ?? this.#open()
    return { ...asked, reader, work: reader.work(asked.request) }
  }

  #first(job: Job<A, B>): void {
    const since = this.#now()
    const isDone = this.#advance(job, firstSlice)
    if (this.#long.length > 0) this.#owed += (this.#now() - since) / share
    if (isDone) return
    if (this.#long.length < longMax) this.#long.push(job)
    else {
      this.#leave(job)
      this.#patient.push({ id: job.id, request: job.request })
    }
  }

  /** Answers whether it has ended. */
  #advance(job: Job<A, B>, millis: number): boolean {
    try {
      const until = this.#now() + millis
      let step = job.work.next()
      while (step.done !== true) {
        if (this.#now() >= until) return false
        step = job.work.next()
      }
      this.#outlet.answer(job.id, step.value, job.request)
    } catch (error) {
      this.#outlet.failed(job.id, error)
    }
    this.#idle.push(job.reader)
    return true
  }

  /** Gives its snapshot back. */
  #leave({ reader, work }: Job<A, B>): void {
    work.return(undefined as B)
    this.#idle.push(reader)
  }
}
