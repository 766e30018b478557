/** What a browser sees at the relay's address. Pure; everything an operator configured is escaped. */
import { createHash } from "node:crypto"
import type { RelayInformation } from "./RelayInformation.ts"

const style = `
:root { color-scheme: light dark; --ink: #1d2330; --paper: #fbfaf7; --quiet: #667085; --line: #d9d6ce }
@media (prefers-color-scheme: dark) { :root { --ink: #e9e6df; --paper: #14161b; --quiet: #98a0ae; --line: #2c3038 } }
body { margin: 12vh auto; max-width: 34rem; padding: 0 1.5rem; font: 1.05rem/1.6 system-ui, sans-serif;
  color: var(--ink); background: var(--paper) }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .4rem 1.2rem; margin: 2rem 0; padding-top: 1.5rem;
  border-top: 1px solid var(--line) }
dt, footer { color: var(--quiet) }
dd { margin: 0; overflow-wrap: anywhere }
code { font: .95em ui-monospace, monospace }
`

/** No script, no request to anywhere, and no style but the one above. */
export const contentSecurityPolicy = `default-src 'none'; style-src 'sha256-${
  createHash("sha256").update(style).digest("base64")
}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;"
}

export const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character] ?? "")

const row = (term: string, text: string): string =>
  text === "" ? "" : `<dt>${term}</dt><dd><code>${escaped(text)}</code></dd>\n`

export const landingPage = (information: RelayInformation, relayUrl: string): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(information.name)}</title>
<style>${style}</style>
</head>
<body>
<h1>${escaped(information.name)}</h1>
<p>${escaped(information.description)}</p>
<p>This is a Nostr relay. Point a Nostr client at its address to read from it.</p>
<dl>
${row("Address", relayUrl)}${row("Key", information.pubkey)}${row("Contact", information.contact ?? "")}${
    row("NIPs", information.supported_nips.join(", "))
  }${row("Version", information.version)}</dl>
<footer>Its NIP-11 document is at the same address, for programs that accept <code>application/nostr+json</code>.</footer>
</body>
</html>
`
