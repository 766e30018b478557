/**
 * Looks at the NIP-05 names of stored profiles whenever they are due: new ones soon, all others again and again.
 *
 * What is due stands in the database until the write that says when it is due next, so a stop simply ends the looks. Many
 * people share some domains: of each a few names are looked at in a round, one after the other, and those who are left get
 * turns of their own, so that nobody waits for a domain that is not theirs.
 */
import { Cause, Clock, Duration, Effect, Layer } from "effect"
import { Settings } from "../../config/Settings.ts"
import { Database, type RecordWrite } from "../../database/Database.ts"
import { HostBudgets } from "../../fetch/HostBudgets.ts"
import { Supervisor } from "../../lifecycle/Supervisor.ts"
import type * as Space from "../Space.ts"
import { checkSpace, domainOf, NameOwners } from "./NameOwners.ts"

/** Between two looks at what is due. */
export const period = Duration.seconds(5)

/** Domains asked side by side. */
const concurrency = 8

/** Names of one round. */
const perRound = 500
/** Names of one domain in it. */
export const perDomain = 20

/** Milliseconds after which the next of a domain's names gets its turn, at least. */
const nextTurn = 60_000

type Due = Space.Kept<Space.Value<typeof checkSpace>>

const make = Effect.fnUntraced(function*() {
  const settings = yield* Settings
  const database = yield* Database
  const names = yield* NameOwners
  const supervisor = yield* Supervisor
  const sender = yield* database.sender("aggregation/nip05")
  const budgets = yield* HostBudgets

  const look = (pubkey: string) =>
    Effect.flatMap(
      names.recheck(pubkey),
      (records) => records.length === 0 ? Effect.void : Effect.asVoid(sender.write(records))
    )

  /** Names beyond their domain's share. At once: what is written while others are asked must not be overwritten. */
  const putOff = Effect.fnUntraced(function*(domains: ReadonlyMap<string, ReadonlyArray<Due>>) {
    const now = yield* Clock.currentTimeMillis
    const left: Array<RecordWrite> = []
    for (const [domain, due] of domains) {
      for (const { key, value } of due.slice(perDomain)) {
        if (value === undefined) continue
        left.push(checkSpace.put(key, value, now + (yield* budgets.later(domain, nextTurn))))
      }
    }
    if (left.length > 0) yield* sender.write(left)
  })

  /** Succeeds with whether there may be more that is due. */
  const round = Effect.gen(function*() {
    const due = yield* checkSpace.due(database, yield* Clock.currentTimeMillis, perRound)
    const domains = Map.groupBy(due, domainOf)
    yield* putOff(domains)
    yield* Effect.forEach(
      domains.values(),
      (records) => Effect.forEach(records.slice(0, perDomain), ({ key }) => look(key), { discard: true }),
      { concurrency, discard: true }
    )
    return due.length === perRound
  })

  yield* supervisor.fork(
    "aggregation/nip05",
    Effect.suspend(() => settings.nip05 === "off" ? Effect.succeed(false) : round).pipe(
      Effect.catch((error) => Effect.as(Effect.logWarning("NIP-05 names not checked", Cause.fail(error)), false)),
      Effect.flatMap((isMore) => isMore ? Effect.void : Effect.sleep(period)),
      Effect.forever
    )
  )
})

export const layer = Layer.effectDiscard(make())
