/** Files for those who run the service: they say nothing that the program does not know, and do what docs/operations.md says. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { request } from "node:https"
import { connect, createServer } from "node:net"
import { join } from "node:path"
import { WebSocket } from "ws"
import { rows } from "../../src/config/SettingsTable.ts"
import * as Metrics from "../../src/observability/Metrics.ts"
import { profileEvent } from "../support/events.ts"
import { folder } from "../support/service.ts"
import * as Service from "../support/service.ts"

const root = join(import.meta.dirname, "../..")
const deploy = join(root, "docs/deploy")
const read = (name: string): string => readFileSync(join(deploy, name), "utf8")

const has = (command: string): boolean =>
  spawnSync("sh", ["-c", `command -v ${command}`], { stdio: "ignore" }).status === 0

describe("settings in files for operators", () => {
  const known = new Set(rows.map(({ setting }) => setting.variable))
  for (
    const [name, pattern] of [
      ["compose.yaml", /^      ([A-Z][A-Z_]+): /gm],
      ["profile-aggregator.service", /^Environment=([A-Z_]+)=/gm],
      ["Dockerfile", /(?:^ENV |(?<=^ENV .* ))([A-Z_]+)=/gm]
    ] as const
  ) {
    it(`${name} names none that the program does not have`, () => {
      const named = Array.from(read(name).matchAll(pattern), ([, variable]) => variable as string)
      assert.isNotEmpty(named)
      // Of the container beside ours.
      assert.deepStrictEqual(named.filter((variable) => !known.has(variable) && variable !== "RELAY_HOST"), [])
    })
  }

  it("copy into the image what is there", () => {
    const copied = Array.from(
      read("Dockerfile").matchAll(/^COPY (?!--from)(.*) \S+$/gm),
      ([, paths]) => paths!.split(" ")
    ).flat()
    assert.includeMembers(copied, ["package.json", "patches"])
    assert.deepStrictEqual(copied.filter((path) => !existsSync(join(root, path))), [])
    // What `npm ci` needs beside the list of packages: folders that it names.
    const folders = Array.from(
      readFileSync(join(root, "package.json"), "utf8").matchAll(/"file:([^"]+)"/g),
      ([, path]) => path
    )
    assert.deepStrictEqual(folders.filter((folder) => !copied.some((path) => folder?.startsWith(path))), [])
  })
})

/** Names of metrics in an expression. */
const words = (expression: string) =>
  expression.match(/\b(?:process|database|crypto|aggregation|websocket|lifecycle)_[a-z0-9_]+/g) ?? []

describe("alerts and the dashboard", () => {
  const all = Object.values(Metrics).flatMap((metric): ReadonlyArray<{ readonly id: string; readonly type: string }> =>
    typeof metric === "function" ? [metric("any")] : "id" in metric ? [metric] : Object.values(metric)
  ) as ReadonlyArray<{ readonly id: string; readonly type: string }>
  const names = new Set(all.flatMap(({ id, type }) => type === "Histogram" ? [`${id}_bucket`, id] : [id]))

  it("ask for metrics that there are", () => {
    const dashboard = JSON.parse(read("dashboard.json")) as {
      readonly panels: ReadonlyArray<
        { readonly title: string; readonly targets: ReadonlyArray<{ readonly expr: string }> }
      >
    }
    const asked = [
      ...dashboard.panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => words(expr))),
      ...words(read("alerts.yml"))
    ]
    assert.isAbove(asked.length, 30)
    assert.deepStrictEqual(asked.filter((name) => !names.has(name)), [])
    // What is counted can be seen.
    const shown = new Set(asked.map((name) => name.replace(/_bucket$/, "")))
    const unseen = [...new Set(all.map(({ id }) => id))].filter((id) => !shown.has(id))
    assert.deepStrictEqual(unseen.toSorted(), hidden)
  })

  it.skipIf(!has("promtool"))("are rules that Prometheus reads (needs Debian's prometheus)", () => {
    execFileSync("promtool", ["check", "rules", join(deploy, "alerts.yml")], { stdio: "ignore" })
    execFileSync("promtool", ["check", "config", "--syntax-only", join(deploy, "prometheus.yml")], { stdio: "ignore" })
  })
})

/** Of use in a question, and not on a page. */
const hidden = [
  "aggregation_hosts_known",
  "aggregation_hosts_paused",
  "crypto_threads_replaced_total",
  "database_read_only",
  "database_write_failures_total",
  "process_uptime_seconds",
  "websocket_connections_opened_total"
].filter((name) => !read("alerts.yml").includes(name))

describe("the unit", () => {
  it.skipIf(!has("systemd-analyze"))("is exposed by at most 3.0 of 10 (needs systemd-analyze)", () => {
    const { stdout } = spawnSync(
      "systemd-analyze",
      ["security", "--offline=yes", "--no-pager", join(deploy, "profile-aggregator.service")],
      { encoding: "utf8" }
    )
    const [, level] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? assert.fail(stdout)
    assert.isAtMost(Number(level), 3)
  })
})

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" ? address?.port ?? 0 : 0)))
  })
})

/** Until somebody listens there, at most ten seconds. */
const listening = (port: number) =>
  Effect.promise(async () => {
    for (const until = Date.now() + 10_000; Date.now() < until;) {
      const isOpen = await new Promise<boolean>((resolve) => {
        const socket = connect(port, "127.0.0.1", () => (socket.destroy(), resolve(true)))
        socket.on("error", () => resolve(false))
      })
      if (isOpen) return
      await new Promise((resolve) => void setTimeout(resolve, 50))
    }
    throw new Error(`nobody listens on ${port}`)
  })

const running = (command: string, args: ReadonlyArray<string>, env: Record<string, string>) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(command, args, { stdio: "ignore", env: { ...process.env, ...env } })),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGTERM")
      })
  )

/** A client on the other side of a proxy publishes, and a browser reads the page, by TLS. */
const reaches = Effect.fnUntraced(function*(port: number) {
  const event = profileEvent()
  const ok = yield* Effect.callback<ReadonlyArray<unknown>, Error>((resume) => {
    const socket = new WebSocket(`wss://localhost:${port}/`, { rejectUnauthorized: false })
    socket.on("open", () => socket.send(JSON.stringify(["EVENT", event])))
    socket.on("message", (data) => {
      const message = JSON.parse((data as Buffer).toString()) as ReadonlyArray<unknown>
      if (message[0] !== "OK") return
      socket.on("close", () => resume(Effect.succeed(message)))
      socket.close()
    })
    socket.on("error", (error) => resume(Effect.fail(error)))
  })
  assert.deepStrictEqual(ok.slice(0, 3), ["OK", event.id, true])
  const status = yield* Effect.callback<number | undefined, Error>((resume) => {
    request({ host: "localhost", port, rejectUnauthorized: false, agent: false }, (response) => {
      response.resume().on("end", () => resume(Effect.succeed(response.statusCode)))
    }).on("error", (error) => resume(Effect.fail(error))).end()
  })
  assert.strictEqual(status, 200)
})

const behind = (port: number) =>
  Service.start({
    env: { ADMISSION: "open", RELAY_URL: `wss://localhost:${port}`, TRUSTED_PROXIES: "127.0.0.0/8,::1/128" }
  })

describe("the proxies of docs/operations.md", () => {
  it.live.skipIf(!has("nginx") || !has("openssl"))(
    "nginx passes TLS and WebSocket on (needs nginx and openssl)",
    () =>
      Effect.gen(function*() {
        const home = yield* folder
        const port = yield* freePort
        const service = yield* behind(port)
        const relay = (yield* service.listening).port
        const [certificate, key] = [join(home, "tls.pem"), join(home, "tls.key")]
        const made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
          .split(" ")
        execFileSync("openssl", [...made, "-keyout", key, "-out", certificate], { stdio: "ignore" })
        mkdirSync(join(home, "logs"))
        // As it stands, but for where it listens, what it passes to, and where its certificate lies.
        const site = read("nginx.conf").replaceAll("443", `${port}`).replace(":8080", `:${relay}`)
          .replace(/\/etc\/ssl\/\S+\.pem/, certificate).replace(/\/etc\/ssl\/\S+\.key/, key)
        writeFileSync(
          join(home, "nginx.conf"),
          `daemon off; pid ${home}/pid; error_log ${home}/error.log; events {}\nhttp { access_log off;\n${site}\n}\n`
        )
        execFileSync("nginx", ["-t", "-p", home, "-c", join(home, "nginx.conf")], { stdio: "ignore" })
        yield* running("nginx", ["-p", home, "-c", join(home, "nginx.conf")], {})
        yield* listening(port)
        yield* reaches(port)
        assert.strictEqual((yield* service.stop()).code, 0)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live.skipIf(!has("caddy"))("Caddy passes TLS and WebSocket on (needs caddy)", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const port = yield* freePort
      const plain = yield* freePort
      const service = yield* behind(port)
      const relay = (yield* service.listening).port
      // As it stands, but for a machine that has no name of its own.
      const options =
        `{\n\tadmin off\n\tskip_install_trust\n\thttp_port ${plain}\n\thttps_port ${port}\n\tlocal_certs\n}\n`
      writeFileSync(join(home, "Caddyfile"), options + read("Caddyfile"))
      yield* running("caddy", ["run", "--config", join(home, "Caddyfile"), "--adapter", "caddyfile"], {
        RELAY_HOST: "localhost",
        RELAY_ADDR: `127.0.0.1:${relay}`,
        XDG_DATA_HOME: home,
        XDG_CONFIG_HOME: home,
        HOME: home
      })
      yield* listening(port)
      yield* reaches(port)
      assert.strictEqual((yield* service.stop()).code, 0)
    }).pipe(Effect.scoped), 60_000)
})
