/** Causes that are followed: what wraps more than that is a loop. */
const depthMax = 4

/**
 * What a failure says, in one line: its message, and that of what caused it where that says more. So `SqlError`, which only
 * says that a statement failed, ends with what SQLite said of it.
 */
export const messageOf = (error: unknown, depth = depthMax): string => {
  if (!(error instanceof Error)) return String(error)
  const { cause, message } = error
  if (!(cause instanceof Error) || depth === 0) return message
  const why = messageOf(cause, depth - 1)
  if (why === "" || message.includes(why)) return message
  return why.startsWith(message) ? why : `${message}: ${why}`
}
