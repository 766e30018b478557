/**
 * The fetcher as the network sees it: in a namespace of its own, where every address there is leads to a trap, and behind
 * environment variables that name a proxy.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer as createSecureServer } from "node:https"
import type { AddressInfo, Server } from "node:net"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
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

const listen = (server: Server) =>
  new Promise<number>((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)))

/** What the program says, while this process goes on serving it. */
const run = async (plan: Plan, env: NodeJS.ProcessEnv): Promise<string> => {
  const child = spawn(process.execPath, [program, JSON.stringify(plan)], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 9000
  })
  let output = ""
  child.stdout.on("data", (chunk: Buffer) => void (output += chunk.toString()))
  await new Promise((resolve) => child.once("close", resolve))
  return output
}

describe("in a network where every address answers", () => {
  it.skipIf(!isPermitted)("sends no packet to a private target, whichever way it is named (faults 48 to 50)", () => {
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
      const output = await run(plan, { ...env, NO_PROXY: "", no_proxy: "" })
      assert.deepStrictEqual(reportsOf(output).map(({ outcome }) => outcome), ["direct", "not opened"])
      assert.strictEqual(asked, 0)
    } finally {
      proxy.close()
      target.close()
    }
  })
})

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0
if (!hasOpenssl) {
  console.warn("test/fetch/network.test.ts: no `openssl` to make a certificate with; TLS is skipped")
}

describe("over TLS", () => {
  it.skipIf(!hasOpenssl)("connects to the checked address, and believes only a certificate for the name", async () => {
    const directory = mkdtempSync(join(tmpdir(), "tls-"))
    const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")]
    const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=a.example"
    const files = ["-addext", "subjectAltName=DNS:a.example", "-keyout", key, "-out", cert]
    execFileSync("openssl", [...request.split(" "), ...files], { stdio: "ignore" })
    const names: Array<unknown> = []
    const server = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert) }, (message, response) => {
      names.push("servername" in message.socket ? message.socket.servername : undefined)
      if (message.url === "/down") response.writeHead(302, { location: "http://a.example/" }).end()
      else response.end("secure")
    })
    try {
      const port = await listen(server)
      const plan: Plan = {
        urls: ["a.example", "b.example", "127.0.0.1"].map((host) => `https://${host}:${port}/`).concat(
          `https://a.example.:${port}/`,
          `https://a.example:${port}/down`
        ),
        allow: [{ address: "127.0.0.1", prefix: 32, family: "ipv4" }],
        names: { "a.example": ["127.0.0.1"], "b.example": ["127.0.0.1"] }
      }
      const output = await run(plan, { ...process.env, NODE_EXTRA_CA_CERTS: cert })
      assert.deepStrictEqual(reportsOf(output).map(({ outcome }) => outcome), [
        "secure",
        "Tls: ERR_TLS_CERT_ALTNAME_INVALID",
        "Tls: ERR_TLS_CERT_ALTNAME_INVALID",
        "secure",
        "Refused: redirect from https to http"
      ])
      assert.deepStrictEqual(names, ["a.example", "a.example", "a.example"])
      const distrusted = await run({ ...plan, urls: plan.urls.slice(0, 1) }, process.env)
      assert.match(reportsOf(distrusted)[0]?.outcome ?? "", /^Tls: /)
    } finally {
      server.close()
      rmSync(directory, { recursive: true })
    }
  })
})
