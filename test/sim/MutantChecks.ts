/**
 * Meets mutants with the tests that ought to notice them: in copies of the checkout, each check in a process group of its own.
 *
 * A check that takes much longer than it did on the source as it stands has hung, which is a way of noticing.
 */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { appendFileSync, cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

export interface Check {
  /** Node's own arguments; exit code 0 when nothing was noticed. */
  readonly args: ReadonlyArray<string>
  /** Files and folders that it consists of, besides the source. */
  readonly reads: ReadonlyArray<string>
  /** Real processes and real time: on a busy machine one failure says little, so it has to fail twice. */
  readonly isReal: boolean
}

/** The test files, up to the first failure; only tests whose name has `named` in it. */
export const vitest = (options: {
  readonly files: ReadonlyArray<string>
  readonly named?: string
  readonly isReal?: boolean
}): Check => ({
  args: [
    "node_modules/vitest/vitest.mjs",
    "run",
    "--bail=1",
    "--maxConcurrency=3",
    ...options.named === undefined ? [] : ["-t", options.named],
    ...options.files
  ],
  reads: options.files,
  isReal: options.isReal ?? false
})

/** Simulated runs of the whole service. */
export const simulation: Check = {
  args: ["test/sim/sim.ts", "--json", "--seeds", "40"],
  reads: ["test/sim"],
  isReal: false
}

const running = new Set<number>()
const copies = new Set<string>()

/** Ends what runs, and removes the copies. */
export const cleanUp = (): void => {
  for (const pid of running) process.kill(-pid, "SIGKILL")
  for (const copy of copies) rmSync(copy, { recursive: true, force: true })
}

/** A copy of the checkout that a mutant can be written into. */
export const copyOf = (root: string): string => {
  const copy = mkdtempSync(join(tmpdir(), "profile-aggregator-mutants-"))
  copies.add(copy)
  for (const name of ["src", "test", "docs", "package.json", "tsconfig.json", "vitest.config.ts"]) {
    cpSync(join(root, name), join(copy, name), { recursive: true })
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"))
  return copy
}

/** Runs one check in a copy; whether it passed within so many milliseconds. */
const passes = (copy: string, { args }: Check, millisMax: number): Promise<boolean> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: copy, stdio: "ignore", detached: true })
    const { pid } = child
    if (pid !== undefined) running.add(pid)
    const timer = setTimeout(() => pid !== undefined && process.kill(-pid, "SIGKILL"), millisMax)
    child.once("close", (code) => {
      clearTimeout(timer)
      if (pid !== undefined) running.delete(pid)
      resolve(code === 0)
    })
  })

/** Milliseconds that a check may take on the source as it stands. */
const baselineMax = 180_000

/** Whether a check notices what was written into the copy. */
export const notices = async (copy: string, check: Check, millisMax: number): Promise<boolean> =>
  !await passes(copy, check, millisMax) && !(check.isReal && await passes(copy, check, millisMax))

/**
 * Milliseconds that a check may take on a mutant, from how long it takes without one. Undefined for one over real processes
 * that fails then too, as it may on a machine that is very busy: it notices nothing. Any other that fails is an error.
 */
export const limitsIn = (pristine: string): (check: Check) => Promise<number | undefined> => {
  const known = new Map<Check, Promise<number | undefined>>()
  const measure = async (check: Check): Promise<number | undefined> => {
    const begun = performance.now()
    if (!await notices(pristine, check, baselineMax)) return 10_000 + 4 * (performance.now() - begun)
    const line = `fails without any mutant: node ${check.args.join(" ")}`
    if (!check.isReal) throw new Error(line)
    console.error(line)
    return undefined
  }
  return (check) => {
    const limit = known.get(check) ?? measure(check)
    known.set(check, limit)
    return limit
  }
}

/** What measures the score lies beside the simulation and is no part of it: a new reason changes no finding. */
const isOurs = (file: string): boolean => /\/(?:mutants|MutantChecks|Mutations|survivors)\.ts$/.test(file)

const filesIn = (root: string, path: string): ReadonlyArray<string> =>
  path.endsWith(".ts")
    ? [path]
    : globSync(`${path}/**/*.ts`, { cwd: root }).filter((file) => !isOurs(file)).toSorted()

/**
 * Which check noticed which mutant, by the text of both, so that a run can be broken off and resumed. A change elsewhere in
 * the source does not make it forget.
 */
export class Findings {
  readonly #path: string
  readonly #root: string
  readonly #known: Map<string, boolean>
  readonly #texts = new Map<Check, string>()

  constructor(root: string, isFresh: boolean) {
    this.#root = root
    this.#path = join(root, "node_modules/.cache/mutants")
    this.#known = new Map(isFresh ? [] : this.#read())
  }

  #read(): ReadonlyArray<[string, boolean]> {
    try {
      const lines = readFileSync(this.#path, "utf8").trimEnd().split("\n")
      return lines.map((line) => [line.slice(2), line.startsWith("+")])
    } catch {
      return []
    }
  }

  #textOf(check: Check): string {
    const known = this.#texts.get(check)
    if (known !== undefined) return known
    const files = check.reads.flatMap((path) => filesIn(this.#root, path))
    const text = [...check.args, ...files.map((file) => readFileSync(join(this.#root, file), "utf8"))].join("\0")
    this.#texts.set(check, text)
    return text
  }

  #keyOf(source: string, check: Check): string {
    return createHash("sha256").update(source).update(this.#textOf(check)).digest("base64url")
  }

  get(source: string, check: Check): boolean | undefined {
    return this.#known.get(this.#keyOf(source, check))
  }

  set(source: string, check: Check, wasNoticed: boolean): void {
    const key = this.#keyOf(source, check)
    this.#known.set(key, wasNoticed)
    mkdirSync(dirname(this.#path), { recursive: true })
    appendFileSync(this.#path, `${wasNoticed ? "+" : "-"} ${key}\n`)
  }
}
