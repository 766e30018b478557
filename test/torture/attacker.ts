/** A process of its own for one attack: `node attacker.ts NAME PORT`, begun by a message and ended with its parent. */
import { type AttackName, prepare } from "./Attacks.ts"

const [name, port] = process.argv.slice(2)
process.on("disconnect", () => process.exit())
const begin = await prepare(name as AttackName, Number(port))
process.once("message", begin)
process.send?.("ready")
