/** Names that are no settings: what somebody may have meant, and what became of those of the predecessor. Pure. */
import { rows } from "./SettingsTable.ts"

/** Variables of the Rust profile aggregator, and of the relay library it came with, that mean nothing here. */
const gone: Readonly<Record<string, string>> = {
  STATE_FILE: "cursors live in the database",
  RUST_LOG: "LOG_LEVEL and LOG_FORMAT",
  TOKIO_CONSOLE: "the page /console",
  IMAGE_PROXY_SECRET: "pictures are not proxied",
  NOSTR_LMDB_MODE: "the database is SQLite",
  WORKER_THREADS: "VERIFIER_THREADS",
  CRYPTO_WORKER_THREADS: "VERIFIER_THREADS",
  CRYPTO_WORKER_QUEUE_MULTIPLIER: "the queue has a bound of its own",
  BROADCAST_CHANNEL_CAPACITY: "the queue has a bound of its own",
  PROFILE_VALIDATOR_QUEUE_SIZE: "MAX_RETRIES",
  CONSUMER_RELAY_URL: "profiles are served here, not sent on",
  RELAY_BIND: "BIND_ADDR",
  RELAY_PORT: "BIND_ADDR",
  RELAY_DATA_DIR: "DATABASE_PATH and STATE_DIR",
  MAX_SUBSCRIPTION_LIMIT: "MAX_LIMIT",
  MAX_CONNECTION_DURATION: "connections last as long as they are in use; IDLE_TIMEOUT_SECS",
  IDLE_TIMEOUT: "IDLE_TIMEOUT_SECS",
  RATE_LIMIT_PER_SECOND: "RATE_PER_CONNECTION",
  RATE_LIMIT_GLOBAL: "RATE_PER_ADDRESS"
}

const known: ReadonlySet<string> = new Set(rows.map(({ setting }) => setting.variable))

/** Longest name that is compared with ours; nobody mistypes by more than two letters. */
const lengthMax = 2 + Math.max(...[...known].map(({ length }) => length))

/** Letters to add, drop, change or swap with their neighbour until one text is the other. */
const distance = (from: string, to: string): number => {
  let before: ReadonlyArray<number> = []
  let row: ReadonlyArray<number> = Array.from({ length: to.length + 1 }, (_, j) => j)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const change = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      const isSwap = from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      const swap = isSwap ? (before[j - 2] ?? Number.POSITIVE_INFINITY) + 1 : Number.POSITIVE_INFINITY
      next.push(Math.min(change, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    before = row
    row = next
  }
  return row[to.length] ?? 0
}

/** The setting that is meant, if the name is one or two edits from it, or written in another case. */
const meant = (name: string): string | undefined => {
  if (name.length > lengthMax) return undefined
  const text = name.toUpperCase().replaceAll("-", "_")
  let best: { readonly variable: string; readonly edits: number } | undefined
  for (const variable of known) {
    const edits = distance(text, variable)
    if (edits <= 2 && edits < (best?.edits ?? 3)) best = { variable, edits }
  }
  return best?.variable
}

export interface Strangers {
  /** Names that are nearly ours, and what they nearly are. */
  readonly misspelt: ReadonlyArray<{ readonly name: string; readonly meant: string }>
  /** Of the predecessor, and what became of them. */
  readonly gone: ReadonlyArray<{ readonly name: string; readonly instead: string }>
  readonly others: ReadonlyArray<string>
}

/** Those of the names that are no settings. */
export const strangersAmong = (names: Iterable<string>): Strangers => {
  const misspelt: Array<Strangers["misspelt"][number]> = []
  const former: Array<Strangers["gone"][number]> = []
  const others: Array<string> = []
  for (const name of names) {
    if (known.has(name)) continue
    const instead = Object.hasOwn(gone, name) ? gone[name] : undefined
    const variable = meant(name)
    if (instead !== undefined) former.push({ name, instead })
    else if (variable !== undefined) misspelt.push({ name, meant: variable })
    else others.push(name)
  }
  return { misspelt, gone: former, others }
}
