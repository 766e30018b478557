/**
 * Pages in a real browser: what people see, reach by keyboard, and hear read out.
 *
 * Needs Debian's chromium; without it the tests are skipped, and say how to get one.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core"
import { npubOf } from "../../src/domain/PublicKey.ts"
import { dmRelaysEvent, epoch, keyOf, profileEvent, relayListEvent } from "../support/events.ts"
import * as service from "../support/service.ts"
import * as TestClient from "../support/TestClient.ts"

const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => existsSync(path))
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

const browser: Effect.Effect<Browser, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(() =>
    chromium.launch({
      executablePath: executablePath ?? "",
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage"
      ]
    })
  ),
  (browser) => Effect.promise(() => browser.close())
)

/** People whose texts try the layout. */
const texts: ReadonlyArray<Readonly<Record<string, string>>> = [
  { display_name: "Ada Sorley", name: "ada", about: "Repairs clocks older than railways." },
  { display_name: "ليلى حداد", name: "layla", about: "أكتب عن البحر والمدن القديمة، وأصلّح القوارب الخشبية." },
  { display_name: "\u202eevil\u202c reversed", about: "<script>alert(1)</script> \" onload=\"alert(2)" },
  { display_name: "x".repeat(300), about: "y".repeat(4000) },
  { display_name: "סמדר", about: "כותבת על הגאות והשפל" },
  { display_name: "Zalgo " + "e\u0301\u0302\u0303\u0304".repeat(40), about: "marks above marks" },
  { name: "bot", about: "Says the time.", bot: "true" }
]

const started = Effect.gen(function*() {
  const running = yield* service.start({ env: { ADMISSION: "open", RELAY_NAME: "Faces" } })
  const { http, url } = yield* running.listening
  const client = yield* TestClient.connect(url)
  const people = [
    ...texts,
    ...Array.from({ length: 30 }, (_, i) => ({ display_name: `Person ${i}`, about: "One of many." }))
  ]
  for (const [i, fields] of people.entries()) {
    yield* client.publish(profileEvent(fields, `person ${i}`, { created_at: epoch + 100 - i }))
  }
  yield* client.publish(
    relayListEvent({ write: ["wss://relay.example", `wss://${"long.".repeat(20)}example`] }, "person 0")
  )
  yield* client.publish(dmRelaysEvent(["wss://dm.example"], "person 0"))
  return { http }
})

const openPage = (browser: Browser, options: BrowserContextOptions) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const context = await browser.newContext(options)
      return { context, page: await context.newPage() }
    }),
    ({ context }) => Effect.promise(() => context.close())
  )

/** Runs in the page. A column in which words stand a letter to a line can be valid, and cannot be read. */
const narrowElements = `[...document.querySelectorAll("td, th, dd, p, h1, h2, h3, li")].filter((element) => {
  const { height, width } = element.getBoundingClientRect()
  const sixLetters = Number.parseFloat(getComputedStyle(element).fontSize) * 3
  return element.textContent.trim().length > 6 && height > 0 && width > 1 && width < sixLetters &&
    element.closest(".visually-hidden, thead") === null
}).map((element) => element.outerHTML.slice(0, 80))`

/** What is wrong with a page that has been loaded. */
const faultsOf = async (page: Page): Promise<ReadonlyArray<string>> => {
  const { violations } = await page.evaluate<
    { violations: ReadonlyArray<{ id: string; nodes: ReadonlyArray<{ html: string }> }> }
  >(
    `${axe}; axe.run()`
  )
  const isWide = await page.evaluate<boolean>("document.documentElement.scrollWidth > innerWidth")
  const narrow = await page.evaluate<ReadonlyArray<string>>(narrowElements)
  return [
    ...violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 120)}`),
    ...(isWide ? ["it is wider than the window"] : []),
    ...narrow.map((element) => `narrow: ${element}`)
  ]
}

describe.skipIf(executablePath === undefined)(
  "pages in a browser (needs chromium: apt-get install chromium)",
  () => {
    it.live(
      "are without fault in both themes, on a phone and on a desk, and ask nobody else",
      () =>
        Effect.gen(function*() {
          const { http } = yield* started
          const chrome = yield* browser
          const paths = [
            "/",
            "/explore",
            "/explore?q=person",
            "/explore?q=nobody%20at%20all",
            `/p/${npubOf(keyOf("person 0").pubkey)}`,
            `/p/${npubOf(keyOf("person 1").pubkey)}`,
            `/p/${npubOf(keyOf("person 2").pubkey)}`,
            `/p/${npubOf(keyOf("person 3").pubkey)}`,
            `/p/${npubOf("ab".repeat(32))}`,
            "/random?count=12",
            "/relays",
            "/live",
            "/stats",
            "/policy",
            "/api",
            "/nowhere",
            "/console"
          ]
          for (const colorScheme of ["light", "dark"] as const) {
            for (const width of [390, 1280]) {
              const { page } = yield* openPage(chrome, { colorScheme, viewport: { width, height: 900 } })
              const said: Array<string> = []
              page.on("console", (message) => {
                // A page that is not there is said to be missing, and it is.
                if (message.type() === "error" && !/status of 404/u.test(message.text())) said.push(message.text())
              })
              page.on("pageerror", (error) => said.push(String(error)))
              page.on("request", (asked) => {
                if (!asked.url().startsWith(http)) said.push(`asked ${asked.url()}`)
              })
              for (const path of paths) {
                yield* Effect.promise(() => page.goto(`${http}${path}`))
                const faults = yield* Effect.promise(() => faultsOf(page))
                assert.deepStrictEqual([...faults, ...said], [], `${path} ${colorScheme} ${width}`)
              }
            }
          }
        }).pipe(Effect.scoped),
      240_000
    )

    it.live("suggest from the first letter, by keyboard alone", () =>
      Effect.gen(function*() {
        const { http } = yield* started
        const { page } = yield* openPage(yield* browser, { viewport: { width: 1280, height: 900 } })
        yield* Effect.promise(async () => {
          await page.goto(`${http}/explore`)
          const box = page.getByRole("combobox", { name: "Name, address or npub" })
          await box.focus()
          await box.pressSequentially("a")
          const list = page.getByRole("listbox", { name: "Suggestions" })
          await list.waitFor()
          assert.strictEqual(await box.getAttribute("aria-expanded"), "true")
          assert.include(await list.getByRole("option").first().textContent() ?? "", "Ada Sorley")
          await box.press("ArrowDown")
          assert.strictEqual(await box.getAttribute("aria-activedescendant"), "suggestion-0")
          await box.press("Escape")
          assert.strictEqual(await box.getAttribute("aria-expanded"), "false")
          await box.pressSequentially("d")
          await list.waitFor()
          await box.press("ArrowDown")
          await box.press("Enter")
          await page.waitForURL(`${http}/p/${npubOf(keyOf("person 0").pubkey)}`)
        })
      }).pipe(Effect.scoped), 60_000)

    it.live("work without a script: find somebody, and turn the page", () =>
      Effect.gen(function*() {
        const { http } = yield* started
        const { page } = yield* openPage(yield* browser, { javaScriptEnabled: false })
        yield* Effect.promise(async () => {
          await page.goto(`${http}/`)
          await page.fill("input[name=q]", "Ada")
          await page.press("input[name=q]", "Enter")
          await page.waitForURL(/\/explore\?q=Ada/u)
          assert.strictEqual(await page.locator(".card").count(), 1)
          await page.goto(`${http}/explore`)
          assert.strictEqual(await page.locator(".card").count(), 24)
          await page.getByRole("link", { name: "More" }).click()
          assert.strictEqual(await page.locator(".card").count(), texts.length + 30 - 24)
        })
      }).pipe(Effect.scoped), 60_000)

    it.live("are read out in order: where one is, how to get on, who is here", () =>
      Effect.gen(function*() {
        const { http } = yield* started
        const { page } = yield* openPage(yield* browser, {})
        const tree = yield* Effect.promise(async () => {
          await page.goto(`${http}/p/${npubOf(keyOf("person 0").pubkey)}`)
          return page.locator("body").ariaSnapshot()
        })
        const order = [
          "link \"Skip to content\"",
          "link \"Faces\"",
          "navigation \"Pages\"",
          "link \"Explore\"",
          "main",
          "img \"Picture of Ada Sorley\"",
          "link \"Open in app\"",
          "button \"Copy npub\"",
          "heading \"Ada Sorley\" [level=1]",
          "heading \"Why it is here\" [level=2]",
          "heading \"Relays\" [level=2]",
          "heading \"History\" [level=2]",
          "contentinfo"
        ]
        let at = 0
        for (const part of order) {
          const found = tree.indexOf(part, at)
          assert.isAtLeast(found, at, `${part} in\n${tree}`)
          at = found
        }
      }).pipe(Effect.scoped), 60_000)
  }
)
