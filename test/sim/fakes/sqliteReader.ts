/** Reads of a world's disk by the service's own code. */
import * as SqliteReader from "../../../src/database/sqlite/SqliteReader.ts"
import { run } from "../Run.ts"

export const make = (_connection: unknown): SqliteReader.SqliteReader => SqliteReader.make(run().disk.connection)
