/**
 * Small ways in which somebody might break a file, found in its text: a finalizer that is not registered, a mask that is not
 * there, a wait that nobody waits for, a comparison the wrong way round. Each is one mutant of the file.
 */
import { stripTypeScriptTypes } from "node:module"

export interface Mutant {
  /** Line, from 1. */
  readonly line: number
  /** That line as it was. */
  readonly text: string
  /** What was done, in one line. */
  readonly what: string
  readonly source: string
}

/** The end of the bracket that opens at `open`, strings and comments skipped. */
const closing = (source: string, open: number): number => {
  let depth = 0
  for (let at = open; at < source.length; at++) {
    const char = source[at] as string
    if (source.startsWith("//", at)) at = source.indexOf("\n", at)
    else if (source.startsWith("/*", at)) at = source.indexOf("*/", at) + 1
    else if (char === "\"" || char === "'" || char === "`") {
      for (at++; at < source.length && source[at] !== char; at++) if (source[at] === "\\") at++
    } else if ("([{".includes(char)) depth++
    else if (")]}".includes(char) && --depth === 0) return at
  }
  return -1
}

/** Start and end of each argument of the call whose bracket opens at `open`. */
const argumentsOf = (source: string, open: number): ReadonlyArray<readonly [number, number]> => {
  const end = closing(source, open)
  const found: Array<readonly [number, number]> = []
  let start = open + 1
  for (let at = open + 1; at < end; at++) {
    const char = source[at] as string
    if ("([{".includes(char)) at = closing(source, at)
    else if (char === "\"" || char === "'" || char === "`") {
      for (at++; at < end && source[at] !== char; at++) if (source[at] === "\\") at++
    } else if (char === ",") {
      found.push([start, at])
      start = at + 1
    }
  }
  return source.slice(start, end).trim() === "" ? found : [...found, [start, end]]
}

/** Where an expression of names, dots and calls ends that starts at `start`. */
const endOfChain = (source: string, start: number): number => {
  for (let at = start; at < source.length; at++) {
    if (source[at] === "(") at = closing(source, at)
    else if (!/[\w.]/.test(source[at] as string)) return at
  }
  return source.length
}

type Edit = readonly [from: number, to: number, text: string, what: string]

/** Calls by name, with where their bracket opens. */
function* calls(source: string, name: string): Generator<readonly [start: number, open: number]> {
  for (let at = source.indexOf(`${name}(`); at >= 0; at = source.indexOf(`${name}(`, at + 1)) {
    yield [at, at + name.length]
  }
}

/** A wrapper is taken away: of a call with one argument, or in a pipe, nothing is left. */
function* unwrapped(source: string, name: string): Generator<Edit> {
  for (const [start, open] of calls(source, name)) {
    const parts = argumentsOf(source, open)
    const end = closing(source, open) + 1
    const [first] = parts
    if (first === undefined) continue
    const isInPipe = parts.length === 1 && /(?:\(|,)\s*$/.test(source.slice(0, start))
    yield [
      start,
      end,
      isInPipe && name !== "Effect.uninterruptible" ? "((self) => self)" : source.slice(...first).trim(),
      `without ${name}`
    ]
  }
}

function* edits(source: string): Generator<Edit> {
  for (const [start, open] of calls(source, "Effect.addFinalizer")) {
    yield [start, closing(source, open) + 1, "Effect.void", "without its finalizer"]
  }
  for (const [, open] of calls(source, "Effect.acquireRelease")) {
    const release = argumentsOf(source, open)[1]
    if (release !== undefined) yield [...release, " () => Effect.void", "nothing is released"]
  }
  for (const name of ["Effect.uninterruptible", "Effect.ensuring", "Effect.onExit", "Effect.interruptible"]) {
    yield* unwrapped(source, name)
  }
  for (const [start] of calls(source, "Effect.uninterruptibleMask")) {
    yield [start, start + "Effect.uninterruptibleMask".length, "((use) => use((self) => self))", "without its mask"]
  }
  for (
    const [name, other] of [
      ["Queue.end", "Queue.shutdown"],
      ["forkDetach", "forkChild"],
      ["forkScoped", "forkDetach"],
      ["raceFirst", "race"],
      ["startImmediately: true", "startImmediately: false"],
      ["Deferred.await", "Deferred.isDone"],
      ["Fiber.await", "Effect.succeed"]
    ] as const
  ) {
    for (let at = source.indexOf(name); at >= 0; at = source.indexOf(name, at + 1)) {
      yield [at, at + name.length, other, `${name} is ${other}`]
    }
  }
  const operators: ReadonlyArray<readonly [RegExp, string]> = [
    [/ === /g, " !== "],
    [/ !== /g, " === "],
    [/ > /g, " >= "],
    [/ >= /g, " < "],
    [/ < /g, " <= "],
    [/ <= /g, " > "],
    [/ && /g, " || "],
    [/ \|\| /g, " && "],
    [/ \?\?= /g, " = "],
    [/\+\+/g, "--"],
    [/\+= /g, "-= "]
  ]
  for (const [operator, other] of operators) {
    for (const { 0: text, index } of source.matchAll(operator)) {
      yield [index, index + text.length, other, `${text.trim()} is ${other.trim()}`]
    }
  }
  // Statements of one line that neither declare nor return anything.
  for (
    const { 0: text, index } of source.matchAll(/^ {2,}(?:yield\* )?[A-Za-z#?.![\]]+(?:\([^\n]*\)| = [^\n]+|\+\+)$/gm)
  ) {
    if (/^\s*(?:const|let|return|import|export|type|readonly|case|default|for|while|if)\b/.test(text)) continue
    yield [index, index + text.length, "", `without: ${text.trim()}`]
  }
  // Waits of several lines.
  for (const { 0: text, index } of source.matchAll(/^ {2,}yield\* /gm)) {
    const end = endOfChain(source, index + text.length)
    const statement = source.slice(index, end)
    if (statement.includes("\n") && source[end] === "\n") {
      yield [index, end, "", `without: ${statement.trim().split("\n")[0]}`]
    }
  }
  // Early ends: a condition that never holds.
  for (const { 0: text, index } of source.matchAll(/\bif \(/g)) {
    const open = index + text.length - 1
    const [condition] = argumentsOf(source, open)
    if (condition !== undefined) yield [...condition, "false", `never: if (${source.slice(...condition)})`]
  }
}

const isInComment = (source: string, at: number): boolean => {
  const line = source.slice(source.lastIndexOf("\n", at) + 1, source.indexOf("\n", at)).trim()
  return line.startsWith("//") || line.startsWith("*") || line.startsWith("/*")
}

/** Every mutant that is still a program. */
export const mutantsOf = (source: string): ReadonlyArray<Mutant> => {
  const all = new Map<string, Mutant>()
  for (const [from, to, instead, what] of edits(source)) {
    if (isInComment(source, from)) continue
    const mutated = source.slice(0, from) + instead + source.slice(to)
    if (mutated === source || all.has(mutated)) continue
    try {
      stripTypeScriptTypes(mutated)
    } catch {
      continue
    }
    const line = source.slice(0, from + (/^\s*/.exec(source.slice(from))?.[0].length ?? 0)).split("\n").length
    const text = source.split("\n")[line - 1]?.trim() ?? ""
    all.set(mutated, { line, text, what: what.replaceAll(/\s+/g, " "), source: mutated })
  }
  return [...all.values()].toSorted((a, b) => a.line - b.line)
}
