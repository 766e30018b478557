/**
 * The fetcher as the network sees it: in a namespace of its own, where every address there is leads to a trap, and behind
 * environment variables that name a proxy.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import type { Plan, Report } from "./fetchProcess.ts"

const program = fileURLToPath(new URL("./fetchProcess.ts", import.meta.url))

/** Every address, of either family, is local: what is sent anywhere comes back to whoever listens. */
const anywhere = [
  "ip link set lo up",
  "ip route add local 0.0.0.0/0 dev lo",
  "ip -6 route add local ::/0 dev lo"
].join(" && ")

const inNamespace = (command: ReadonlyArray<string>): ReadonlyArray<string> => [
  "unshare",
  "--net",
  "sh",
  "-c",
  `${anywhere} && exec "$@"`,
  "sh",
  ...command
]

const [unshare = "", ...probe] = inNamespace(["true"])
const isPermitted = spawnSync(unshare, probe).status === 0
if (!isPermitted) {
  console.warn("test/fetch/network.test.ts: no permission for `unshare --net`; the proof with packets is skipped")
}

const reportsOf = (output: string): ReadonlyArray<Report> =>
  output.trim().split("\n").map((line) => JSON.parse(line) as Report)

describe("in a network where every address answers", () => {
  it.skipIf(!isPermitted)("sends no packet to a private target, whichever way it is named", () => {
    const refused = [
      "http://127.0.0.1/",
      "http://127.1/",
      "http://0x7f.1/",
      "http://2130706433/",
      "http://0.0.0.0/",
      "http://[::1]/",
      "http://[::]/",
      "http://[::ffff:7f00:1]/",
      "http://[::127.0.0.1]/",
      "http://10.0.0.1/",
      "http://172.16.0.1/",
      "http://192.168.0.1/",
      "http://100.100.100.200/",
      "http://169.254.169.254/",
      "http://[fd00:ec2::254]/",
      "http://[fe80::1]/",
      "http://[2002:7f00:1::]/",
      "http://[64:ff9b::7f00:1]/",
      "http://[2001:0:7f00:1::]/",
      "http://93.184.216.34:6379/",
      "http://private.example/",
      "http://mixed.example/",
      "http://mixed6.example/",
      "file:///etc/hostname",
      "ws://10.0.0.1/",
      "ws://[::ffff:10.0.0.1]/",
      "ws://private.example/",
      "ws://mixed.example/",
      "ws://93.184.216.34:6379/"
    ]
    const plan: Plan = {
      urls: [...refused, "http://93.184.216.34/to-private", "http://93.184.216.34/", "http://public.example/"],
      allow: [],
      names: {
        "private.example": ["10.0.0.1"],
        "mixed.example": ["93.184.216.34", "192.168.0.1"],
        "mixed6.example": ["2606:4700::1111", "fd00::1"],
        "public.example": ["2606:4700::1111"]
      },
      redirects: { "/to-private": "http://10.0.0.1/" }
    }
    const [command = "", ...rest] = inNamespace([process.execPath, program, JSON.stringify(plan)])
    const reports = reportsOf(execFileSync(command, rest, { encoding: "utf8", timeout: 9000 }))
    const quiet = reports.slice(0, refused.length)
    assert.deepStrictEqual(
      quiet.map(({ connections, outcome, packets, url }) => [
        url,
        url.startsWith("ws") ? outcome : outcome.replace(/:.*/, ""),
        packets,
        connections
      ]),
      refused.map((url) => [url, url.startsWith("ws") ? "not opened" : "Refused", 0, 0])
    )
    // And the trap does catch what is sent: a public address gets through to it, and a redirect stops behind it.
    const [redirected, direct, named] = reports.slice(refused.length)
    assert.deepStrictEqual([redirected?.outcome, redirected?.connections], ["Refused: address is not public", 1])
    assert.deepStrictEqual([direct?.outcome, direct?.connections], ["trapped", 1])
    assert.deepStrictEqual([named?.outcome, named?.connections], ["trapped", 1])
    assert.isAbove(direct?.packets ?? 0, 3)
  })
})

describe("behind environment variables that name a proxy", () => {
  it("asks the host itself all the same", async () => {
    let asked = 0
    const proxy = createServer((socket) => {
      asked += 1
      socket.destroy()
    })
    const target = createServer((socket) => {
      socket.on("error", () => {})
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\ndirect"))
    })
    const listen = (server: typeof proxy) =>
      new Promise<number>((resolve) =>
        server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port))
      )
    const [proxyPort, targetPort] = [await listen(proxy), await listen(target)]
    try {
      const plan: Plan = {
        urls: [`http://127.0.0.1:${targetPort}/`, `ws://127.0.0.1:${targetPort}/`],
        allow: [{ address: "127.0.0.1", prefix: 32, family: "ipv4" }],
        names: {}
      }
      const url = `http://127.0.0.1:${proxyPort}`
      const env = {
        ...process.env,
        NODE_USE_ENV_PROXY: "1",
        HTTP_PROXY: url,
        http_proxy: url,
        HTTPS_PROXY: url,
        ALL_PROXY: url
      }
      const child = spawn(process.execPath, [program, JSON.stringify(plan)], {
        env: { ...env, NO_PROXY: "", no_proxy: "" },
        stdio: ["ignore", "pipe", "inherit"],
        timeout: 9000
      })
      let output = ""
      child.stdout.on("data", (chunk: Buffer) => void (output += chunk.toString()))
      await new Promise((resolve) => child.once("close", resolve))
      assert.deepStrictEqual(reportsOf(output).map(({ outcome }) => outcome), ["direct", "not opened"])
      assert.strictEqual(asked, 0)
    } finally {
      proxy.close()
      target.close()
    }
  })
})
