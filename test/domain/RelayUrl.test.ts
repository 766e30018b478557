import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import {
  aliasOf,
  isLoopbackAuthority,
  isOnLoopback,
  isThisAddress,
  isThisRelay,
  isVanishFor,
  relayUrlMax,
  relayUrlOf
} from "../../src/domain/RelayUrl.ts"
import { signed } from "../support/events.ts"
import { hostileTexts } from "./arbitraries.ts"

/** Every spelling of one address: how it is dialled, and whether it is the relay at `wss://relay.example`. */
const spellings: ReadonlyArray<readonly [spelling: string, dialled: string | undefined, isIt: boolean]> = [
  ["wss://relay.example", "wss://relay.example", true],
  // Scheme.
  ["ws://relay.example", "ws://relay.example", true],
  ["https://relay.example", "wss://relay.example", true],
  ["http://relay.example", "ws://relay.example", true],
  ["relay.example", "wss://relay.example", true],
  ["ftp://relay.example", undefined, false],
  ["wss:/relay.example", undefined, false],
  // Case and white space around it.
  [" WSS://Relay.Example/ ", "wss://relay.example", true],
  ["wss://relay.example /", undefined, false],
  // Port.
  ["wss://relay.example:443", "wss://relay.example", true],
  ["ws://relay.example:80", "ws://relay.example", true],
  ["ws://relay.example:443", "ws://relay.example:443", true],
  ["relay.example:443", "wss://relay.example", true],
  ["wss://relay.example:444", "wss://relay.example:444", false],
  ["wss://relay.example:99999", undefined, false],
  // Slashes and dots at the end.
  ["wss://relay.example/", "wss://relay.example", true],
  ["wss://relay.example//", "wss://relay.example//", true],
  ["wss://relay.example.", "wss://relay.example", true],
  ["wss://relay.example.:443/", "wss://relay.example", true],
  ["wss://relay.example..", undefined, false],
  // Percent signs and width in a host.
  ["wss://relay%2Eexample", "wss://relay.example", true],
  ["wss://ｒｅｌａｙ.example", "wss://relay.example", true],
  // User and password.
  ["wss://user@relay.example", undefined, false],
  ["wss://user:secret@relay.example", undefined, false],
  ["wss://relay.example@other.example", undefined, false],
  // Query and fragment.
  ["wss://relay.example/?", "wss://relay.example", true],
  ["wss://relay.example/?x=1", "wss://relay.example/?x=1", true],
  ["wss://relay.example?x=1", "wss://relay.example/?x=1", true],
  ["wss://relay.example/#top", "wss://relay.example", true],
  // Other relays.
  ["wss://relay.example/path", "wss://relay.example/path", false],
  ["wss://relay.example/path/", "wss://relay.example/path/", false],
  ["wss://other.example", "wss://other.example", false],
  ["wss://relay.example.org", "wss://relay.example.org", false],
  ["wss://relay", "wss://relay", false],
  ["ws://umbrel:4848", "ws://umbrel:4848", false],
  // No relays.
  ["", undefined, false],
  ["wss://", undefined, false],
  ["wss://.example", undefined, false],
  ["wss://wss://relay.example", undefined, false],
  ["wss://https://relay.example", undefined, false],
  ["wss://relay.example,wss://other.example", undefined, false],
  ["wss://relay.example wss://other.example", undefined, false],
  ["javascript:alert(1)", undefined, false],
  ["npub1xyz", undefined, false],
  ["ALL_RELAYS", undefined, false]
]

const own = "wss://relay.example"

describe("spellings of a relay's address", () => {
  for (const [spelling, dialled, isIt] of spellings) {
    it(`${JSON.stringify(spelling)} is ${dialled ?? "no relay"}${isIt ? ", this one" : ""}`, () => {
      assert.strictEqual(relayUrlOf(spelling), dialled)
      assert.strictEqual(isThisRelay(spelling, own), isIt)
      assert.strictEqual(isThisRelay(spelling, "ws://Relay.example:443/"), isIt, "however ours is written")
      const request = signed({ kind: 62, tags: [["relay", spelling]] })
      assert.strictEqual(isVanishFor(request, own), isIt || spelling === "ALL_RELAYS")
    })
  }

  it("is IDN in ASCII", () => {
    assert.strictEqual(relayUrlOf("wss://Bücher.example/"), "wss://xn--bcher-kva.example")
    assert.isTrue(isThisRelay("wss://xn--bcher-kva.example", "wss://bücher.example"))
  })

  it("keeps addresses, ports and onion services as they are", () => {
    for (const text of ["ws://127.0.0.1:7000", "ws://[::1]:7000", "ws://localhost:7000", "ws://abc.onion"]) {
      assert.strictEqual(relayUrlOf(text), text)
    }
    assert.strictEqual(relayUrlOf("localhost:7000"), "wss://localhost:7000")
    assert.strictEqual(relayUrlOf("[::1]:7000"), "wss://[::1]:7000")
    assert.strictEqual(relayUrlOf("umbrel:4848"), "wss://umbrel:4848")
  })

  it("takes an address of the allowed length and not one character more", () => {
    const text = "wss://relay.example/"
    assert.isString(relayUrlOf(text + "a".repeat(relayUrlMax - text.length)))
    assert.isUndefined(relayUrlOf(text + "a".repeat(relayUrlMax + 1 - text.length)))
  })

  it("survives hostile texts", () => {
    for (const text of hostileTexts) assert.isUndefined(relayUrlOf(text), text.slice(0, 40))
  })

  it.effect.prop("changes nothing the second time", { text: Schema.String }, ({ text }) =>
    Effect.sync(() => {
      for (const prefix of ["", "wss://", "wss://relay.example/", "ws://relay.example:"]) {
        const url = relayUrlOf(prefix + text)
        if (url === undefined) continue
        assert.strictEqual(relayUrlOf(url), url)
        assert.strictEqual(aliasOf(url), aliasOf(prefix + text))
        assert.isTrue(isThisRelay(prefix + text, url))
      }
    }), { arbitrary: { runs: 500 } })
})

describe("one relay", () => {
  it("has one name, whatever its scheme and the slashes at its end", () => {
    for (const text of ["wss://relay.example/a/", "ws://RELAY.example:443/a", "https://relay.example./a#x"]) {
      assert.strictEqual(aliasOf(text), "relay.example/a", text)
    }
    assert.strictEqual(aliasOf("ws://relay.example:7000/?x"), "relay.example:7000?x")
    assert.strictEqual(aliasOf("no relay"), "no relay")
  })

  it("is another one by port, path or query", () => {
    assert.strictEqual(aliasOf("wss://relay.example/"), aliasOf("WS://relay.example:443"))
    for (const other of ["wss://relay.example:444", "wss://relay.example/x", "wss://relay.example/?x"]) {
      assert.notStrictEqual(aliasOf(own), aliasOf(other), other)
    }
  })
})

describe("this machine", () => {
  it("is what a loopback name or address leads to", () => {
    for (
      const host of ["localhost", "relay.localhost", "127.0.0.1:7000", "127.9.9.9", "[::1]:7000", "127.1", "localhost."]
    ) {
      assert.isTrue(isOnLoopback(`ws://${host}`), host)
    }
    for (const host of ["relay.example", "localhost.example", "10.0.0.1", "[::2]", "user@localhost", ""]) {
      assert.isFalse(isOnLoopback(`ws://${host}`), host)
    }
  })

  it("is named by a Host only as it stands", () => {
    for (const host of ["localhost", "LOCALHOST:7000", "relay.localhost", "127.0.0.1:80", "[::1]", "[::1]:7000"]) {
      assert.isTrue(isLoopbackAuthority(host), host)
    }
    for (
      const host of [
        "",
        "127.1",
        "2130706433",
        "localhost.",
        "localhost:",
        "localhost/",
        "localhost#",
        "a@localhost",
        "localhost.example"
      ]
    ) {
      assert.isFalse(isLoopbackAuthority(host), host)
    }
  })
})

describe("this relay", () => {
  it("has a host without a dot, too", () => {
    const umbrel = "ws://umbrel:4848"
    for (const text of [umbrel, `${umbrel}/`, "ws://UMBREL:4848", "wss://umbrel.:4848"]) {
      assert.isTrue(isThisRelay(text, umbrel), text)
    }
    for (const text of ["ws://umbrel", "ws://umbrel:4849", "ws://umbrel.example:4848"]) {
      assert.isFalse(isThisRelay(text, umbrel), text)
    }
  })

  it("is asked for its query where its own address has one", () => {
    assert.isTrue(isThisRelay("wss://relay.example?room=a", "wss://relay.example/?room=a"))
    assert.isFalse(isThisRelay("wss://relay.example/?room=b", "wss://relay.example/?room=a"))
    assert.isFalse(isThisRelay("wss://relay.example", "wss://relay.example/?room=a"))
  })

  it("is every loopback name and address of its port while it has no other", () => {
    const names = ["localhost", "LOCALHOST.", "me.localhost", "127.0.0.1", "127.1", "127.0.0.9", "[::1]", "[0:0::1]"]
    for (const name of [...names, "[::ffff:127.0.0.1]"]) {
      assert.isTrue(isThisRelay(`ws://${name}:8080/`, "ws://localhost:8080"), name)
      assert.isFalse(isThisRelay(`ws://${name}:8081`, "ws://localhost:8080"), name)
      assert.isFalse(isThisRelay(`ws://${name}`, own), name)
      assert.isTrue(isThisRelay(`ws://${name}:1234`, "ws://localhost:0"), "a free port has any number")
    }
    for (const name of ["localhost.example", "128.0.0.1", "[::2]", "0.0.0.0", "192.168.0.1", "127.example"]) {
      assert.isFalse(isThisRelay(`ws://${name}:8080`, "ws://localhost:8080"), name)
      assert.isFalse(isThisRelay(`ws://${name}:1234`, "ws://localhost:0"), name)
    }
  })
})

describe("an address that is signed for (NIP-98)", () => {
  it("may spell the host as it likes", () => {
    for (const text of ["https://Relay.Example:443/a?b", "wss://relay.example./a?b", " https://relay.example/a?b#c"]) {
      assert.isTrue(isThisAddress(text, "wss://relay.example/a?b"), text)
    }
    assert.isTrue(isThisAddress("http://127.0.0.1:8080", "ws://localhost:8080/"))
  })

  it("has scheme, path and query as they are", () => {
    const wrong = [
      "http://relay.example/a?b",
      "https://relay.example/a/?b",
      "https://relay.example/a",
      "relay.example/a?b"
    ]
    for (const text of [...wrong, "https://relay.example:80/a?b", "https://user@relay.example/a?b", ""]) {
      assert.isFalse(isThisAddress(text, "wss://relay.example/a?b"), text)
    }
  })
})
