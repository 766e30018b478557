#!/usr/bin/env -S node --disable-sigusr1 --max-semi-space-size=8
/**
 * Where the process starts: its ears, the cache of its code, its handlers, then the application.
 *
 * Nothing is imported before a stop can be heard, as an import would be loaded before the first line: as process 1 of a
 * container, a signal that nobody has a handler for is discarded by the kernel.
 *
 * This and the cache are JavaScript: types in a file that is loaded before the cache is enabled would have to be stripped at
 * every start, and loading what strips them takes a tenth of one.
 */
const nodeMin = 26
if (Number.parseInt(process.versions.node, 10) < nodeMin) {
  const found = `This is Node ${process.versions.node}, and profile-aggregator needs ${nodeMin} or later.`
  process.stderr.write(
    `${found} Install one, or let npm bring it along: npx --package=node@${nodeMin} -- node ${process.argv[1]}\n`
  )
  process.exit(69)
}

const stops = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])
/** @type {Array<NodeJS.Signals>} */
const heard = []
/** @param {NodeJS.Signals} signal */
const hear = (signal) => void heard.push(signal)
for (const signal of stops) process.on(signal, hear)

const v8Flags = await import("./lifecycle/v8Flags.js")
v8Flags.set()
const compileCache = await import("./lifecycle/compileCache.js")
compileCache.enable()
const { install } = await import("./lifecycle/process.ts")
const host = install()
for (const signal of stops) process.off(signal, hear)
// All that came so far is one stop.
const [first] = heard
if (first !== undefined) process.emit(first, first)
const { run } = await import("./cli/Cli.ts")
run(host)
