import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '../cbor.js';

/** @param {string} hex */
const bytes = (hex) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex')).buffer;
/** @param {string} hex */
const message = (hex) => /** @type {any} */ (decode(bytes(hex))).message;
/** @param {string} hex */
const reason = (hex) => /** @type {any} */ (decode(bytes(hex))).reason;

/** One series, one reading of 21.5 at +100 ms. */
const FRAME = '87 03 1b0000019c1c38a400 d8464407000000 d845420100 d8464464000000 d856480000000000803540 00';

test('a data frame becomes columns', () => {
  const { kind, frame } = /** @type {any} */ (decode(bytes(FRAME)));
  assert.equal(kind, 'data');
  assert.equal(frame.stream, 3);
  assert.equal(frame.t0, 1770000000000);
  assert.deepEqual([[...frame.ids], [...frame.counts], [...frame.dt], [...frame.values]], [[7], [1], [100], [21.5]]);
  assert.equal(frame.merged, 0);
});

test('columns decode alike at every alignment', () => {
  // Heads of different length push the columns to every offset modulo eight.
  for (const stream of ['03', '1818', '190100', '1a00010000', '1b0000000100000000']) {
    for (const t0 of ['00', '18ff', '190100', '1a00010000', '1b0000019c1c38a400']) {
      const { frame } = /** @type {any} */ (decode(bytes(`87 ${stream} ${t0} d8464407000000 d845420100 d8464464000000 d856480000000000803540 00`)));
      assert.deepEqual([[...frame.ids], [...frame.counts], [...frame.dt], [...frame.values]], [[7], [1], [100], [21.5]]);
    }
  }
});

test('every truncation of a frame is damaged, and none throws', () => {
  for (const hex of [FRAME, 'a264747970656568656c6c6f6178f93c00']) {
    const whole = new Uint8Array(bytes(hex));
    for (let length = 0; length < whole.length; length++) {
      assert.equal(decode(whole.slice(0, length).buffer).kind, 'damaged', `${length} bytes`);
    }
  }
});

test('no flipped byte makes the decoder throw', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  console.log(`SEED=${seed}`);
  let state = seed;
  const random = () => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff);
  const whole = new Uint8Array(bytes(FRAME));
  for (let round = 0; round < 20_000; round++) {
    const broken = whole.slice();
    for (let flips = 1 + (random() >> 8) % 3; flips > 0; flips--) broken[(random() >> 8) % broken.length] = (random() >> 8) & 255;
    const decoded = decode(broken.buffer);
    if (decoded.kind === 'data') {
      const rows = decoded.frame.counts.reduce((sum, count) => sum + count, 0);
      assert.equal(rows, decoded.frame.values.length);
      assert.equal(rows, decoded.frame.dt.length);
    }
  }
});

test('what a newer or broken hub may send is named, not guessed', () => {
  assert.match(reason('88 03 00 d84640 d84540 d84640 d85640 00 00'), /seven items/);
  assert.match(reason('87 03 00 d84540 d84540 d84640 d85640 00'), /tag 70/);
  assert.match(reason('87 03 00 d8464407000000 d84540 d84640 d85640 00'), /different lengths/);
  assert.match(reason('87 03 00 d84643000000 d84540 d84640 d85640 00'), /broken length/);
  assert.match(reason('bf ff'), /definite/);
  assert.match(reason('a1 01 02'), /key that is not text/);
  assert.match(reason('a1 61 61 1b0020000000000000'), /2\^53/);
  assert.match(reason('a0 00'), /after the end/);
  assert.match(reason('63 666f6f'), /neither/);
  assert.match(reason('a1 61 61 62 c328'), /UTF-8/);
  assert.match(reason(`a1 61 61 ${'81'.repeat(20)}00`), /nested/);
  assert.match(reason('a1 61 61 9a ffffffff'), /too early/);
});

test('numbers of every width are read', () => {
  assert.equal(message('a1 61 78 20').x, -1);
  assert.equal(message('a1 61 78 1b 001fffffffffffff').x, Number.MAX_SAFE_INTEGER);
  assert.equal(message('a1 61 78 f9 3e00').x, 1.5);
  assert.equal(message('a1 61 78 f9 0001').x, 2 ** -24);
  assert.equal(message('a1 61 78 f9 fc00').x, -Infinity);
  assert.ok(Number.isNaN(message('a1 61 78 f9 7e00').x));
  assert.equal(message('a1 61 78 fa 3fc00000').x, 1.5);
  assert.equal(message('a1 61 78 fb 3ff8000000000000').x, 1.5);
  assert.deepEqual([message('a1 61 78 f4').x, message('a1 61 78 f5').x, message('a1 61 78 f6').x], [false, true, null]);
});

test('a key named like a part of every object is only a key', () => {
  const decoded = message('a1 69 5f5f70726f746f5f5f a1 61 78 01');
  assert.equal(decoded.x, undefined);
  assert.deepEqual(Object.keys(decoded), ['__proto__']);
});

test('what is encoded is decoded again', () => {
  const sent = {
    type: 'subscribe', id: 70_000, series: 'küche/*,*/temp', window_ms: 300_000, points: 600, big: 2 ** 53 - 1, negative: -2, real: 0.25, hidden: true, long: 'x'.repeat(300),
  };
  const encoded = encode({ ...sent, absent: undefined });
  assert.deepEqual({ ...message(Buffer.from(encoded).toString('hex')) }, sent);
});
