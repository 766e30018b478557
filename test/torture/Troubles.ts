/**
 * What befalls the store of a service that serves: its file is moved away, removed or replaced, or its disk fills and empties;
 * and what is owed to clients all the same.
 */
import { Effect, Option } from "effect"
import * as fs from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type * as Flood from "../support/Flood.ts"
import * as smallDisk from "../support/smallDisk.ts"
import type { Displaced, FullDisk } from "./Plan.ts"

/** Bytes of a disk that fills. */
export const diskBytes = 48 * 1024 * 1024

/** Milliseconds until somebody is told that a disk is full, and until somebody is served again once there is room. */
const patience = { full: 3000, room: 20_000 }

export interface Befallen {
  /** Where to look for what was acknowledged, when all is over. */
  readonly path: string
  /** What clients were told that they should not have been; to be asked when all is over. */
  readonly judge: () => ReadonlyArray<string>
}

/** As an operator makes one, beside a service that runs. */
const backUp = (path: string, to: string) => {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    db.prepare("VACUUM INTO ?").run(to)
  } finally {
    db.close()
  }
}

/** Takes the file, or its log, from where the service has it. Whatever is done, both are found under the path that it returns. */
const displace = (how: Displaced["how"], path: string): string => {
  const kept = fs.mkdtempSync(`${path}.kept-`)
  const keptPath = join(kept, "profiles.db")
  const backup = join(kept, "backup.db")
  if (how === "replaced by a backup") backUp(path, backup)
  for (const part of ["", "-wal", "-shm"]) {
    if (how === "moved") fs.renameSync(path + part, keptPath + part)
    else fs.linkSync(path + part, keptPath + part)
  }
  if (how === "removed") fs.rmSync(path)
  if (how === "removed, its log only") fs.rmSync(`${path}-wal`)
  if (how === "replaced by a backup") fs.renameSync(backup, path)
  return keptPath
}

/** The file of that path is not there any more: nothing that is sent from now on may be acknowledged. */
export const displaced = (how: Displaced["how"], path: string, floods: ReadonlyArray<Flood.Flood>): Befallen => {
  const kept = displace(how, path)
  const before = floods.map(({ sent }) => sent.length)
  return {
    path: kept,
    judge: () =>
      floods.flatMap(({ answers, sent }, n) =>
        sent.slice(before[n])
          .filter((id) => answers.get(id)?.includes(true) === true)
          .map((id) => `${id} was acknowledged after the file was ${how}`)
      )
  }
}

const tellsOfIt = (refusal: string) => refusal === "error: the disk is full"

/**
 * Fills the disk of that path to its last page, waits until a client is told so, and empties it; then, if the plan has it so,
 * until a client is served again.
 */
export const fullDisk = Effect.fnUntraced(
  function*(plan: FullDisk, folder: string, path: string, floods: ReadonlyArray<Flood.Flood>) {
    const wrong: Array<string> = []
    const makeRoom = smallDisk.exhaust(folder)
    const soon = (isSo: (flood: Flood.Flood) => boolean, millis: number) =>
      Effect.raceAllFirst(floods.map((flood) => flood.until(() => isSo(flood)))).pipe(Effect.timeoutOption(millis))
    yield* soon(({ refusals }) => refusals.values().some(tellsOfIt), patience.full)
    yield* Effect.sleep(plan.millis)
    makeRoom()
    const before = new Map(floods.map((flood) => [flood, flood.sent.length]))
    if (plan.waitsForRoom) {
      const isServed = (flood: Flood.Flood) =>
        flood.sent.slice(before.get(flood)).some((id) => flood.answers.get(id)?.includes(true) === true)
      if (Option.isNone(yield* soon(isServed, patience.room))) {
        wrong.push("there was room again, and nothing was written")
      }
    }
    return { path, judge: () => wrong } satisfies Befallen
  }
)
