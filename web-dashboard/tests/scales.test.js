import assert from 'node:assert/strict';
import { test } from 'node:test';
import { niceStep, panned, SPAN_MAX_MS, SPAN_MIN_MS, valueRange, zoomed } from '../scales.js';

test('steps are 1, 2 or 5 times a power of ten', () => {
  assert.deepEqual([0.03, 0.9, 1, 1.1, 4, 7, 130].map(niceStep).map((step) => Number(step.toPrecision(6))), [0.05, 1, 1, 2, 5, 10, 200]);
});

test('a range holds its values, with a little air, and ends on round numbers', () => {
  for (const [lo, hi] of [[16.3, 31.2], [-4, 4], [0.001, 0.0013], [1e9, 1.4e9], [-1e-9, 2e-9]]) {
    const [min, max] = valueRange(lo, hi);
    assert.ok(min < lo && max > hi, `${min} < ${lo} … ${hi} < ${max}`);
    assert.ok(max - min < 1.6 * (hi - lo), `not much empty: ${min} … ${max} for ${lo} … ${hi}`);
  }
  assert.deepEqual(valueRange(16.3, 31.2), [14, 32]);
});

test('a range does not go below zero for values that do not', () => {
  assert.equal(valueRange(0, 10)[0], 0);
  assert.equal(valueRange(0.1, 10)[0], 0);
  assert.ok(valueRange(-0.1, 10)[0] < 0);
});

test('a flat line stands within its range', () => {
  for (const value of [0, 1, -40, 1e12, 1e-12]) {
    const [min, max] = valueRange(value, value);
    assert.ok(min <= value && max > value && max > min, `${min} ${value} ${max}`);
  }
});

test('a range stays while the values fill it, grows at once, and shrinks when they leave most of it', () => {
  const before = valueRange(10, 20);
  assert.equal(valueRange(11, 19, before), before);
  assert.ok(valueRange(10, 30, before)[1] >= 30);
  assert.ok(valueRange(14.9, 15.1, before)[1] < 16);
});

test('without values the previous range stands', () => {
  assert.deepEqual(valueRange(Infinity, -Infinity, [3, 4]), [3, 4]);
  assert.deepEqual(valueRange(Infinity, -Infinity), [0, 1]);
});

test('zooming keeps the point under the pointer where it is', () => {
  const span = zoomed({ from: 1000, to: 11_000 }, 0.5, 3500, 1e9);
  assert.deepEqual(span, { from: 2250, to: 7250 });
  assert.equal((3500 - span.from) / (span.to - span.from), 0.25);
});

test('nothing is shown beyond the newest, and a span has bounds', () => {
  assert.deepEqual(zoomed({ from: 0, to: 1000 }, 2, 500, 1000), { from: -1000, to: 1000 });
  assert.deepEqual(panned({ from: 0, to: 1000 }, 0.25, 1100), { from: 100, to: 1100 });
  assert.deepEqual(panned({ from: 0, to: 1000 }, -0.25, 1100), { from: -250, to: 750 });
  const small = zoomed({ from: 1000, to: 1300 }, 0.0001, 1100, 1e9);
  assert.equal(small.to - small.from, SPAN_MIN_MS);
  const large = zoomed({ from: 0, to: 1e9 }, 1e9, 0, 1e15);
  assert.equal(large.to - large.from, SPAN_MAX_MS);
});
