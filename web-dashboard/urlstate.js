/**
 * What the screen shows, as one value, and its form in the address bar: page, range, filters, grouping, zone, and the
 * exact times of a frozen view, so that a link shows what its sender saw. Pure: every change gives a new value.
 */

import { panned, zoomed } from './scales.js';

/** @typedef {import('./scales.js').Span} Span */
/**
 * @typedef {object} Screen
 * @property {string} page
 * @property {keyof typeof RANGES} range the length of the live window
 * @property {'quantity' | 'device'} group
 * @property {readonly string[]} devices only these; empty: all
 * @property {string} search
 * @property {import('./time.js').Zone} zone
 * @property {boolean} wall no chrome, big values
 * @property {Span | null} frozen the times a frozen view shows; null follows live data
 */

/** In the order of the keys 1 to 4. */
export const RANGES = Object.freeze({ '1m': 60_000, '5m': 300_000, '1h': 3_600_000, '24h': 86_400_000 });

/** @type {Screen} */
const DEFAULTS = Object.freeze({
  page: 'live', range: '5m', group: 'quantity', devices: [], search: '', zone: 'local', wall: false, frozen: null,
});

/** Reads the query part of an address; what it does not understand is the default. @param {string} query @returns {Screen} */
export function parse(query) {
  const params = new URLSearchParams(query);
  const range = params.get('range') ?? '';
  const from = Number(params.get('from') ?? NaN);
  const to = Number(params.get('to') ?? NaN);
  return {
    page: params.get('page') ?? DEFAULTS.page,
    range: Object.hasOwn(RANGES, range) ? /** @type {Screen['range']} */ (range) : DEFAULTS.range,
    group: params.get('group') === 'device' ? 'device' : 'quantity',
    devices: (params.get('device') ?? '').split(',').filter(Boolean).slice(0, 256),
    search: (params.get('q') ?? '').slice(0, 128),
    zone: params.get('tz') === 'utc' ? 'utc' : 'local',
    wall: params.has('wall'),
    frozen: Number.isSafeInteger(from) && Number.isSafeInteger(to) && from > 0 && to > from ? { from, to } : null,
  };
}

/** The shortest query that `parse` reads as this screen, with "?" unless it is empty. @param {Screen} screen */
export function format(screen) {
  const params = new URLSearchParams();
  if (screen.page !== DEFAULTS.page) params.set('page', screen.page);
  if (screen.range !== DEFAULTS.range) params.set('range', screen.range);
  if (screen.group !== DEFAULTS.group) params.set('group', screen.group);
  if (screen.devices.length > 0) params.set('device', screen.devices.join(','));
  if (screen.search) params.set('q', screen.search);
  if (screen.zone !== DEFAULTS.zone) params.set('tz', screen.zone);
  if (screen.frozen) {
    params.set('from', String(screen.frozen.from));
    params.set('to', String(screen.frozen.to));
  }
  if (screen.wall) params.set('wall', '');
  const query = params.toString().replaceAll('%2C', ',').replace('wall=', 'wall');
  return query && `?${query}`;
}

/** The times on the screen: the frozen ones, or the window that ends at `edge`. @param {Screen} screen @param {number} edge @returns {Span} */
export function span(screen, edge) {
  return screen.frozen ?? { from: edge - RANGES[screen.range], to: edge };
}

/** @param {Screen} screen @param {number} edge the newest time that was shown @returns {Screen} */
export function freeze(screen, edge) {
  return screen.frozen ? screen : { ...screen, frozen: { from: Math.round(edge - RANGES[screen.range]), to: Math.round(edge) } };
}

/** @param {Screen} screen @returns {Screen} */
export function follow(screen) {
  return { ...screen, frozen: null };
}

/** Zooming freezes. @param {Screen} screen @param {number} factor @param {number | null} at @param {number} edge @returns {Screen} */
export function zoom(screen, factor, at, edge) {
  const shown = span(screen, edge);
  return { ...screen, frozen: zoomed(shown, factor, at ?? (shown.from + shown.to) / 2, edge) };
}

/** Moving in time freezes. @param {Screen} screen @param {number} share @param {number} edge @returns {Screen} */
export function pan(screen, share, edge) {
  return { ...screen, frozen: panned(span(screen, edge), share, edge) };
}

/** Adds a device to the filter, or takes it out. @param {Screen} screen @param {string} device @returns {Screen} */
export function toggleDevice(screen, device) {
  const devices = screen.devices.includes(device)
    ? screen.devices.filter((other) => other !== device)
    : [...screen.devices, device];
  return { ...screen, devices };
}
