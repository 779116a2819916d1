/**
 * Numbers as people read them. What a device declared (decimals, state names) is followed; where it said nothing, as
 * many digits are shown as carry information. A missing measurement is a dash, never a zero.
 */

export const MISSING = '–';
const MINUS = '−';
const GROUP = '\u202f';

/** Groups the whole part by three from 10 000 on, with narrow spaces. @param {string} digits */
function grouped(digits) {
  const [whole, fraction] = digits.split('.');
  const text = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, GROUP) : whole;
  return fraction ? `${text}.${fraction}` : text;
}

/** @param {number} size */
function decimalsFor(size) {
  if (size >= 1000) return 0;
  if (size >= 10) return 1;
  if (size >= 1) return 2;
  return 3;
}

/**
 * One reading.
 * @param {number} value NaN: a missing measurement
 * @param {{decimals?: number, states?: string[]}} [format]
 */
export function formatValue(value, format = {}) {
  if (Number.isNaN(value)) return MISSING;
  if (format.states) return format.states[value] ?? String(value);
  const size = Math.abs(value);
  const sign = value < 0 ? MINUS : '';
  if (size >= 1e9 || (size < 1e-3 && size > 0 && format.decimals === undefined)) {
    return sign + size.toExponential(2).replace('e+', 'e').replace('e-', `e${MINUS}`);
  }
  const digits = size.toFixed(Math.min(format.decimals ?? decimalsFor(size), 9));
  return (Number(digits) === 0 ? '' : sign) + grouped(digits);
}

const SCALES = /** @type {[number, string][]} */ ([[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e5, 'k']]);

/** A label on a value axis, with as many digits as tell neighbours apart. @param {number} value @param {number} step distance between labels */
export function formatStep(value, step) {
  const size = Math.abs(value);
  const sign = value < 0 && size > step / 2 ? MINUS : '';
  if (step < 1e-4) return size < step / 2 ? '0' : sign + Number(size.toPrecision(6)).toExponential().replace('e-', `e${MINUS}`);
  const [from, suffix] = SCALES.find(([least]) => size >= least) ?? [1, ''];
  const unit = suffix === 'k' ? 1e3 : from;
  // Where a shortened number would need a long tail, the whole one reads better.
  if (suffix && decimalsOf(step / unit) <= 2) return sign + String(Number((size / unit).toFixed(2))) + suffix;
  return sign + grouped(size.toFixed(Math.min(decimalsOf(step), 9)));
}

/** The decimals that multiples of a step have: 2 for 0.25, 1 for 0.5, 0 for 20. @param {number} step */
function decimalsOf(step) {
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const isWhole = Math.abs(step * 10 ** decimals - Math.round(step * 10 ** decimals)) < 1e-6;
  return isWhole ? decimals : decimals + 1;
}

/** A count, grouped: "12 398". @param {number} count */
export function formatCount(count) {
  return grouped(String(Math.round(count)));
}

/** A count with its noun: "1 reading", "418 readings". @param {number} count @param {string} noun */
export function counted(count, noun) {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** A rate of bytes: "3.4 kB/s". @param {number} bytes a second */
export function formatRate(bytes) {
  if (bytes < 1000) return `${Math.round(bytes)} B/s`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB/s` : `${(bytes / 1e6).toFixed(1)} MB/s`;
}
