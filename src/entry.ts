#!/usr/bin/env -S node --disable-sigusr1
/** Where the process starts: its handlers first, then the application. */
import * as compileCache from "./lifecycle/compileCache.ts"
import { install } from "./lifecycle/process.ts"

const host = install()
compileCache.enable()
const { run } = await import("./main.ts")
run(host)
