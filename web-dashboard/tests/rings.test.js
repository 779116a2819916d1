import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fill } from '../history.js';
import { commonGaps, FELL, LiveWindow, Ring } from '../rings.js';

const T = 1_770_000_000_000;
const GAUGE = { periodMs: 100, hold: false };

/** @param {number} stepMs @param {number} slots @param {[number, number][]} readings times after T */
function ringOf(stepMs, slots, readings) {
  const ring = new Ring(stepMs, slots);
  for (const [time, value] of readings) ring.push(T + time, value);
  return ring;
}

/** @param {Ring} ring @param {number} time */
const bucket = (ring, time) => {
  const slot = Math.floor((T + time) / ring.stepMs) % ring.slots;
  return { lo: ring.lo[slot], hi: ring.hi[slot], last: ring.last[slot], time: ring.time[slot] - T, mark: ring.mark[slot] };
};

test('a bucket keeps the lowest, the highest and the last, and which extreme came first', () => {
  const rising = bucket(ringOf(1000, 10, [[0, 5], [100, 2], [200, 9], [300, 6]]), 0);
  assert.deepEqual([rising.lo, rising.hi, rising.last, rising.time, rising.mark & FELL], [2, 9, 6, 300, 0]);
  const falling = bucket(ringOf(1000, 10, [[0, 5], [100, 9], [200, 2], [300, 6]]), 0);
  assert.deepEqual([falling.lo, falling.hi, falling.last, falling.mark & FELL], [2, 9, 6, FELL]);
});

test('readings that come late fall into their place, and change neither the newest nor the last', () => {
  const ring = ringOf(1000, 10, [[0, 1], [5000, 5], [2000, 2], [4900, 7]]);
  assert.equal(bucket(ring, 2000).last, 2);
  assert.equal(bucket(ring, 4900).last, 7);
  assert.deepEqual([ring.newestTime - T, ring.newestValue], [5000, 5]);
  ring.push(T + 4500, 8);
  assert.deepEqual([bucket(ring, 4900).last, bucket(ring, 4900).hi], [7, 8]);
});

test('the window moves on: old buckets are emptied, older readings are left out', () => {
  const ring = ringOf(1000, 4, [[0, 1], [1000, 2], [2000, 3], [3000, 4], [5000, 6]]);
  assert.deepEqual(ring.survey(T, T + 5999, { hold: true }, []).lo, 3);
  ring.push(T + 1000, -100);
  assert.equal(ring.survey(T, T + 5999, { hold: true }, []).lo, 3);
  ring.push(T + 500_000, 9);
  const survey = ring.survey(T, T + 500_999, { hold: true }, []);
  assert.deepEqual([survey.lo, survey.hi], [9, 9]);
});

test('a ring never says more or less than a list of all readings would', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  console.log(`SEED=${seed}`);
  let state = seed;
  const random = (/** @type {number} */ below) => ((state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) >> 8) % below;
  const ring = new Ring(250, 50);
  /** @type {[number, number][]} */
  const all = [];
  let clock = 0;
  for (let i = 0; i < 5000; i++) {
    clock += random(60);
    const time = Math.max(0, clock - (random(10) === 0 ? random(3000) : 0));
    const value = random(1000) / 10;
    ring.push(T + time, value);
    all.push([T + time, value]);
    if (i % 100 !== 0) continue;
    const oldest = (ring.head - ring.slots + 1) * ring.stepMs;
    const kept = all.filter(([at]) => at >= oldest);
    const survey = ring.survey(oldest, ring.head * ring.stepMs + 249, { hold: false }, []);
    const older = all.filter(([at]) => at < oldest).sort(([a], [b]) => a - b).at(-1);
    assert.equal(ring.mark[ring.slots] ? ring.time[ring.slots] : undefined, older?.[0], 'of what is older the newest is known');
    assert.equal(survey.lo, Math.min(...kept.map(([, kv]) => kv)));
    assert.equal(survey.hi, Math.max(...kept.map(([, kv]) => kv)));
  }
});

test('silence longer than three declared periods is a gap, up to the right edge', () => {
  const ring = ringOf(10, 600, [[0, 1], [100, 1], [200, 1], [900, 1], [1000, 1]]);
  assert.deepEqual(ring.survey(T, T + 1100, GAUGE, []).gaps, [{ from: T + 200, to: T + 900, reason: 'silent' }]);
  assert.deepEqual(ring.survey(T, T + 2000, GAUGE, []).gaps[1], { from: T + 1000, to: T + 2000, reason: 'silent' });
});

test('without a declared period the usual distance decides; a state stands until the next', () => {
  /** @type {[number, number][]} */
  const slow = [0, 1000, 2100, 2900, 4000, 4950, 30_000].map((time) => [time, 1]);
  assert.equal(ringOf(50, 700, slow).survey(T, T + 30_000, { hold: false }, []).gaps.length, 0);
  /** @type {[number, number][]} */
  const steady = Array.from({ length: 60 }, (_, i) => [i < 30 ? i * 100 : i * 100 + 20_000, 1]);
  assert.equal(ringOf(50, 700, steady).survey(T, T + 26_000, { hold: false }, []).gaps.length, 1);
  assert.equal(ringOf(50, 700, steady).survey(T, T + 40_000, { hold: true }, []).gaps.length, 0);
  assert.equal(ringOf(50, 700, steady).survey(T, T + 40_000, { hold: true, periodMs: 2000 }, []).gaps.length, 2);
});

test('a state that last changed before the window stands in it', () => {
  const hold = { hold: true };
  const alone = ringOf(1000, 10, [[-3_600_000, 1]]);
  assert.deepEqual(alone.survey(T, T + 9000, hold, []), { lo: 1, hi: 1, gaps: [], any: true });
  assert.deepEqual([alone.valueAt(T, []), alone.newestValue], [1, 1]);

  const changed = ringOf(1000, 10, [[-3_600_000, 1], [5000, 0]]);
  assert.deepEqual([changed.valueAt(T + 4000, []), changed.valueAt(T + 5000, [])], [1, 0]);
  assert.deepEqual(changed.survey(T, T + 9000, hold, []).hi, 1);
  // It also comes after what is newer, and readings slide out of the window while one looks.
  changed.push(T - 1_800_000, 2);
  changed.push(T - 7_200_000, 3);
  assert.equal(changed.valueAt(T + 4000, []), 2);
  changed.push(T + 60_000, 1);
  assert.equal(changed.copy().valueAt(T + 55_000, []), 0);
});

test('a state does not stand while nothing is known, and a gauge never does', () => {
  const ring = ringOf(1000, 10, [[-3_600_000, 1]]);
  const offline = { from: T - 60_000, to: Infinity, reason: 'offline' };
  assert.equal(ring.survey(T, T + 9000, { hold: true }, [offline]).any, false);
  const since = ring.survey(T, T + 9000, { hold: true }, [{ ...offline, from: T + 4000 }]);
  assert.deepEqual([since.any, since.gaps], [true, [{ from: T + 4000, to: T + 9000, reason: 'offline' }]]);
  const gauge = ring.survey(T, T + 9000, GAUGE, []);
  assert.deepEqual([gauge.any, gauge.gaps], [false, [{ from: T - 3_600_000, to: T + 9000, reason: 'silent' }]]);
});

test('a missing measurement breaks the line even when readings keep coming', () => {
  const ring = ringOf(10, 600, [[0, 1], [100, NaN], [200, 3]]);
  assert.deepEqual(ring.survey(T, T + 250, GAUGE, []).gaps, [{ from: T, to: T + 200, reason: 'missing' }]);
  assert.ok(Number.isNaN(ringOf(10, 600, [[0, 1], [100, NaN]]).newestValue));
});

test('a reported gap names the silence it explains, and breaks the line where readings hide it', () => {
  const ring = ringOf(10, 600, [[0, 1], [100, 1], [900, 1], [1000, 1]]);
  assert.deepEqual(ring.survey(T, T + 1000, GAUGE, [{ from: T + 150, to: T + 800, reason: 'lost' }]).gaps,
    [{ from: T + 100, to: T + 900, reason: 'lost' }]);
  assert.deepEqual(ring.survey(T, T + 1000, { hold: true }, [{ from: T + 120, to: T + 880, reason: 'lost' }]).gaps,
    [{ from: T + 120, to: T + 880, reason: 'lost' }]);
  assert.deepEqual(ring.survey(T + 950, T + 1000, GAUGE, [{ from: T - 500, to: T - 400, reason: 'lost' }]).gaps, []);
});

test('a gap that began before the range is a gap in it', () => {
  const ring = ringOf(10, 600, [[0, 1], [100, 1], [3000, 1]]);
  assert.equal(ring.survey(T + 500, T + 3000, GAUGE, []).gaps[0]?.from, T + 100);
});

test('the value at a time is the last one before it, and nothing within a gap', () => {
  const ring = ringOf(10, 600, [[0, 1], [100, 2], [900, 3]]);
  const { gaps } = ring.survey(T, T + 1000, GAUGE, []);
  assert.equal(ring.valueAt(T + 50, gaps), 1);
  assert.equal(ring.valueAt(T + 100, gaps), 2);
  assert.ok(Number.isNaN(ring.valueAt(T + 500, gaps)));
  assert.equal(ring.valueAt(T + 900, gaps), 3);
  assert.ok(Number.isNaN(ring.valueAt(T - 100, gaps)));
});

test('gaps common to all lines are those in every list', () => {
  const gap = (/** @type {number} */ from, /** @type {number} */ to, reason = 'silent') => ({ from, to, reason });
  assert.deepEqual(commonGaps([[gap(0, 10), gap(20, 30)], [gap(5, 25, 'lost')]]), [gap(5, 10, 'lost'), gap(20, 25, 'lost')]);
  assert.deepEqual(commonGaps([[gap(0, 10)], []]), []);
});

/** @param {number} id @param {number} stream @param {number[]} series */
const snapshot = (id, stream, series) => /** @type {any} */ ({ type: 'snapshot', id, stream, series: series.map((one) => ({ id: one, kind: 'gauge' })) });
/** @param {number} stream @param {[number, [number, number][]][]} groups */
const frame = (stream, groups) => ({
  stream, t0: T, merged: 0,
  ids: Uint32Array.from(groups.map(([id]) => id)),
  counts: Uint16Array.from(groups.map(([, rows]) => rows.length)),
  dt: Uint32Array.from(groups.flatMap(([, rows]) => rows.map(([dt]) => dt))),
  values: Float64Array.from(groups.flatMap(([, rows]) => rows.map(([, value]) => value))),
});

test('a snapshot replaces the window only when it is complete', () => {
  const window = new LiveWindow();
  window.resize(60_000, 600);
  window.begin(snapshot(1, 10, [7, 8]));
  assert.equal(window.take(frame(10, [[7, [[0, 1], [100, 2]]], [8, []]])), false);
  assert.equal(window.ring(7), null);
  window.end({ type: 'snapshot-end', id: 1, stream: 10, gaps: [{ series: 7, from: T, to: T + 50, reason: 'lost' }] });
  assert.equal(window.ring(7)?.newestValue, 2);
  assert.deepEqual(window.gaps(7), [{ from: T, to: T + 50, reason: 'lost' }]);
  assert.deepEqual(window.gaps(8), []);

  window.begin(snapshot(1, 11, [7]));
  assert.equal(window.take(frame(11, [[7, [[0, 5]]]])), false);
  assert.equal(window.take(frame(10, [[7, [[200, 3]]]])), true);
  assert.equal(window.ring(7)?.newestValue, 3);
  window.end({ type: 'snapshot-end', id: 1, stream: 10, gaps: [] });
  assert.equal(window.ring(7)?.newestValue, 3, 'the end of another stream ends nothing');
  window.end({ type: 'snapshot-end', id: 1, stream: 11, gaps: [] });
  assert.equal(window.ring(7)?.newestValue, 5);
  assert.equal(window.ring(8), null);
  assert.equal(window.take(frame(10, [[7, [[300, 9]]]])), false, 'the old stream is over');
});

test('a window that the hub reduced to wide buckets has no gap but where readings are missing', () => {
  const window = new LiveWindow();
  window.resize(60_000, 250);
  window.begin(snapshot(1, 10, [7]));
  // Of a thousand readings a second: the lowest and the highest of each second somewhere in it, and the last.
  /** @type {(seconds: number) => [number, number][]} */
  const second = (n) => [[n * 1000 + (n * 137) % 400, 1], [n * 1000 + 400 + (n * 271) % 500, 3], [n * 1000 + 999, 2]];
  const seconds = [...Array(20).keys(), ...Array.from({ length: 25 }, (_, i) => 26 + i)];
  window.take(frame(10, [[7, seconds.flatMap(second)]]));
  window.end({ type: 'snapshot-end', id: 1, stream: 10, gaps: [] });
  window.take(frame(10, [[7, Array.from({ length: 180 }, (_, i) => [51_000 + i * 50 + (i % 3) * 40, 2])]]));
  const survey = (/** @type {number} */ to) => window.ring(7)?.survey(T, T + to, { periodMs: 1, hold: false }, []).gaps;
  assert.deepEqual(survey(60_000), [{ from: T + 19_999, to: T + 26_362, reason: 'silent' }]);
  assert.equal(survey(63_000)?.length, 2, 'a silence that lasts');
});

test('several subscriptions fill one window, and one can be forgotten', () => {
  const window = new LiveWindow();
  window.begin(snapshot(1, 10, [7]));
  window.begin(snapshot(2, 11, [8]));
  window.end({ type: 'snapshot-end', id: 1, stream: 10, gaps: [] });
  window.end({ type: 'snapshot-end', id: 2, stream: 11, gaps: [] });
  window.take(frame(10, [[7, [[0, 1]]]]));
  window.take(frame(11, [[8, [[0, 2]]]]));
  assert.deepEqual([window.ring(7)?.newestValue, window.ring(8)?.newestValue], [1, 2]);
  window.forget(1);
  assert.deepEqual([window.ring(7), window.ring(8)?.newestValue], [null, 2]);
});

test('a frozen copy is not changed by what comes later', () => {
  const window = new LiveWindow();
  window.begin(snapshot(1, 10, [7]));
  window.end({ type: 'snapshot-end', id: 1, stream: 10, gaps: [] });
  window.take(frame(10, [[7, [[0, 1]]]]));
  const copy = window.copy();
  window.take(frame(10, [[7, [[100, 2], [900_000, 3]]]]));
  assert.equal(copy.ring(7)?.newestValue, 1);
  assert.equal(copy.ring(7)?.slotBefore(T + 1_000_000) !== -1, true);
});

test('an answer from history is filled raw or as buckets', () => {
  const span = { from: T, to: T + 60_000 };
  const raw = fill({ id: 7, device: 'a', channel: 'b', bucket_ms: null, t: [T, T + 1000], value: [1, null] }, 'gauge', span, 300);
  assert.deepEqual([raw.reduced, raw.valueAt(T + 10, []), Number.isNaN(raw.newestValue)], [false, 1, true]);
  const answer = { id: 7, device: 'a', channel: 'b', bucket_ms: 1000, t: [T, T + 1000], min: [1, 4], max: [3, 6], mean: [2, 5], last: [3, 4] };
  const reduced = fill(answer, 'gauge', span, 60);
  assert.deepEqual([reduced.reduced, reduced.newestValue, reduced.survey(T, T + 60_000, { hold: true }, []).hi], [true, 5, 6]);
  assert.equal(fill(answer, 'state', span, 60).newestValue, 4);
  const state = fill({ id: 7, device: 'a', channel: 'door', before: { t: T - 900_000, value: 1 }, bucket_ms: null, t: [T + 30_000], value: [0] }, 'state', span, 300);
  assert.deepEqual([state.valueAt(T + 10_000, []), state.valueAt(T + 40_000, [])], [1, 0], 'what stood at the left edge');
});
