/**
 * A small machine: what bounds work is a sixty-fourth of what it is, so that a few hundred index entries are as much to a
 * simulated store as twenty thousand are to a real one, and each history meets every bound.
 */
import { type Module, modules } from "../support/modules.ts"
import type { Rewrite } from "./rewriting.ts"

/** Units of `domain/Work` after which a batch is cut; what a transaction may spend on removing. */
const batchMax = 256
const removedMax = 64
/** Rows of an author who vanishes that are looked at at once. */
const vanishRowsMax = 4
/** Ids and addresses that one author may have had removed without having published them here. */
export const removalsMax = 78

/**
 * Rows and index entries that one transaction may change: a batch, what it removes, and the one write or removal more by which
 * either goes over.
 */
export const changesMax = batchMax + removedMax + 64

const scaled = (file: Module, from: string, to: number): Rewrite => ({
  file,
  from,
  to: from.replace(/[\d_]+$/u, String(to))
})

export const rewrites: ReadonlyArray<Rewrite> = [
  scaled(modules.Ingester, "const workMax = 16_384", batchMax),
  scaled(modules.Removal, "export const removedMax = 4096", removedMax),
  scaled(modules.Removal, "export const removalsMax = 5000", removalsMax),
  scaled(modules.Work, "export const vanishRowsMax = 256", vanishRowsMax)
]
