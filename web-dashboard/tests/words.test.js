/** Times, numbers and counts as people read them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliverySentence } from '../panels/devices.js';
import { formatAge, formatClock, formatMoment, formatSpan, formatTick } from '../time.js';
import { counted, formatAxis, formatBesideUnit, formatCount, formatRate, formatStep, formatValue, formatWithUnit } from '../units.js';

const NOON = Date.UTC(2026, 10, 20, 12, 5, 9, 340);
const HOUR = 3_600_000;

test('a clock is as fine as what it must tell apart', () => {
  assert.equal(formatClock(NOON, 'utc', HOUR), '12:05');
  assert.equal(formatClock(NOON, 'utc', 1000), '12:05:09');
  assert.equal(formatClock(NOON, 'utc', 100), '12:05:09.3');
  assert.equal(formatClock(NOON, 'utc', 5), '12:05:09.340');
});

test('the local clock is the machine\'s', () => {
  const local = new Date(NOON);
  assert.equal(formatClock(NOON, 'local', HOUR), `${String(local.getHours()).padStart(2, '0')}:${String(local.getMinutes()).padStart(2, '0')}`);
});

test('an axis names the day where it begins', () => {
  assert.equal(formatTick(Date.UTC(2026, 10, 20), 'utc', 6 * HOUR), '20 Nov');
  assert.equal(formatTick(Date.UTC(2026, 10, 20, 6), 'utc', 6 * HOUR), '06:00');
  assert.equal(formatTick(Date.UTC(2026, 10, 20), 'utc', 1000), '00:00:00');
});

test('a moment of another day names the day', () => {
  assert.equal(formatMoment(NOON, 'utc', NOON + HOUR), '12:05:09');
  assert.equal(formatMoment(NOON, 'utc', NOON + 24 * HOUR), '20 Nov 12:05:09');
  assert.equal(formatMoment(NOON, 'utc', NOON + 365 * 24 * HOUR), '20 Nov 12:05:09');
});

test('ages and spans', () => {
  assert.deepEqual([-50, 1999, 2000, 48_000, 119_999, 120_000, 3 * HOUR, 49 * HOUR].map(formatAge), ['now', 'now', '2 s', '48 s', '119 s', '2 min', '3 h', '2 d']);
  assert.deepEqual([0, 42_900, 134_000, 120_000, 3 * HOUR + 300_000, 51 * HOUR].map(formatSpan), ['0 s', '42 s', '2 min 14 s', '2 min', '3 h 5 min', '2 d 3 h']);
});

test('a value follows what the device declared', () => {
  assert.equal(formatValue(21.456, { decimals: 1 }), '21.5');
  assert.equal(formatValue(0.00004, { decimals: 2 }), '0.00');
  assert.equal(formatValue(-0.001, { decimals: 2 }), '0.00');
  assert.equal(formatValue(1, { states: ['closed', 'open'] }), 'open');
  assert.equal(formatValue(7, { states: ['closed', 'open'] }), '7');
});

test('a value without a declaration shows the digits that carry information', () => {
  assert.deepEqual([1013.25, 21.456, 1.2345, 0.01234, 0, -3].map((value) => formatValue(value)), ['1013', '21.5', '1.23', '0.012', '0.000', '−3.00']);
  assert.equal(formatValue(1234567), '1\u202f234\u202f567');
  assert.equal(formatValue(1.26e12), '1.26e12');
  assert.equal(formatValue(-1.1e-7), '−1.10e−7');
  assert.equal(formatValue(NaN), '–');
});

test('labels of a value axis', () => {
  assert.deepEqual([[20, 5], [22.5, 2.5], [0.30000000000000004, 0.1], [-5, 5], [0, 5], [8513.75, 0.25]].map(([value, step]) => formatStep(value, step)),
    ['20', '22.5', '0.3', '−5', '0', '8513.75']);
  assert.deepEqual([[1.2e12, 1e11], [150_000, 50_000], [1.2e-7, 2e-8], [0, 2e-8]].map(([value, step]) => formatStep(value, step)), ['1.2T', '150k', '1.2e−7', '0']);
  assert.deepEqual([[8_061_750, 5], [8_000_000, 1e6], [1_009_300, 20], [1e9, 1e5]].map(([value, step]) => formatStep(value, step)),
    ['8\u202f061\u202f750', '8M', '1\u202f009\u202f300', '1\u202f000\u202f000\u202f000']);
});

test('bytes are shortened to three digits, everything else keeps its unit', () => {
  const bytes = { unit: 'B' };
  assert.deepEqual([0, 999, 999.6, 1024, 12_345, 99_960, 999_499, 999_500, 7_421_000_000, 2.5e13, -2048].map((value) => formatWithUnit(value, bytes)),
    ['0 B', '999 B', '1.00 kB', '1.02 kB', '12.3 kB', '100 kB', '999 kB', '1.00 MB', '7.42 GB', '25.0 TB', '−2.05 kB']);
  for (const unit of ['By', 'byte', 'bytes']) assert.equal(formatWithUnit(1500, { unit, decimals: 0 }), '1.50 kB');
  for (const unit of ['B/s', 'By/s', 'bytes/s']) assert.equal(formatWithUnit(1500, { unit }), '1.50 kB/s');
  assert.equal(formatWithUnit(1500, { unit: 'Bq' }), '1500 Bq');
  assert.deepEqual([formatBesideUnit(1500, bytes), formatBesideUnit(1500, { unit: 'W' }), formatBesideUnit(NaN, bytes)], ['1.50 kB', '1500', '–']);
  assert.equal(formatWithUnit(NaN, bytes), '–');
});

test('an axis of bytes has one scale, on which neighbours differ', () => {
  assert.deepEqual(formatAxis([0, 5e8, 1e9, 1.5e9], 5e8, 'B'), ['0', '0.5 GB', '1.0 GB', '1.5 GB']);
  assert.deepEqual(formatAxis([7.42e9, 7.44e9], 2e7, 'By'), ['7.42 GB', '7.44 GB']);
  assert.deepEqual(formatAxis([7.42e9, 7.42e9 + 2e5], 2e5, 'B'), ['7420.0 MB', '7420.2 MB']);
  assert.deepEqual(formatAxis([0, 1000, 2000], 1000, 'B/s'), ['0', '1 kB', '2 kB']);
  assert.deepEqual(formatAxis([0, 0.25, 0.5, 1], 0.25, 'B'), ['0', '', '', '1 B']);
  assert.deepEqual(formatAxis([20, 22.5], 2.5, '°C'), ['20.0', '22.5']);
});

test('counts and rates', () => {
  assert.deepEqual([counted(1, 'reading'), counted(418, 'reading'), counted(12398, 'reading')], ['1 reading', '418 readings', '12\u202f398 readings']);
  assert.equal(formatCount(9999), '9999');
  assert.deepEqual([12, 3400, 2_500_000].map(formatRate), ['12 B/s', '3.40 kB/s', '2.50 MB/s']);
});

test('what became of a device\'s messages is a sentence', () => {
  const delivery = { received: 12402, stored: 12398, duplicate: 3, refused: { bad_value: 1, bad_time: 0 }, gaps: [], readings_stored: 1, readings_dropped: 0 };
  assert.equal(deliverySentence(delivery), 'Received 12\u202f402 messages: 12\u202f398 stored, 3 duplicate, 1 refused (bad_value 1). 1 reading stored. No gaps.');
  const lossy = { ...delivery, refused: {}, readings_dropped: { series_cap: 2 }, gaps: [{ from: 1, to: 2, reason: 'lost', at: 0 }] };
  assert.equal(deliverySentence(lossy), 'Received 12\u202f402 messages: 12\u202f398 stored, 3 duplicate, 0 refused. 1 reading stored, 2 dropped.');
});
