/**
 * A face for a key: 5 by 5 cells, mirrored, in a colour of its own. The same key has the same face everywhere, so somebody who
 * copies a name and a bio can still be told apart. An SVG image of its own, as `/img/<pubkey>` answers it.
 */

const cellsOf = (key: Uint8Array): string => {
  const cells: Array<string> = []
  for (let column = 0; column < 3; column++) {
    for (let row = 0; row < 5; row++) {
      if ((key[1 + column * 5 + row] ?? 0) % 2 === 0) continue
      cells.push(`M${column} ${row}h1v1h-1z`)
      if (column < 2) cells.push(`M${4 - column} ${row}h1v1h-1z`)
    }
  }
  return cells.join("")
}

/** `pubkey` is 64 lower-case hex digits. */
export const identicon = (pubkey: string): string => {
  const key = Buffer.from(pubkey, "hex")
  const hue = Math.round((key[0] ?? 0) / 256 * 360)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 7 7"><rect x="-1" y="-1" width="7" height="7" ` +
    `fill="hsl(${hue} 45% 82%)"/><path d="${cellsOf(key)}" fill="hsl(${hue} 55% 38%)"/></svg>\n`
}
