import * as fakeIndexedDB from "fake-indexeddb"

/**
 * Lets libraries find a browser. What has no `window` welshman takes for an old Node, and looks for `createHash` on the global
 * `crypto`; rust-nostr keeps events in IndexedDB and nowhere else.
 */
export const pretendBrowser = (): void => void Object.assign(globalThis, fakeIndexedDB, { window: globalThis })
