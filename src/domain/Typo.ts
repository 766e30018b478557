/** One slip of the finger: a letter that is wrong, missing, too many, or in its neighbour's place. */

/** UTF-16 units of a name that is looked up in spite of a slip: of fewer, too many others are as near. */
const lengthMin = 5
const lengthMax = 24

const isInBounds = (text: string): boolean => text.length >= lengthMin && text.length <= lengthMax

/** A text, and all that it is without one of its letters: two that are one slip apart have one of these in common. */
export const variantsOf = (text: string): ReadonlyArray<string> => {
  if (!isInBounds(text)) return []
  const all = new Set([text])
  for (let i = 0; i < text.length; i++) {
    const variant = text.slice(0, i) + text.slice(i + 1)
    if (variant.isWellFormed()) all.add(variant)
  }
  return [...all]
}

/** Are two texts one slip apart, and not the same? */
export const isOneSlip = (a: string, b: string): boolean => {
  if (a === b || !isInBounds(a) || !isInBounds(b) || Math.abs(a.length - b.length) > 1) return false
  let first = 0
  while (first < a.length && first < b.length && a[first] === b[first]) first++
  const [restA, restB] = [a.slice(first), b.slice(first)]
  if (restA.slice(1) === restB.slice(1) || restA.slice(1) === restB || restA === restB.slice(1)) return true
  return restA.slice(2) === restB.slice(2) && restA[0] === restB[1] && restA[1] === restB[0]
}
