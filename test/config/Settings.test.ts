import { NodeFileSystem, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, FileSystem, Layer, Logger, Option, Redacted, Result, Runtime } from "effect"
import { Command } from "effect/cli"
import * as fs from "node:fs"
import { cliConfig, flags, fromFlags } from "../../src/config/Flags.ts"
import { type Given, Settings, type SettingsShape } from "../../src/config/Settings.ts"
import { dotEnvExample, flagName, markdown, rows } from "../../src/config/SettingsTable.ts"
import { strangersAmong } from "../../src/config/Spelling.ts"

const none: Given = { flags: {}, file: Option.none() }

interface World {
  readonly flags?: Record<string, string>
  readonly environment?: Record<string, string>
  /** Contents of `.env`. */
  readonly file?: string
  readonly given?: Given
}

/** Loads settings in a directory of its own, which is given to `inspect` too. */
const load = ({ environment = {}, file, flags = {}, given }: World) => {
  const made: Array<string> = []
  const files = FileSystem.layerNoop({
    readFileString: (path) =>
      file !== undefined && path === ".env"
        ? Effect.succeed(file)
        : Effect.flatMap(
          FileSystem.FileSystem,
          (real) => real.readFileString("/nonexistent/settings.env")
        ).pipe(Effect.provide(NodeFileSystem.layer)),
    makeDirectory: (path) => Effect.sync(() => void made.push(path))
  })
  return Settings.pipe(
    Effect.provide(
      Settings.layer(given ?? { ...none, flags }).pipe(
        Layer.provide(files),
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment)))
      )
    ),
    Effect.map(({ now: settings }) => ({ settings, made }))
  )
}

const settingsOf = (world: World): Effect.Effect<SettingsShape, unknown> =>
  Effect.map(load(world), ({ settings }) => settings)

/** What was logged, what was said at last, and the exit code of a refused start. */
const refusalOf = (world: World) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const log = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.flip(load(world)).pipe(
      Effect.provide(Logger.layer([log])),
      Effect.map((error) => ({ lines, message: error.message, code: Runtime.getErrorExitCode(error) }))
    )
  })

const domainsOf = (BRIDGE_DOMAINS: string) =>
  Effect.map(settingsOf({ environment: { BRIDGE_DOMAINS } }), ({ rules }) => rules.bridgeDomains)
const dayOf = (CREATED_AT_MIN: string) =>
  Effect.map(settingsOf({ environment: { CREATED_AT_MIN } }), ({ rules }) => rules.createdAtMin)

describe("Settings, where a value comes from", () => {
  it.effect("is the defaults when nobody says anything", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* settingsOf({}), Settings.defaults)
      assert.deepStrictEqual(Settings.defaults.bindAddr, { host: "127.0.0.1", port: 8080 })
      assert.deepStrictEqual(Settings.defaults.upstreams, ["wss://relay.nos.social"])
      assert.strictEqual(Settings.defaults.pageSize, 500)
      assert.strictEqual(Duration.toSeconds(Settings.defaults.initialBackoff), 2)
      assert.strictEqual(Duration.toSeconds(Settings.defaults.maxBackoff), 300)
    }))

  it.effect("takes the file before the default, the environment before the file, and the flag before all", () =>
    Effect.gen(function*() {
      const file = "# comment\nPAGE_SIZE=10\n"
      assert.strictEqual((yield* settingsOf({ file })).pageSize, 10)
      assert.strictEqual((yield* settingsOf({ file, environment: { PAGE_SIZE: "20" } })).pageSize, 20)
      assert.strictEqual(
        (yield* settingsOf({ file, environment: { PAGE_SIZE: "20" }, flags: { PAGE_SIZE: "30" } })).pageSize,
        30
      )
    }))

  it.effect("adds to a list that begins with a plus, and replaces any other", () =>
    Effect.gen(function*() {
      const { bridgeDomains } = Settings.defaults.rules
      assert.deepStrictEqual(yield* domainsOf("+Bridge.example, brid.gy"), [...bridgeDomains, "bridge.example"])
      assert.deepStrictEqual(yield* domainsOf("bridge.example"), ["bridge.example"])
      assert.deepStrictEqual(yield* domainsOf("none"), [])
    }))

  it.effect("wants at least one where none would refuse everybody", () =>
    Effect.gen(function*() {
      for (const variable of ["PROOF_KINDS", "PICTURE_SCHEMES"]) {
        const refusal = yield* refusalOf({ environment: { [variable]: "none" } })
        assert.strictEqual(refusal.code, 78)
        assert.include(refusal.message, `${variable} is "none"`)
        assert.notInclude(refusal.message, "or none")
      }
    }))

  it.effect("takes days that exist, from the first of the network on", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* dayOf("2020-01-01"), 1_577_836_800)
      assert.strictEqual(yield* dayOf("2024-02-29"), 1_709_164_800)
      for (const wrong of ["2019-12-31", "2023-02-29", "2020-1-1", "2020-13-01", "1577836800"]) {
        const refusal = yield* refusalOf({ environment: { CREATED_AT_MIN: wrong } })
        assert.include(refusal.message, "allowed: a day (UTC)", wrong)
      }
    }))

  it.effect("takes an empty value for a missing one", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* settingsOf({ environment: { PAGE_SIZE: "" }, file: "PAGE_SIZE=7" })).pageSize, 7)
    }))

  it.effect("names the file that it was told to read and could not", () =>
    Effect.gen(function*() {
      const refusal = yield* refusalOf({ given: { flags: {}, file: Option.some("other.env") } })
      assert.deepStrictEqual(refusal, { lines: [], message: "other.env: cannot be read (NotFound)", code: 78 })
    }))

  it.effect("makes the directory of the default database, and no other", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* load({})).made, ["./data"])
      assert.deepStrictEqual((yield* load({ environment: { DATABASE_PATH: "./elsewhere/a.db" } })).made, [])
    }))

  it.effect("lets the relay's address and key file follow the port and the database", () =>
    Effect.gen(function*() {
      const settings = yield* settingsOf({ environment: { BIND_ADDR: "[::1]:7001", DATABASE_PATH: "b.db" } })
      assert.deepStrictEqual(settings.bindAddr, { host: "::1", port: 7001 })
      assert.strictEqual(settings.relayUrl, "ws://localhost:7001")
      assert.strictEqual(settings.relayKeyPath, "b.db.key")
    }))
})

describe("Settings, wrong values", () => {
  it.effect("are all reported at once, each with variable, value, source and what is allowed", () =>
    Effect.gen(function*() {
      const refusal = yield* refusalOf({
        environment: { PAGE_SIZE: "many", BIND_ADDR: "example.org:80" },
        flags: { ADMISSION: "some" },
        file: "MAX_LIMIT=0"
      })
      assert.strictEqual(refusal.code, 78)
      assert.deepStrictEqual(refusal.lines.map((line) => line.replace(/; allowed: .*/u, "")), [
        "BIND_ADDR is \"example.org:80\" (environment)",
        "ADMISSION is \"some\" (--admission)",
        "PAGE_SIZE is \"many\" (environment)",
        "MAX_LIMIT is \"0\" (.env)"
      ])
      for (const line of refusal.lines) assert.match(line, /; allowed: \S/)
      assert.strictEqual(refusal.message, "4 settings are wrong: BIND_ADDR, ADMISSION, PAGE_SIZE, MAX_LIMIT")
    }))

  it.effect("are said once when there is one", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* refusalOf({ environment: { PAGE_SIZE: "many" } }), {
        lines: [],
        message: "PAGE_SIZE is \"many\" (environment); allowed: events, 1 to 5_000",
        code: 78
      })
    }))

  it.effect("never show a secret", () =>
    Effect.gen(function*() {
      const refusal = yield* refusalOf({ environment: { RELAY_SECRET_KEY: "hunter2" } })
      assert.match(refusal.message, /^RELAY_SECRET_KEY is <redacted>/)
      assert.notInclude(refusal.message, "hunter2")
    }))

  it.effect("are escaped and cut", () =>
    Effect.gen(function*() {
      const refusal = yield* refusalOf({ environment: { PAGE_SIZE: `\u001b[2J\n${"9".repeat(10_000)}` } })
      assert.isBelow(refusal.message.length, 300)
      assert.include(refusal.message, "\\u001b[2J\\u000a999")
    }))

  it.effect("include settings that contradict each other", () =>
    Effect.gen(function*() {
      const refusal = yield* refusalOf({
        environment: { INITIAL_BACKOFF_SECS: "10", MAX_BACKOFF_SECS: "9.999", MAX_LIMIT: "10", DEFAULT_LIMIT: "11" }
      })
      assert.strictEqual(refusal.lines.length, 2)
      const even = { INITIAL_BACKOFF_SECS: "10", MAX_BACKOFF_SECS: "10", MAX_LIMIT: "10", DEFAULT_LIMIT: "10" }
      assert.strictEqual((yield* settingsOf({ environment: even })).limits.limitDefault, 10)
    }))
})

const refused = (file: string) => Effect.map(refusalOf({ file }), ({ code, message }) => [code, message])

describe("Settings, names that are none", () => {
  it.effect("stop the start where they are one or two edits from one in the file", () =>
    Effect.gen(function*() {
      const cases = {
        PAGE_SIEZ: "PAGE_SIZE",
        PAGESIZE: "PAGE_SIZE",
        DISCOVERY_RELAY_URLS: "DISCOVERY_RELAY_URL",
        MAX_LIMITED: "MAX_LIMIT",
        page_size: "PAGE_SIZE",
        "ADMIN-PUBKEY": "ADMIN_PUBKEYS"
      }
      for (const [name, meant] of Object.entries(cases)) {
        assert.deepStrictEqual(yield* refused(`${name}=1`), [
          78,
          `${name} (.env) is no setting; did you mean ${meant}?`
        ])
      }
    }))

  it.effect("are reported with everything else that is wrong", () =>
    Effect.gen(function*() {
      const { lines, message } = yield* refusalOf({ file: "PAGE_SIEZ=1\nMAX_LIMIT=0" })
      assert.strictEqual(lines.length, 2)
      assert.strictEqual(message, "2 settings are wrong: PAGE_SIEZ, MAX_LIMIT")
    }))

  it.effect("are one warning otherwise, and one each where the predecessor had them", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const log = Logger.make(({ message }) => void lines.push(String(message)))
      const file = "TZ=UTC\nNODE_ENV=production\nSTATE_FILE=x\nRUST_LOG=info\nPAGE_SIZE=5"
      const settings = yield* Effect.provide(settingsOf({ file }), Logger.layer([log]))
      assert.strictEqual(settings.pageSize, 5)
      assert.deepStrictEqual(lines, [
        "RUST_LOG means nothing here: LOG_LEVEL and LOG_FORMAT",
        "STATE_FILE means nothing here: cursors live in the database",
        "these are no settings"
      ])
    }))

  it.effect("are nobody's business in the environment", () =>
    Effect.map(settingsOf({ environment: { PAGE_SIEZ: "1" } }), ({ pageSize }) => assert.strictEqual(pageSize, 500)))

  it("are not taken for ours when three letters are wrong, and none of ours is taken for another", () => {
    const names = ["PAGE_SIZE_XX", "PAGE_SSIZEES", "GAEP_SIZE_", "NODE_ENV", "x".repeat(10_000)]
    assert.deepStrictEqual(strangersAmong(names), { misspelt: [], gone: [], others: names })
    assert.deepStrictEqual(strangersAmong(rows.map(({ setting }) => setting.variable)), {
      misspelt: [],
      gone: [],
      others: []
    })
  })
})

describe("Settings, notations", () => {
  const pubkey = "7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e"
  /** Values that are taken, with what they mean, and values that are not. */
  const cases: Record<string, { readonly good: Record<string, unknown>; readonly bad: ReadonlyArray<string> }> = {
    BIND_ADDR: {
      good: {
        "0.0.0.0:0": { host: "0.0.0.0", port: 0 },
        "localhost:65535": { host: "localhost", port: 65_535 },
        "[::]:80": { host: "::", port: 80 }
      },
      bad: ["8080", ":8080", "1.2.3.4", "1.2.3.4:65536", "1.2.3.4:-1", "::1:80", "[1.2.3.4]:80", "1.2.3:80"]
    },
    PAGE_SIZE: { good: { "1": 1, "5000": 5000, "1_000": 1000 }, bad: ["0", "5001", "-1", "1.5", "1e2", "0x10", "1_0"] },
    MAX_BACKOFF_SECS: {
      good: { "86400": Duration.seconds(86_400), "2.5": Duration.millis(2500) },
      bad: ["86400.001", "-1", "1s", "Infinity", "1.2345"]
    },
    DISCOVERY_RELAY_URL: {
      good: {
        "wss://a.example": ["wss://a.example"],
        "wss://A.example:443/, ws://b.example/x?y ,wss://A.example:443/": ["wss://a.example", "ws://b.example/x?y"],
        "wss://a.example, ": ["wss://a.example"],
        "none": []
      },
      bad: ["https://a.example", "a.example", "wss://u:p@a.example", "wss://a.example#x", "wss://a.example,,", "wss://"]
    },
    FETCH_ALLOW: {
      good: {
        "127.0.0.0/8,::1/128": [
          { address: "127.0.0.0", prefix: 8, family: "ipv4" },
          { address: "::1", prefix: 128, family: "ipv6" }
        ]
      },
      bad: ["127.0.0.1", "127.0.0.0/33", "::1/129", "fe80::1%eth0/64", "localhost/8", "1.2.3.4/8/8", "1.2.3.4/"]
    },
    PICTURE_MIN: {
      good: { "300x600": { width: 300, height: 600 }, "0x0": { width: 0, height: 0 } },
      bad: ["300", "300x", "300X600", "10001x1", "-1x1"]
    },
    PROOF_KINDS: { good: { "1": [1], "1,6, 30023": [1, 6, 30_023] }, bad: ["65536", "a", "1,,2"] },
    LOG_LEVEL: { good: { debug: "Debug", NONE: "None" }, bad: ["verbose", "off"] },
    RELAY_NAME: { good: { "Ünï": "Ünï" }, bad: ["x".repeat(101), "a\u0007b"] },
    RELAY_URL: { good: { "wss://relay.example/": "wss://relay.example" }, bad: ["https://relay.example"] },
    ADMIN_PUBKEYS: {
      good: {
        [`${pubkey.toUpperCase()},`]: [pubkey],
        "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg": [pubkey]
      },
      bad: ["npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptx", pubkey.slice(1)]
    },
    ANNOUNCE_DELAY_SECS: { good: { "0": Duration.zero, "5": Duration.seconds(5) }, bad: ["5.001"] }
  }
  for (const [variable, { bad, good }] of Object.entries(cases)) {
    const row = rows.find(({ setting }) => setting.variable === variable)
    it(`reads ${variable} exactly as documented`, () => {
      for (const [text, value] of Object.entries(good)) {
        assert.deepStrictEqual(row?.setting.decode(text), Option.some(value), text)
      }
      for (const text of bad) assert.deepStrictEqual(row?.setting.decode(text), Option.none(), text)
    })
  }

  it.effect("keeps the relay's key redacted, in both notations", () =>
    Effect.gen(function*() {
      const hex = "5c0c523f52a5b6fad39ed2403092df8cebc36318b39383bca6c00808626fab3a"
      const nsec = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5"
      for (const key of [hex, nsec]) {
        const settings = yield* settingsOf({ environment: { RELAY_SECRET_KEY: key } })
        assert.strictEqual(Redacted.value(Option.getOrThrow(settings.relaySecretKey)), key)
        assert.notInclude(JSON.stringify(settings), key)
      }
      for (const bad of [hex.slice(1), `${hex}0`, nsec.slice(1), nsec.replace("v", "b")]) {
        assert.strictEqual((yield* refusalOf({ environment: { RELAY_SECRET_KEY: bad } })).code, 78)
      }
    }))
})

describe("Settings.layerTest", () => {
  it.effect("overrides deeply and keeps the rest", () =>
    Effect.gen(function*() {
      const { now: settings } = yield* Settings
      assert.deepStrictEqual(settings, {
        ...Settings.defaults,
        databasePath: "x.db",
        stateDir: ".",
        relayKeyPath: "x.db.key",
        limits: { ...Settings.defaults.limits, limitMax: 3 }
      })
    }).pipe(Effect.provide(Settings.layerTest({ databasePath: "x.db", limits: { limitMax: 3 } }))))
})

const run = (args: ReadonlyArray<string>) =>
  Effect.suspend(() => {
    let given: Given | undefined
    const serve = Command.make("serve", flags, (parsed) => Effect.sync(() => void (given = fromFlags(parsed))))
    return Command.runWith(serve, { version: "0", renderErrors: false })(args).pipe(
      Effect.provide(Layer.merge(NodeServices.layer, cliConfig)),
      Effect.result,
      Effect.map((result) => ({ given, failed: Result.isFailure(result) }))
    )
  })

describe("flags", () => {
  it.effect("are one per setting, in kebab case, except for secrets", () =>
    Effect.gen(function*() {
      const { given } = yield* run([
        "--page-size",
        "7",
        "--log-level=debug",
        "--config",
        "a.env",
        "--signal-exit",
        "zero"
      ])
      assert.deepStrictEqual(given, {
        flags: { PAGE_SIZE: "7", LOG_LEVEL: "debug", SIGNAL_EXIT: "zero" },
        file: Option.some("a.env")
      })
      for (const { setting } of rows) {
        assert.strictEqual((yield* run([`--${flagName(setting)}`, "x"])).failed, setting.secret, setting.variable)
      }
    }))

  it.effect("leave every setting alone when none is given", () =>
    Effect.map(run([]), ({ given }) => assert.deepStrictEqual(given, none)))

  it.effect("that do not exist are refused", () =>
    Effect.map(run(["--pagesize", "7"]), ({ given, failed }) => {
      assert.isTrue(failed)
      assert.isUndefined(given)
    }))
})

const at = (path: string) => new URL(`../../${path}`, import.meta.url)

/** With UPDATE_DOCS=1 the generated text is written instead of compared. */
const same = (path: string, generate: (present: string) => string) => {
  const present = fs.readFileSync(at(path), "utf8")
  const wanted = generate(present)
  if (process.env["UPDATE_DOCS"] === "1") fs.writeFileSync(at(path), wanted)
  else {assert.strictEqual(
      present,
      wanted,
      `${path} is stale: UPDATE_DOCS=1 npx vitest run test/config/Settings.test.ts`
    )}
}

describe("the settings table", () => {
  it("is the table of docs/configuration.md", () => {
    same("docs/configuration.md", (present) => {
      const [head, rest] = present.split("<!-- settings -->\n")
      const [, tail] = (rest ?? "").split("\n<!-- /settings -->")
      assert.isDefined(tail, "docs/configuration.md has lost the marks around its table")
      return `${head}<!-- settings -->\n${markdown()}\n<!-- /settings -->${tail}`
    })
  })

  it("is .env.example", () => {
    same(".env.example", dotEnvExample)
  })

  it("names every variable once, and every default that is not derived is allowed", () => {
    assert.strictEqual(new Set(rows.map(({ setting }) => setting.variable)).size, rows.length)
    for (const { setting } of rows) {
      if (!setting.derived) assert.isTrue(Option.isSome(setting.decode(setting.default)), setting.variable)
    }
  })
})
