import { assert, describe, it } from "@effect/vitest"
import { clientBehind, clientOf, proxiesOf } from "../../src/websocket/ClientAddress.ts"

const proxies = proxiesOf([
  { address: "127.0.0.0", prefix: 8, family: "ipv4" },
  { address: "10.0.0.0", prefix: 8, family: "ipv4" },
  { address: "2001:db8:1::", prefix: 48, family: "ipv6" }
])

describe("73. who a client is", () => {
  it("is an IPv4 address, mapped into IPv6 or not", () => {
    assert.strictEqual(clientOf("192.0.2.1"), "192.0.2.1")
    assert.strictEqual(clientOf("::ffff:192.0.2.1"), "192.0.2.1")
    assert.strictEqual(clientOf("::ffff:c000:201"), "192.0.2.1")
  })

  it("is the /64 of an IPv6 address, without its zone", () => {
    assert.strictEqual(clientOf("2001:db8:0:1::1"), clientOf("2001:db8:0:1:ffff::2%eth0"))
    assert.notStrictEqual(clientOf("2001:db8:0:1::1"), clientOf("2001:db8:0:2::1"))
  })

  for (
    const [name, remote, forwarded, expected] of [
      ["a client that came directly", "192.0.2.1", undefined, "192.0.2.1"],
      ["a client that came directly and forges", "192.0.2.1", "198.51.100.7", "192.0.2.1"],
      ["whom the proxy names", "127.0.0.1", "192.0.2.1", "192.0.2.1"],
      [
        "the right-most of several, as the others are the client's own words",
        "127.0.0.1",
        "203.0.113.9, 192.0.2.1",
        "192.0.2.1"
      ],
      ["the one before a chain of proxies", "127.0.0.1", "203.0.113.9,192.0.2.1 , 10.1.2.3", "192.0.2.1"],
      ["behind a proxy mapped into IPv6", "::ffff:127.0.0.1", "192.0.2.1", "192.0.2.1"],
      ["named mapped into IPv6", "127.0.0.1", "::ffff:192.0.2.1", "192.0.2.1"],
      ["named with a port", "127.0.0.1", "192.0.2.1:4711", "192.0.2.1"],
      ["named in brackets", "127.0.0.1", "[2001:db8:2::5]:80", clientOf("2001:db8:2::5")],
      ["behind a proxy of IPv6", "2001:db8:1::1", "2001:db8:2::5", clientOf("2001:db8:2::5")],
      ["the proxy itself where it says nothing", "127.0.0.1", undefined, "127.0.0.1"],
      ["the proxy itself where it says nonsense", "127.0.0.1", "192.0.2.1, unknown", "127.0.0.1"],
      ["a proxy all the way", "127.0.0.1", "10.0.0.1", "10.0.0.1"]
    ] as const
  ) {
    it(`is ${name}`, () => assert.strictEqual(clientBehind(remote, forwarded, proxies), expected))
  }

  it("is nobody else's word without proxies", () => {
    assert.strictEqual(clientBehind("127.0.0.1", "192.0.2.1", proxiesOf([])), "127.0.0.1")
  })
})
