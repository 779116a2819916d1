/**
 * A past range from `/api/v1/query`, at the resolution of the pixels there are. Loaded when a view is first zoomed.
 */

import { Ring } from './rings.js';

/** @typedef {import('./types.js').QuerySeries} QuerySeries */

/** What a failed answer says: a problem document's detail (RFC 9457), else the status. @param {Response} response */
export async function problem(response) {
  try {
    const { detail } = await response.json();
    if (typeof detail === 'string' && detail) return detail;
  } catch {
    // Not a problem document; the status has to do.
  }
  return `the hub answered ${response.status}`;
}

/**
 * @param {import('./store.js').Series[]} series @param {import('./scales.js').Span} span
 * @param {number} points @param {AbortSignal} signal
 * @returns {Promise<import('./panels/card.js').Past>}
 */
export async function loadRange(series, span, points, signal) {
  const query = new URLSearchParams({
    series: series.map((one) => one.key).join(','), from: String(span.from), to: String(span.to), points: String(points),
  });
  try {
    const response = await fetch(`/api/v1/query?${query}`, { signal });
    if (!response.ok) return { state: 'failed', detail: await problem(response) };
    /** @type {{series: QuerySeries[], gaps?: (import('./types.js').Gap & {series: number})[]}} */
    const answer = await response.json();
    const byKey = new Map(series.map((one) => [one.key, one]));
    return {
      state: 'done',
      rings: new Map(answer.series.flatMap((one) => {
        const known = byKey.get(`${one.device}/${one.channel}`);
        return known ? [[known.id, fill(one, known.kind, span, points)]] : [];
      })),
      gaps: answer.gaps ?? [],
    };
  } catch (error) {
    return { state: 'failed', detail: error instanceof TypeError ? 'the hub does not answer' : String(error) };
  }
}

/** The time of the newest reading of several series; NaN where there is none or the hub does not say. @param {import('./store.js').Series[]} series @param {number} now */
export async function newestReading(series, now) {
  const time = Math.ceil(now);
  const query = new URLSearchParams({ series: series.map((one) => one.key).join(','), from: String(time), to: String(time + 1), points: '2' });
  try {
    const answer = await (await fetch(`/api/v1/query?${query}`)).json();
    const times = answer.series.flatMap((/** @type {QuerySeries} */ one) => one.before?.t ?? []);
    return times.length > 0 ? Math.max(...times) : NaN;
  } catch {
    return NaN;
  }
}

/**
 * @param {QuerySeries} series @param {import('./types.js').Kind} kind @param {import('./scales.js').Span} span
 * @param {number} points
 */
export function fill(series, kind, span, points) {
  const stepMs = series.bucket_ms ?? (span.to - span.from) / points;
  const ring = new Ring(stepMs, Math.ceil((span.to - span.from) / stepMs) + 3);
  const { before, t, value, min, max } = series;
  if (before) ring.push(before.t, before.value ?? NaN);
  // Between two states there is no mean.
  const middle = kind === 'state' ? series.last : series.mean;
  for (let i = 0; i < t.length; i++) {
    if (value) ring.push(t[i], value[i] ?? NaN);
    else ring.place(t[i] + stepMs / 2, min?.[i] ?? NaN, max?.[i] ?? NaN, middle?.[i] ?? NaN);
  }
  return ring;
}
