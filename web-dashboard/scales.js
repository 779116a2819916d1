/**
 * The ranges of the axes: which values a chart spans, and how a time range is zoomed and moved. Pure; knows no chart.
 */

/** @typedef {{from: number, to: number}} Span milliseconds since the Unix epoch */
/** @typedef {[min: number, max: number]} Range */

export const SPAN_MIN_MS = 200;
export const SPAN_MAX_MS = 45 * 24 * 3600 * 1000;

/** The 1, 2 or 5 times a power of ten at or above `rough`. @param {number} rough */
export function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const lead = rough / power;
  return (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10) * power;
}

/**
 * A calm range for values from `lo` to `hi`: ends on round numbers, a little air, and no change while the values still
 * fill the previous one well. A scale that twitches with every reading cannot be read.
 * @param {number} lo @param {number} hi @param {Range | null} [previous]
 * @returns {Range}
 */
export function valueRange(lo, hi, previous = null) {
  if (!(lo <= hi)) return previous ?? [0, 1];
  const size = Math.max(Math.abs(lo), Math.abs(hi));
  // A flat line stands in the middle of a range that has round labels.
  const span = hi - lo > size * 1e-9 ? hi - lo : size * 0.1 || 1;
  const air = span * 0.04 + (span - (hi - lo)) / 2;
  const step = niceStep(span / 10);
  let min = Math.floor((lo - air) / step) * step;
  const max = Math.ceil((hi + air) / step) * step;
  if (lo >= 0 && min < 0) min = 0;
  if (previous && previous[0] <= lo && previous[1] >= hi && previous[1] - previous[0] <= 1.8 * (max - min)) return previous;
  return [tidy(min), tidy(max)];
}

/** Drops the tail that binary fractions leave: 0.30000000000000004. @param {number} value */
function tidy(value) {
  return Number(value.toPrecision(12));
}

/**
 * Zooms about a point; a factor below 1 shows less time.
 * @param {Span} span @param {number} factor @param {number} at what stays where it is @param {number} latest nothing is shown beyond this
 * @returns {Span}
 */
export function zoomed(span, factor, at, latest) {
  const length = span.to - span.from;
  const wanted = Math.min(Math.max(length * factor, SPAN_MIN_MS), SPAN_MAX_MS);
  const from = at - (at - span.from) * (wanted / length);
  return within({ from, to: from + wanted }, latest);
}

/** Moves by a share of the span; negative is earlier. @param {Span} span @param {number} share @param {number} latest @returns {Span} */
export function panned(span, share, latest) {
  const by = (span.to - span.from) * share;
  return within({ from: span.from + by, to: span.to + by }, latest);
}

/** Keeps the length and ends no later than `latest`, in whole milliseconds. @param {Span} span @param {number} latest @returns {Span} */
function within(span, latest) {
  const over = Math.max(0, span.to - latest);
  return { from: Math.round(span.from - over), to: Math.round(span.to - over) };
}
