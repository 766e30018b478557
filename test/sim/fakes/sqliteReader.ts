/** Reads of the one connection that the store writes with, too, instead of `SqliteReader`: it keeps no snapshot, and stays open. */
import * as SqliteReader from "../../../src/database/sqlite/SqliteReader.ts"
import { run } from "../Run.ts"

const nothing = (): void => {}

export const make = (_connection: unknown): SqliteReader.SqliteReader => ({
  ...SqliteReader.make(run().disk.connection),
  hold: nothing,
  close: nothing
})
