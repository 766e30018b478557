/** How a text message stands on the wire when a server sends it in one piece: header and payload (RFC 6455 §5.2). */

/** Bytes of the header of an unmasked, final text frame. */
const headerBytes = (payload: number): number => payload < 126 ? 2 : payload < 65_536 ? 4 : 10

/** Bytes of a whole one. */
export const frameBytes = (payload: number): number => headerBytes(payload) + payload

/** Writes the header of a frame of so many bytes, at most 4 GiB; answers where the payload begins. */
export const writeHeader = (into: Uint8Array, at: number, payload: number): number => {
  into[at] = 0x81
  if (payload < 126) {
    into[at + 1] = payload
    return at + 2
  }
  if (payload < 65_536) {
    into[at + 1] = 126
    into[at + 2] = payload >>> 8
    into[at + 3] = payload & 0xff
    return at + 4
  }
  into[at + 1] = 127
  into.fill(0, at + 2, at + 6)
  for (let i = 0; i < 4; i++) into[at + 6 + i] = (payload >>> (24 - 8 * i)) & 0xff
  return at + 10
}
