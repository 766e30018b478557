#!/usr/bin/env -S node --disable-sigusr1 --max-semi-space-size=8
/**
 * Where the process starts: the cache of its code, its handlers, then the application.
 *
 * This and the cache are JavaScript: types in a file that is loaded before the cache is enabled would have to be stripped at
 * every start, and loading what strips them takes a tenth of one.
 */
import * as compileCache from "./lifecycle/compileCache.js"

compileCache.enable()
const { install } = await import("./lifecycle/process.ts")
const host = install()
const { run } = await import("./cli/Cli.ts")
run(host)
