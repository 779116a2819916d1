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

/** Bytes as devices name them; the third is UCUM's name. */
const BYTES = /^(?:bytes?|B|By)(\/s)?$/;
const BYTE_SCALES = /** @type {[number, string][]} */ ([[1e12, 'TB'], [1e9, 'GB'], [1e6, 'MB'], [1e3, 'kB'], [1, 'B']]);

/**
 * One reading and its unit. Bytes are shortened to three digits with kB, MB, GB or TB; everything else stays in the
 * unit that the device declared.
 * @param {number} value NaN: a missing measurement
 * @param {{unit: string, decimals?: number, states?: string[]}} series
 * @returns {{text: string, unit: string, scaled: boolean}} `scaled`: the unit belongs to this one value
 */
export function formatReading(value, series) {
  const bytes = BYTES.exec(series.unit);
  if (!bytes || series.states) return { text: formatValue(value, series), unit: series.unit, scaled: false };
  const per = bytes[1] ?? '';
  const size = Math.abs(value);
  // From 999.5 on a number of three digits is rounded up to the next scale.
  const [scale, name] = BYTE_SCALES.find(([least]) => size >= 0.9995 * least) ?? [1, 'B'];
  if (scale === 1) return { text: formatValue(value, { decimals: 0 }), unit: name + per, scaled: true };
  const digits = size / scale;
  return { text: formatValue(value / scale, { decimals: digits >= 99.95 ? 0 : digits >= 9.995 ? 1 : 2 }), unit: name + per, scaled: true };
}

/** One reading where the unit is written beside it anyway, unless it has one of its own. @param {number} value @param {Parameters<typeof formatReading>[1]} series */
export function formatBesideUnit(value, series) {
  const { text, unit, scaled } = formatReading(value, series);
  return scaled && !Number.isNaN(value) ? `${text} ${unit}` : text;
}

/** One reading with its unit: "21.5 °C". @param {number} value @param {Parameters<typeof formatReading>[1]} series */
export function formatWithUnit(value, series) {
  const { text, unit } = formatReading(value, series);
  return unit && !Number.isNaN(value) ? `${text} ${unit}` : text;
}

const SCALES = /** @type {[number, string][]} */ ([[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e5, 'k']]);

/**
 * The labels of a value axis. Those of bytes share one scale.
 * @param {number[]} values @param {number} step distance between labels @param {string} unit
 */
export function formatAxis(values, step, unit) {
  if (!BYTES.test(unit)) return values.map((value) => formatStep(value, step));
  const most = Math.max(...values.map(Math.abs));
  // So large that a label is short, so small that neighbours differ within three decimals.
  const [scale, name] = BYTE_SCALES.find(([least]) => most >= least && step >= least / 1000) ?? [1, 'B'];
  return values.map((value) => {
    if (value === 0) return '0';
    // There are no parts of a byte.
    return scale === 1 && !Number.isInteger(value) ? '' : `${formatStep(value / scale, scale === 1 ? Math.max(step, 1) : step / scale)} ${name}`;
  });
}

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

/** A rate of bytes: "3.40 kB/s". @param {number} bytes a second */
export function formatRate(bytes) {
  return formatWithUnit(bytes, { unit: 'B/s' });
}
