/** Progress of long work, for the person at the terminal. */
import type { CopyProgress } from "../database/Copy.ts"

/** One line for each tenth, where there is time to read one. */
export const tellTenths = (): CopyProgress => {
  let told = 0
  return (done, total) => {
    const tenth = Math.floor((10 * done) / Math.max(1, total))
    if (tenth <= told || tenth === 10 || total < 1024) return
    told = tenth
    process.stderr.write(`${tenth}0 %\n`)
  }
}
