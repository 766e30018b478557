/** The loads: what clients do to a relay, as fast as it lets them. */
import { Effect } from "effect"
import type { Load } from "./Measures.ts"
import { type RelayClient, RelayFailed } from "./RelayClient.ts"

/** Milliseconds after which a load that does not end has failed: a peer may need a minute for what takes us a second. */
const patience = 300_000

const ignore = (client: RelayClient): void => {
  client.listener = { message: () => {} }
}

/** Runs callbacks until one of them calls `done` or `fail`; then nobody listens to the clients any more. */
const loading = (
  clients: ReadonlyArray<RelayClient>,
  body: (end: { readonly done: (load: Load) => void; readonly fail: (detail: string) => void }) => void
): Effect.Effect<Load, RelayFailed> =>
  Effect.callback<Load, RelayFailed>((resume) => {
    body({
      done: (load) => {
        clients.forEach(ignore)
        resume(Effect.succeed(load))
      },
      fail: (detail) => {
        clients.forEach(ignore)
        resume(Effect.fail(new RelayFailed({ detail })))
      }
    })
    return Effect.sync(() => clients.forEach(ignore))
  }).pipe(Effect.timeoutOrElse({
    duration: patience,
    orElse: () => Effect.fail(new RelayFailed({ detail: "the load did not come to its end" }))
  }))

/** The event id in `["OK","<id>",…`, short, and how the rest begins. */
const idAt = 7
const idKey = (bytes: Buffer, start: number): string => bytes.toString("latin1", start + idAt, start + idAt + 16)
const isTrue = (bytes: Buffer, start: number): boolean => bytes[start + 73] === 0x74

export interface Publication {
  /** The event's id. */
  readonly id: string
  /** A whole frame. */
  readonly frame: Buffer
}

/** Publishes everything once, with so many events unanswered per client, and takes only `OK true` for an answer. */
export const publish = (
  clients: ReadonlyArray<RelayClient>,
  publications: ReadonlyArray<Publication>,
  window: number
): Effect.Effect<Load, RelayFailed> =>
  loading(clients, ({ done, fail }) => {
    const sentAt = new Map<string, number>()
    const latencies: Array<number> = []
    let next = 0
    const send = (client: RelayClient, count: number) => {
      const now = performance.now()
      const frames: Array<Buffer> = []
      for (; frames.length < count && next < publications.length; next++) {
        const { frame, id } = publications[next] as Publication
        sentAt.set(id.slice(0, 16), now)
        frames.push(frame)
      }
      if (frames.length > 0) client.write(Buffer.concat(frames))
    }
    for (const client of clients) {
      let answered = 0
      client.listener = {
        message: (verb, bytes, start, end) => {
          if (verb !== "OK") return
          if (!isTrue(bytes, start)) return fail(bytes.toString("utf8", start, end))
          latencies.push(performance.now() - (sentAt.get(idKey(bytes, start)) ?? 0))
          answered++
        },
        turn: () => {
          const count = answered
          answered = 0
          if (latencies.length === publications.length) return done({ operations: latencies.length, latencies })
          if (count > 0) send(client, count)
        },
        closed: (code) => fail(`the relay closed a publisher with ${code}`)
      }
      send(client, window)
    }
  })

/** Asks one REQ after the other on each client for so long; an operation is an EOSE. */
export const query = (
  clients: ReadonlyArray<RelayClient>,
  questions: ReadonlyArray<Buffer>,
  millis: number
): Effect.Effect<Load, RelayFailed> =>
  loading(clients, ({ done, fail }) => {
    const latencies: Array<number> = []
    const until = performance.now() + millis
    let events = 0
    let next = 0
    let busy = clients.length
    for (const client of clients) {
      let since = performance.now()
      const ask = () => {
        since = performance.now()
        client.write(questions[next++ % questions.length] as Buffer)
      }
      client.listener = {
        message: (verb, bytes, start, end) => {
          if (verb === "EVENT") return void events++
          // A challenge (NIP-42) asks for nothing that a reader of public events owes.
          if (verb === "other") return
          if (verb !== "EOSE") return fail(bytes.toString("utf8", start, end))
          const now = performance.now()
          latencies.push(now - since)
          if (now < until) return ask()
          if (--busy > 0) return
          const operations = latencies.length
          done({
            operations,
            latencies,
            others: (seconds) => events > 2 * operations ? { events: events / seconds } : {}
          })
        },
        closed: (code) => fail(`the relay closed a reader with ${code}`)
      }
      ask()
    }
  })

/**
 * One client's REQs, one after the other for so long, while each of the others has a REQ or COUNT of its own under way all
 * the time. An operation is one of the first client's.
 */
export const beside = (
  client: RelayClient,
  questions: ReadonlyArray<Buffer>,
  busy: { readonly clients: ReadonlyArray<RelayClient>; readonly questions: ReadonlyArray<Buffer> },
  millis: number
): Effect.Effect<Load, RelayFailed> =>
  Effect.suspend(() => {
    let answered = 0
    busy.clients.forEach((other, i) => {
      // Each begins somewhere else, so that all kinds of questions meet.
      let at = i * Math.floor(busy.questions.length / busy.clients.length)
      const ask = () => other.write(busy.questions[at++ % busy.questions.length] as Buffer)
      other.listener = {
        message: (verb) => {
          if (verb !== "EOSE" && verb !== "COUNT" && verb !== "CLOSED") return
          answered++
          ask()
        }
      }
      ask()
    })
    return Effect.map(
      query([client], questions, millis),
      (load): Load => ({ ...load, others: (seconds) => ({ busy: answered / seconds }) })
    )
  }).pipe(Effect.ensuring(Effect.sync(() => busy.clients.forEach(ignore))))

/** Readers whose deliveries are timed; of the others it is only known that all came. */
const timedMax = 50

/**
 * Publishes to readers that are subscribed to it; an operation is a delivery, and its time runs from the event's being
 * sent. `idOffset`: bytes from the start of an EVENT message to the event's id.
 */
export const fanOut = (
  publisher: RelayClient,
  readers: ReadonlyArray<RelayClient>,
  publications: ReadonlyArray<Publication>,
  options: { readonly window: number; readonly idOffset: number }
): Effect.Effect<Load, RelayFailed> =>
  loading([publisher, ...readers], ({ done, fail }) => {
    const total = readers.length * publications.length
    const sentAt = new Map<string, number>()
    const latencies: Array<number> = []
    let next = 0
    let delivered = 0
    const send = (count: number) => {
      const frames: Array<Buffer> = []
      for (; frames.length < count && next < publications.length; next++) {
        const { frame, id } = publications[next] as Publication
        sentAt.set(id.slice(0, 16), performance.now())
        frames.push(frame)
      }
      if (frames.length > 0) publisher.write(Buffer.concat(frames))
    }
    readers.forEach((reader, index) => {
      const isTimed = index % Math.ceil(readers.length / timedMax) === 0
      reader.listener = {
        message: (verb, bytes, start) => {
          if (verb !== "EVENT") return
          delivered++
          if (isTimed) {
            const id = bytes.toString("latin1", start + options.idOffset, start + options.idOffset + 16)
            latencies.push(performance.now() - (sentAt.get(id) ?? 0))
          }
        },
        turn: () => {
          if (delivered === total) done({ operations: total, latencies })
        },
        closed: (code) => fail(`the relay closed a subscriber with ${code}`)
      }
    })
    let answered = 0
    publisher.listener = {
      message: (verb, bytes, start, end) => {
        if (verb !== "OK") return
        if (!isTrue(bytes, start)) return fail(bytes.toString("utf8", start, end))
        answered++
      },
      turn: () => {
        const count = answered
        answered = 0
        send(count)
      },
      closed: (code) => fail(`the relay closed the publisher with ${code}`)
    }
    send(options.window)
  })
