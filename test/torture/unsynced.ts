/** For `node --import`: the service on a database that is never synced, which a power cut has to show. */
import { install } from "../sim/rewriting.ts"
import { modules } from "../support/modules.ts"

install([{ file: modules.connection, from: "PRAGMA synchronous = FULL", to: "PRAGMA synchronous = OFF" }])
