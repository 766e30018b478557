/** The fetcher as the service builds it, with a fake DNS and loopback exempt, and deadlines short enough for tests. */
import { Layer } from "effect"
import type { Network } from "../../src/config/Notation.ts"
import type { AddressGuard } from "../../src/fetch/AddressGuard.ts"
import { layerWith as addressGuardLayerWith } from "../../src/fetch/AddressGuard.ts"
import type { Deadlines } from "../../src/fetch/Exchange.ts"
import type { GuardedFetch } from "../../src/fetch/GuardedFetch.ts"
import { layerWith as guardedFetchLayerWith } from "../../src/fetch/GuardedFetch.ts"
import type { HostBudgets } from "../../src/fetch/HostBudgets.ts"
import { layerWith as hostBudgetsLayerWith, type Options as Budgets } from "../../src/fetch/HostBudgets.ts"
import { type FakeDns, make as makeDns } from "./FakeDns.ts"

export const loopback: Network = { address: "127.0.0.1", prefix: 32, family: "ipv4" }

export interface Options {
  readonly dns?: FakeDns
  readonly allow?: ReadonlyArray<Network>
  readonly deadlines?: Partial<Deadlines>
  readonly budgets?: Partial<Budgets>
}

/** Milliseconds. */
const deadlines: Deadlines = { connect: 1000, idle: 300, total: 1000 }

export const layer = (options: Options = {}): Layer.Layer<GuardedFetch | HostBudgets | AddressGuard> =>
  guardedFetchLayerWith({ deadlines: { ...deadlines, ...options.deadlines } }).pipe(
    Layer.provideMerge(hostBudgetsLayerWith({ perMinuteOf: () => 10_000, ...options.budgets })),
    Layer.provideMerge(addressGuardLayerWith(options.allow ?? [loopback])),
    Layer.provide((options.dns ?? makeDns()).layer)
  )
