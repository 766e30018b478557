/** What is measured by mutants, and which tests each file is met with. */
import { globSync } from "node:fs"
import { join } from "node:path"
import { type Module, modules } from "../support/modules.ts"
import { type Check, simulation, vitest } from "./MutantChecks.ts"

const unit = (...names: ReadonlyArray<string>): Check => vitest({ files: names.map((name) => `test/${name}.test.ts`) })
const processes = (named?: string): Check =>
  vitest({
    files: ["test/lifecycle/process.test.ts"],
    isReal: true,
    ...named === undefined ? {} : { named }
  })
const everyProcess = processes()
const shutdown = unit("lifecycle/Shutdown", "lifecycle/Launch", "lifecycle/Supervisor")
const watchdog = vitest({ files: ["test/lifecycle/watchdog.test.ts"], isReal: true })
const plain = unit("lifecycle/Certificate", "lifecycle/Journal")

/** Files below `src/`, each with its checks, the quickest first. */
const subjects: { readonly [file in Module]?: ReadonlyArray<Check> } = {
  [modules.Ingester]: [unit("database/Ingester"), unit("database/faults"), unit("database/Database"), simulation],
  [modules.Certificate]: [plain, shutdown],
  [modules.Journal]: [plain, shutdown, everyProcess],
  [modules.Tally]: [unit("lifecycle/Tally")],
  [modules.Slice]: [unit("lifecycle/Slice")],
  [modules.garbage]: [unit("lifecycle/garbage")],
  [modules.Launch]: [shutdown, simulation, everyProcess],
  [modules.Mailbox]: [unit("lifecycle/senders"), unit("lifecycle/Mailbox"), processes("sender|batch"), simulation],
  [modules.Output]: [unit("lifecycle/Output"), processes("log reader")],
  [modules.Report]: [unit("lifecycle/Report")],
  [modules.Shutdown]: [shutdown, unit("lifecycle/hurry"), unit("lifecycle/Mailbox"), simulation],
  [modules.ServiceManager]: [vitest({ files: ["test/lifecycle/serviceManager.test.ts"], isReal: true })],
  [modules.v8Flags]: [vitest({ files: ["test/lifecycle/v8Flags.test.ts"], isReal: true })],
  [modules.StartError]: [shutdown],
  [modules.Supervisor]: [shutdown, unit("lifecycle/Mailbox"), simulation],
  [modules.compileCache]: [unit("lifecycle/compileCache")],
  [modules.process]: [unit("lifecycle/handlers"), everyProcess],
  [modules.watchdog]: [watchdog],
  [modules.watchdogThread]: [watchdog]
}

/** The files that are to be measured; one without tests of its own is met with all that the lifecycle has. */
export const files: ReadonlyArray<string> = [
  modules.Ingester,
  ...globSync("lifecycle/**/*.{ts,js}", { cwd: join(import.meta.dirname, "../../src") })
].toSorted()
export const checksOf = (file: string): ReadonlyArray<Check> => subjects[file as Module] ?? [shutdown, everyProcess]
