/**
 * Plots, bars and faces, drawn on the server as SVG. Colours are classes of the style sheet, so that both themes work and no
 * style is inline.
 */
import { type Html, html } from "./Html.ts"

/** A step of 1, 2 or 5 times a power of ten, of which about `count` make up the span. */
export const stepOf = (span: number, count: number): number => {
  const raw = Math.max(span, 1) / count
  const power = 10 ** Math.floor(Math.log10(raw))
  return Math.max(1, ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10) * power)
}

export interface Point {
  /** Unix milliseconds. */
  readonly at: number
  readonly value: number
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 })
const dayOf = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", timeZone: "UTC" })

const width = 640
const height = 200
const margin = { left: 44, right: 6, top: 8, bottom: 22 }

/** A line over time, from zero. What it shows is also in its name, and in the table that the page has below it. */
export const linePlot = (name: string, points: ReadonlyArray<Point>): Html => {
  const first = points[0]?.at ?? 0
  const last = points.at(-1)?.at ?? 0
  const highest = points.reduce((max, { value }) => Math.max(max, value), 1)
  const step = stepOf(highest, 4)
  const top = Math.ceil(highest / step) * step
  const x = (at: number) =>
    (margin.left + (at - first) / Math.max(1, last - first) * (width - margin.left - margin.right)).toFixed(1)
  const y = (value: number) => (margin.top + (1 - value / top) * (height - margin.top - margin.bottom)).toFixed(1)
  const line = points.map(({ at, value }, i) => `${i === 0 ? "M" : "L"}${x(at)} ${y(value)}`).join("")
  const heights = Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step)
  const days = points.length < 2 ? [first] : [0, 0.25, 0.5, 0.75, 1].map((part) => first + part * (last - first))
  const anchorOf = (i: number) => i === 0 ? "start" : i === days.length - 1 ? "end" : "middle"
  const label = `${name}, from ${compact.format(points[0]?.value ?? 0)} to ${compact.format(points.at(-1)?.value ?? 0)}`
  return html`<svg class="plot" viewBox="0 0 ${width} ${height}" role="img" aria-label="${label}">
${
    heights.map((value) =>
      html`<line class="grid" x1="${margin.left}" x2="${width - margin.right}" y1="${y(value)}" y2="${y(value)}"/>
<text x="${margin.left - 6}" y="${Number(y(value)) + 4}" text-anchor="end">${compact.format(value)}</text>`
    )
  }
${
    points.length > 0 &&
    days.map((day, i) =>
      html`<text x="${x(day)}" y="${height - 5}" text-anchor="${anchorOf(i)}">${dayOf.format(day)}</text>`
    )
  }
<path class="area" d="${points.length > 1 && `${line}L${x(last)} ${y(0)}L${x(first)} ${y(0)}Z`}"/>
<path class="line" d="${line}"/></svg>`
}

/** What part of a span is covered, in percent, rounded down: 100 means all of it. */
export const percentOf = (
  [from, to]: readonly [number, number],
  covered: ReadonlyArray<readonly [number, number]>
): number => {
  if (to <= from) return 100
  const seen = covered.reduce(
    (sum, [since, until]) => sum + Math.max(0, Math.min(until, to) - Math.max(since, from)),
    0
  )
  return Math.floor(seen / (to - from) * 1000) / 10
}

/** Which parts of a span are covered: ranges of the same unit, in any order. */
export const coverageBar = (
  name: string,
  span: readonly [number, number],
  covered: ReadonlyArray<readonly [number, number]>
): Html => {
  const [from, to] = span
  const at = (value: number) => (Math.min(1, Math.max(0, (value - from) / Math.max(1, to - from))) * 1000).toFixed(1)
  return html`<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label="${name}: ${
    percentOf(span, covered)
  } % covered"><rect class="lack" width="1000" height="10"/>${
    covered.map(([since, until]) =>
      html`<rect class="have" x="${at(since)}" width="${
        Math.max(1, Number(at(until)) - Number(at(since)))
      }" height="10"/>`
    )
  }</svg>`
}

/** How much of the whole: for rows of a table that fall off, such as a funnel. */
export const shareBar = (name: string, value: number, whole: number): Html =>
  html`<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label="${name}: ${
    whole > 0 ? Math.round(value / whole * 100) : 0
  } %"><rect class="lack" width="1000" height="10"/><rect class="have" width="${
    whole > 0 ? Math.round(Math.min(1, value / whole) * 1000) : 0
  }" height="10"/></svg>`
