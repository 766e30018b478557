/** For `node --import`: the service on a database that is never synced, which a power cut has to show. */
import { install } from "../sim/rewriting.ts"

install([{ file: "database/sqlite/connection.ts", from: "PRAGMA synchronous = FULL", to: "PRAGMA synchronous = OFF" }])
