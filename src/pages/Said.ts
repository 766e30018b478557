/** How figures and times are said to people. Pure: what time it is stands in the arguments. */
import { type Html, html } from "./Html.ts"

const grouped = new Intl.NumberFormat("en")

/** `61,204`. */
export const count = (value: number): string => grouped.format(value)

/** `1 profile`, `61,204 profiles`. */
export const counted = (value: number, one: string, many: string = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`

const date = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" })

/** Unix seconds that a `Date` can hold; `created_at` may be any number. */
const datable = (seconds: number): boolean => Number.isFinite(seconds) && Math.abs(seconds) < 8.64e12

/** `2 Nov 2026` in a `<time>` that holds the exact moment. `seconds` are Unix seconds. */
export const day = (seconds: number): Html =>
  datable(seconds)
    ? html`<time datetime="${new Date(seconds * 1000).toISOString()}">${date.format(seconds * 1000)}</time>`
    : html`a time that no calendar has`

const units = [["year", 31_557_600], ["month", 2_629_800], ["day", 86_400], ["hour", 3600], ["minute", 60]] as const

/** `3 hours`, `2 years`; `a moment` under a minute. */
export const span = (seconds: number): string => {
  const [unit, size] = units.find(([, size]) => seconds >= size) ?? ["moment", 0]
  return size === 0 ? "a moment" : counted(Math.floor(seconds / size), unit)
}

/** `3 hours ago`, in a `<time>`. Both are Unix seconds. */
export const ago = (seconds: number, now: number): Html =>
  datable(seconds)
    ? html`<time datetime="${new Date(seconds * 1000).toISOString()}">${span(Math.max(0, now - seconds))} ago</time>`
    : day(seconds)

/** `214 kB`, `1.4 MB`: by thousands, as hosts do. */
export const bytes = (value: number): string =>
  value < 1000 ? `${value} bytes` : value < 1e6 ? `${Math.round(value / 1000)} kB` : `${(value / 1e6).toFixed(1)} MB`
