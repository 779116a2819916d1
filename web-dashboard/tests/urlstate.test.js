import assert from 'node:assert/strict';
import { test } from 'node:test';
import { follow, format, freeze, pan, parse, span, toggleDevice, zoom } from '../urlstate.js';

test('an empty address is the live page of the last five minutes', () => {
  const screen = parse('');
  assert.deepEqual([screen.page, screen.range, screen.group, screen.frozen, screen.wall, screen.zone], ['live', '5m', 'quantity', null, false, 'local']);
  assert.equal(format(screen), '');
});

test('every screen survives its address', () => {
  for (const query of [
    '?page=devices', '?range=1h&group=device', '?device=boiler-1,hall.2', '?q=temp+north&tz=utc', '?from=1770000000000&to=1770000060000', '?wall', '?range=24h&wall',
  ]) {
    assert.equal(format(parse(query)), query);
  }
});

test('what an address gets wrong is the default', () => {
  const screen = parse('?range=constructor&group=x&from=9&to=3&tz=Mars&device=,,&page=live');
  assert.equal(format(screen), '');
  assert.equal(parse('?from=1.5&to=7').frozen, null);
  assert.equal(parse(`?q=${'x'.repeat(500)}`).search.length, 128);
});

test('freezing keeps what was on the screen; following lets go', () => {
  const live = parse('?range=1m');
  assert.deepEqual(span(live, 1_000_000), { from: 940_000, to: 1_000_000 });
  const frozen = freeze(live, 1_000_000);
  assert.deepEqual(span(frozen, 2_000_000), { from: 940_000, to: 1_000_000 });
  assert.equal(freeze(frozen, 2_000_000), frozen);
  assert.deepEqual(follow(frozen), live);
});

test('zooming and moving freeze', () => {
  const live = parse('?range=1m');
  assert.deepEqual(zoom(live, 0.5, null, 1_000_000).frozen, { from: 955_000, to: 985_000 });
  assert.deepEqual(pan(live, -0.5, 1_000_000).frozen, { from: 910_000, to: 970_000 });
  assert.deepEqual(pan(live, 0.5, 1_000_000).frozen, { from: 940_000, to: 1_000_000 });
});

test('a device is added to the filter and taken out again', () => {
  const one = toggleDevice(parse(''), 'a');
  assert.deepEqual(toggleDevice(one, 'b').devices, ['a', 'b']);
  assert.deepEqual(toggleDevice(one, 'a').devices, []);
});
