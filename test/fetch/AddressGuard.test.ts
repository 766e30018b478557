import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import type { LookupAddress } from "node:dns"
import type { Network } from "../../src/config/Notation.ts"
import { AddressGuard, layerWith as addressGuardLayerWith } from "../../src/fetch/AddressGuard.ts"
import { isSpecial, parseAddress } from "../../src/fetch/SpecialAddress.ts"
import * as FakeDns from "../support/FakeDns.ts"

const network = (text: string): Network => {
  const [address = "", prefix = ""] = text.split("/")
  return { address, prefix: Number(prefix), family: address.includes(":") ? "ipv6" : "ipv4" }
}

const long = (length: number): string => "https://93.184.216.34/".padEnd(length, "x")

/** What becomes of a URL at the two gates together: addresses, or why not. */
const judge = (url: string, dns = FakeDns.make(), allow: ReadonlyArray<string> = []) =>
  Effect.gen(function*() {
    const guard = yield* AddressGuard
    const checked = yield* Effect.fromResult(guard.check(url, "web"))
    const addresses = yield* guard.vet(checked)
    return addresses.map(({ address }) => address).join(" ")
  }).pipe(
    Effect.catch(({ reason }) => Effect.succeed<string>(reason)),
    Effect.provide(Layer.provide(addressGuardLayerWith(allow.map(network)), dns.layer))
  )

const judgeAll = (urls: ReadonlyArray<string>) =>
  Effect.map(Effect.forEach(urls, (url) => judge(url)), (all) => [...new Set(all)])

const special = (text: string): boolean | undefined => {
  const address = parseAddress(text)
  return address === undefined ? undefined : isSpecial(address)
}

describe("isSpecial", () => {
  it("knows the last address before, the first, the last, and the first after each IPv4 range", () => {
    const ranges: ReadonlyArray<readonly [string | undefined, string, string, string | undefined]> = [
      [undefined, "0.0.0.0", "0.255.255.255", "1.0.0.0"],
      ["9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"],
      ["100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"],
      ["126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"],
      ["169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"],
      ["172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"],
      ["191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"],
      ["192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"],
      ["192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"],
      ["192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"],
      ["198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"],
      ["198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"],
      ["203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"],
      ["168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"],
      ["223.255.255.255", "224.0.0.0", "255.255.255.255", undefined]
    ]
    for (const [before, first, last, after] of ranges) {
      assert.isTrue(special(first), first)
      assert.isTrue(special(last), last)
      if (before !== undefined) assert.isFalse(special(before), before)
      if (after !== undefined) assert.isFalse(special(after), after)
    }
  })

  it("takes IPv6 for special unless it is global unicast", () => {
    const refused =
      "::/:: ::1 ::127.0.0.1 ::8.8.8.8 64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 2001::1 2001:0:4136:e378:8000::" +
      " 2001:1ff:ffff::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 3fff::1 3fff:fff::1 4000::1 5f00::1 fc00::1" +
      " fd00:ec2::254 fe80::1 fec0::1 ff02::1 ffff::1 1fff::1"
    for (const address of refused.replace("::/", "").split(" ")) assert.isTrue(special(address), address)
    for (const address of ["2000::1", "2001:200::1", "2606:4700::1111", "2a00:1450::1", "3fff:1000::1", "2003::1"]) {
      assert.isFalse(special(address), address)
    }
  })

  it("judges a mapped address by the IPv4 address that it maps", () => {
    for (
      const address of ["::ffff:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:ffff:a00:1", "::ffff:0.0.0.0", "::FFFF:0:1"]
    ) {
      assert.isTrue(special(address), address)
    }
    assert.deepStrictEqual(parseAddress("::ffff:8.8.4.4"), { address: "8.8.4.4", family: "ipv4" })
    assert.isFalse(special("::ffff:8.8.4.4"))
  })

  it("knows no address with a zone, and none in an unusual notation", () => {
    for (const text of ["fe80::1%eth0", "2606:4700::1111%1", "127.1", "0x7f.1", "010.0.0.1", "", "example.com"]) {
      assert.isUndefined(parseAddress(text), text)
    }
  })
})

describe("AddressGuard", () => {
  it.effect("refuses every way to write an address of our own, before any name is looked up (fault 48)", () =>
    Effect.gen(function*() {
      const dns = FakeDns.make()
      const hosts =
        "127.0.0.1 127.1 0x7f.1 2130706433 0x7f000001 017700000001 127.0.0.1. %31%32%37.0.0.1 １２７.0.0.1" +
        " [::1] [::] [::ffff:7f00:1] [::ffff:127.0.0.1] [::127.0.0.1] 0.0.0.0 0"
      for (const host of hosts.split(" ")) {
        assert.strictEqual(yield* judge(`http://${host}/a.png`, dns), "address is not public", host)
      }
      assert.deepStrictEqual(dns.queries, [])
    }))

  it.effect("refuses private networks, metadata services, and IPv4 in disguise (fault 49)", () =>
    Effect.gen(function*() {
      const hosts = "169.254.169.254 [fd00:ec2::254] 100.100.100.200 192.0.0.192 168.63.129.16 10.0.0.1 172.16.0.1" +
        " 172.31.255.255 192.168.1.1 100.64.0.1 198.18.0.1 255.255.255.255 240.0.0.1 224.0.0.1 [fe80::1] [fc00::1]" +
        " [2002:7f00:1::] [2002:a00:1::] [64:ff9b::7f00:1] [64:ff9b::a9fe:a9fe] [2001:0:7f00:1::] [ff02::1]" +
        " [2001:db8::1] 192.0.2.1 198.51.100.1 203.0.113.1"
      assert.deepStrictEqual(yield* judgeAll(hosts.split(" ").map((host) => `https://${host}/`)), [
        "address is not public"
      ])
    }))

  it.effect("refuses a metadata service by its name, since the name leads to its address", () =>
    Effect.gen(function*() {
      const dns = FakeDns.make()
      dns.set("metadata.google.internal", ["169.254.169.254"])
      dns.set("instance-data.ec2.internal", ["fd00:ec2::254"])
      dns.set("127.0.0.1.nip.io", ["127.0.0.1"])
      for (const host of ["metadata.google.internal", "instance-data.ec2.internal", "127.0.0.1.nip.io"]) {
        assert.strictEqual(yield* judge(`http://${host}/latest/meta-data`, dns), "address is not public")
      }
    }))

  it.effect("refuses a name when any of its addresses is special (fault 50)", () =>
    Effect.gen(function*() {
      const dns = FakeDns.make()
      dns.set("mixed.example", ["93.184.216.34", "10.0.0.1"])
      dns.set("mixed6.example", ["2606:4700::1111", "::ffff:10.0.0.1"])
      dns.set("zone.example", ["93.184.216.34", "fe80::1%eth0"])
      dns.set("good.example", ["2606:4700::1111", "93.184.216.34"])
      assert.strictEqual(yield* judge("https://mixed.example/", dns), "address is not public")
      assert.strictEqual(yield* judge("https://mixed6.example/", dns), "address is not public")
      assert.strictEqual(yield* judge("https://zone.example/", dns), "address is not public")
      assert.strictEqual(yield* judge("https://good.example/", dns), "2606:4700::1111 93.184.216.34")
    }))

  it.effect("looks at all addresses of a name, and connects to eight", () =>
    Effect.gen(function*() {
      const dns = FakeDns.make()
      const many = Array.from({ length: 40 }, (_, i) => `93.184.216.${i + 1}`)
      dns.set("many.example", many)
      dns.set("trap.example", [...many, "127.0.0.1"])
      assert.strictEqual(yield* judge("https://many.example/", dns), many.slice(0, 8).join(" "))
      assert.strictEqual(yield* judge("https://trap.example/", dns), "address is not public")
    }))

  it.effect("refuses every scheme but http and https before it looks at anything else", () =>
    Effect.gen(function*() {
      const urls =
        "data:image/png;base64,AAAA blob:https://a/b javascript:alert(1) file:///etc/passwd ftp://a/ ws://a/" +
        " gopher://a/ view-source:https://a/ ipfs://cid"
      assert.deepStrictEqual(yield* judgeAll(urls.split(" ")), ["scheme is not allowed"])
      assert.strictEqual(yield* judge(`data:image/png;base64,${"A".repeat(10_000_000)}`), "scheme is not allowed")
      assert.deepStrictEqual(yield* judgeAll(["", "picture.png", "//a/b.png", "http", "http//a/", " https://a/"]), [
        "malformed URL"
      ])
    }))

  it.effect("refuses credentials, ports that are not the web's, and URLs of more than 2048 characters", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* judge("https://user@example.com/"), "URL holds credentials")
      assert.strictEqual(yield* judge("https://:pass@example.com/"), "URL holds credentials")
      assert.strictEqual(yield* judge("https://example.com:22/"), "port is not allowed")
      assert.strictEqual(yield* judge("https://93.184.216.34:8443/"), "port is not allowed")
      assert.strictEqual(yield* judge("http://93.184.216.34:443/"), "93.184.216.34")
      assert.strictEqual(yield* judge("http://[2606:4700::1111]:80/"), "2606:4700::1111")
      assert.strictEqual(yield* judge(long(2048)), "93.184.216.34")
      assert.strictEqual(yield* judge(long(2049)), "URL is too long")
      assert.strictEqual(yield* judge(long(10_000_000)), "URL is too long")
      assert.strictEqual(yield* judge("https://../"), "malformed URL")
    }))

  it.effect("lets exempt networks be contacted, on any port, and nothing beside them", () =>
    Effect.gen(function*() {
      const dns = FakeDns.make()
      const allow = ["127.0.0.0/8", "::1/128"]
      dns.set("here.example", ["127.0.0.1", "::1"])
      dns.set("half.example", ["127.0.0.1", "93.184.216.34"])
      dns.set("other.example", ["127.0.0.1", "10.0.0.1"])
      assert.strictEqual(yield* judge("http://127.0.0.1:9/", dns, allow), "127.0.0.1")
      assert.strictEqual(yield* judge("http://[::ffff:127.0.0.1]:9/", dns, allow), "127.0.0.1")
      assert.strictEqual(yield* judge("http://[::1]:9/", dns, allow), "::1")
      assert.strictEqual(yield* judge("http://[::2]:9/", dns, allow), "address is not public")
      assert.strictEqual(yield* judge("http://128.0.0.1:9/", dns, allow), "port is not allowed")
      assert.strictEqual(yield* judge("http://here.example:9/", dns, allow), "127.0.0.1 ::1")
      assert.strictEqual(yield* judge("http://half.example/", dns, allow), "127.0.0.1 93.184.216.34")
      assert.strictEqual(yield* judge("http://half.example:9/", dns, allow), "port is not allowed")
      assert.strictEqual(yield* judge("http://other.example:9/", dns, allow), "address is not public")
    }))

  it.effect("takes ws and wss only where sockets are meant", () =>
    Effect.gen(function*() {
      const guard = yield* AddressGuard
      const verdict = (url: string) => {
        const result = guard.check(url, "websocket")
        return Result.isSuccess(result) ? result.success.href : result.failure.reason
      }
      assert.strictEqual(verdict("wss://relay.example./path#fragment"), "wss://relay.example/path")
      assert.strictEqual(verdict("https://relay.example/"), "scheme is not allowed")
      assert.strictEqual(verdict("ws://127.0.0.1/"), "address is not public")
      assert.strictEqual(verdict("wss://relay.example:7777/"), "port is not allowed")
    }).pipe(Effect.provide(Layer.provide(addressGuardLayerWith([]), FakeDns.make().layer))))

  it.live("answers a connection's own look-up with addresses it has looked at, or an error", () =>
    Effect.gen(function*() {
      const dns = FakeDns.make()
      dns.set("good.example", ["2606:4700::1111", "93.184.216.34"])
      dns.set("bad.example", ["127.0.0.1"])
      const lookUp = (host: string, all: boolean) =>
        Effect.gen(function*() {
          const guard = yield* AddressGuard
          return yield* Effect.callback<string | ReadonlyArray<LookupAddress>>((resume) =>
            guard.lookup(new URL(`wss://${host}/`))(host, { all }, (error, address) =>
              resume(Effect.succeed(error === null ? address : error.message)))
          )
        }).pipe(Effect.provide(Layer.provide(addressGuardLayerWith([]), dns.layer)))
      assert.deepStrictEqual(yield* lookUp("good.example", true), [
        { address: "2606:4700::1111", family: 6 },
        { address: "93.184.216.34", family: 4 }
      ])
      assert.strictEqual(yield* lookUp("good.example", false), "2606:4700::1111")
      assert.strictEqual(yield* lookUp("bad.example", true), "address is not public")
      assert.strictEqual(yield* lookUp("none.example", true), "name not resolved: NoSuchName")
    }))
})
