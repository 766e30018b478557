/** The demo as a process, without its command line: `[profiles]`. Run by `process.test.ts`. */
import { install } from "../../src/lifecycle/process.ts"

const host = install()
const [profiles = "300"] = process.argv.slice(2)

const { NodeRuntime } = await import("@effect/platform-node")
const { demo } = await import("../../src/demo/Demo.ts")
const { teardown } = await import("../../src/lifecycle/Launch.ts")
const { Service } = await import("../../src/main.ts")

NodeRuntime.runMain(demo(host, Service, { profiles: Number(profiles), port: 0 }), {
  teardown: teardown(host),
  disableErrorReporting: true
})
