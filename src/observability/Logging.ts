/**
 * Logs: a fixed phrase and fields, one line each; for people on a terminal, as JSON everywhere else.
 *
 * Fields may hold what a stranger wrote (a close reason, an error's message), so every string is escaped and cut here,
 * once, whoever logs it.
 */
import { Cause, Formatter, Layer, Logger, LogLevel, Redactable, References } from "effect"
import { escape, escapeLines } from "./Escape.ts"

/** UTF-16 code units of a phrase, which is ours, and of a field's text, which may be a stranger's. */
const phraseMax = 1024
const textMax = 256
/** UTF-16 code units of a cause with its stack traces. */
const causeMax = 8192
/** Elements of a list or keys of an object, and how deep they nest. */
const elementsMax = 32
const depthMax = 3

/** What an operator may ask for: the least important level that is written; `None`: nothing. */
export type Level = "Trace" | "Debug" | "Info" | "Warn" | "Error" | "None"

/** `auto`: pretty on a terminal, JSON otherwise. */
export type Format = "auto" | "pretty" | "json"

export interface LoggingOptions {
  /** Takes one entry without its newline. On a terminal, an entry with a cause has line breaks inside. */
  readonly sink: (line: string) => void
  /** The least important level to write, asked for with every entry. */
  readonly level: () => Level
  readonly format: Format
  readonly isTerminal: boolean
}

type Plain = string | number | boolean | null | ReadonlyArray<Plain> | { readonly [key: string]: Plain }

interface Entry {
  readonly time: Date
  readonly level: LogLevel.LogLevel
  readonly message: string
  readonly fields: { readonly [key: string]: Plain }
  readonly cause: string | undefined
}

/** A value as JSON can hold it, bounded in every direction. */
const plain = (value: unknown, depth: number): Plain => {
  const shown = Redactable.redact(value)
  switch (typeof shown) {
    case "string":
      return escape(shown, textMax)
    case "number":
      return Number.isFinite(shown) ? shown : String(shown)
    case "boolean":
      return shown
    case "object":
      break
    default:
      return escape(String(shown), textMax)
  }
  if (shown === null) return null
  if (shown instanceof Error) return escape(`${shown.name}: ${shown.message}`, textMax)
  if (depth >= depthMax) return "…"
  if (Array.isArray(shown)) return shown.slice(0, elementsMax).map((element) => plain(element, depth + 1))
  if (Object.getPrototypeOf(shown) !== Object.prototype) return escape(Formatter.format(shown), textMax)
  return Object.fromEntries(
    Object.entries(shown).slice(0, elementsMax).map((
      [key, element]
    ) => [escape(key, textMax), plain(element, depth + 1)])
  )
}

/** Names that a line has already; a field of the same name must not hide them. */
const reserved: ReadonlySet<string> = new Set(["time", "level", "message", "cause"])

const entryOf = ({ cause, date, fiber, logLevel, message }: Logger.Options<unknown>): Entry => {
  const [phrase, ...rest] = Array.isArray(message) ? message : [message]
  const fields: Record<string, Plain> = {}
  // What a value's own `toString` or getter throws must not become the failure of whoever logged it.
  const put = (name: string, value: unknown) => {
    const key = reserved.has(name) ? `${name}_` : name
    try {
      fields[key] = plain(value, 0)
    } catch {
      fields[key] = "<unprintable>"
    }
  }
  const { component, ...others } = fiber.getRef(References.CurrentLogAnnotations)
  if (component !== undefined) put("component", component)
  for (const [name, value] of Object.entries(others)) put(name, value)
  if (rest.length > 0) put("details", rest)
  if (typeof phrase !== "string") put("details", [phrase, ...rest])
  return {
    time: date,
    level: logLevel,
    message: typeof phrase === "string" ? escape(phrase, phraseMax) : "",
    fields,
    cause: cause.reasons.length === 0 ? undefined : escapeLines(Cause.pretty(cause), causeMax)
  }
}

/** `{"time","level","message","component",…fields,"cause"?}` */
const jsonLine = (entry: Entry): string =>
  JSON.stringify({
    time: entry.time.toISOString(),
    level: entry.level.toLowerCase(),
    message: entry.message,
    ...entry.fields,
    ...(entry.cause === undefined ? {} : { cause: entry.cause })
  })

const colorOf: { readonly [level in LogLevel.LogLevel]?: string } = {
  Fatal: "31;1",
  Error: "31",
  Warn: "33",
  Info: "32",
  Debug: "34",
  Trace: "90"
}

const paint = (colors: boolean, code: string, text: string) => (colors ? `\u001b[${code}m${text}\u001b[0m` : text)

const shown = (value: Plain): string =>
  typeof value === "string" && /^[^\s"=]+$/u.test(value) ? value : JSON.stringify(value)

/** `12:34:56.789 INFO  database: opened path=… `, with colours or without. */
const prettyLine = (colors: boolean) => (entry: Entry): string => {
  const { component, ...fields } = entry.fields
  const head = [
    paint(colors, "90", entry.time.toISOString().slice(11, 23)),
    paint(colors, colorOf[entry.level] ?? "0", entry.level.toUpperCase().padEnd(5)),
    ...(component === undefined ? [] : [paint(colors, "36", `${shown(component)}:`)]),
    paint(colors, "1", entry.message),
    ...Object.entries(fields).map(([name, value]) => `${paint(colors, "90", `${name}=`)}${shown(value)}`)
  ].join(" ")
  return entry.cause === undefined ? head : `${head}\n${entry.cause.replace(/^/gmu, "    ")}`
}

/** Replaces the default logger. */
export const layer = (options: LoggingOptions): Layer.Layer<never> => {
  const pretty = options.format === "pretty" || (options.format === "auto" && options.isTerminal)
  const format = pretty ? prettyLine(options.isTerminal) : jsonLine
  return Layer.merge(
    Logger.layer([
      Logger.make((entry: Logger.Options<unknown>) => {
        if (LogLevel.isGreaterThanOrEqualTo(entry.logLevel, options.level())) options.sink(format(entryOf(entry)))
      })
    ]),
    // A fiber keeps its own copy of this one, which would outlive a change of the level.
    Layer.succeed(References.MinimumLogLevel, "All")
  )
}
