/** The frames that the Rust tests read too: both sides must see the same values in the same bytes. */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decode } from '../cbor.js';

const FOLDER = new URL('../../crates/protocol/golden/', import.meta.url);
const names = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => /^live-.*\.json$/.test(name)) : [];

/** As JSON has it: typed arrays as arrays, NaN as null. @param {any} decoded */
function plain(decoded) {
  if (decoded.kind === 'control') return JSON.parse(JSON.stringify(decoded.message));
  const { stream, t0, ids, counts, dt, values, merged } = decoded.frame;
  return [stream, t0, [...ids], [...counts], [...dt], [...values].map((value) => (Number.isNaN(value) ? null : value)), merged];
}

test('there are golden frames of the live protocol', () => {
  assert.ok(names.length > 0, `none in ${FOLDER.pathname}`);
});

for (const name of names) {
  test(name, () => {
    const { hex, value } = JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'));
    const decoded = decode(Uint8Array.from(Buffer.from(hex, 'hex')).buffer);
    assert.notEqual(decoded.kind, 'damaged', JSON.stringify(decoded));
    assert.deepEqual(plain(decoded), value);
  });
}
