import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrange, Catalogue, clean, colourSlots, sharedName } from '../store.js';

let next = 1;
/** @param {string} id @param {any[]} channels @param {object} [more] @returns {any} */
const device = (id, channels, more = {}) => ({
  id, state: 'fresh', connected: true, ...more,
  channels: channels.map((channel) => ({ series: next++, kind: 'gauge', ...(typeof channel === 'string' ? { channel } : channel) })),
});
/** @param {any[]} devices */
const catalogue = (...devices) => {
  const store = new Catalogue();
  store.apply({ type: 'catalogue', full: true, devices, removed: [] });
  return store;
};

test('the catalogue replaces, adds and removes', () => {
  const store = catalogue(device('b', ['temp']), device('a10', ['temp']), device('a9', ['temp']));
  assert.deepEqual(store.devices.map((one) => one.id), ['a9', 'a10', 'b']);
  store.apply({ type: 'catalogue', full: false, devices: [device('c', ['x', 'y'])], removed: ['b'] });
  assert.deepEqual(store.devices.map((one) => one.id), ['a9', 'a10', 'c']);
  assert.equal(store.series.size, 4);
  store.apply({ type: 'catalogue', full: true, devices: [], removed: [] });
  assert.equal(store.devices.length, 0);
});

test('states change without touching the shape', () => {
  const store = catalogue(device('a', ['temp'], { last_seen: 5 }));
  const { shape, states } = store;
  store.applyStates({ type: 'devices', devices: [{ id: 'a', state: 'overdue', connected: false }, { id: 'unknown', state: 'fresh', connected: true }] });
  assert.deepEqual([store.devices[0].state, store.devices[0].lastSeen, store.devices[0].connected], ['overdue', 5, false]);
  assert.equal(store.shape, shape);
  assert.ok(store.states > states);
});

test('text is cleaned where it enters', () => {
  assert.equal(clean('boiler\u001b[2J\u202egnp.exe\u2066\n'), 'boiler[2Jgnp.exe');
  assert.equal(clean('Küche 温度 🌡'), 'Küche 温度 🌡');
  assert.equal(clean('x'.repeat(500)).length, 128);
  assert.equal(clean(undefined), '');
  const [one] = catalogue(device('id-1', [{ channel: 't', title: '\u202eevil', unit: '°C\u0007' }], { title: '\u2066', labels: { '__proto__': 'x' } })).devices;
  assert.deepEqual([one.name, one.series[0].name, one.series[0].unit], ['id-1', 'evil', '°C']);
});

test('devices that are called alike are told apart by their ids', () => {
  const store = catalogue(device('cold-1', ['temp'], { title: 'Cold room' }), device('cold-2', ['temp'], { title: 'Cold room' }), device('hall', ['temp'], { title: 'Hall' }));
  assert.deepEqual(store.devices.map((one) => one.name), ['Cold room (cold-1)', 'Cold room (cold-2)', 'Hall']);
  store.apply({ type: 'catalogue', full: false, devices: [], removed: ['cold-2'] });
  assert.deepEqual(store.devices.map((one) => one.name), ['Cold room', 'Hall']);
});

test('filters: devices, and words found in names, ids and labels', () => {
  const store = catalogue(device('boiler-1', [{ channel: 'temp', title: 'Water' }, 'pressure'], { labels: { site: 'north' } }), device('hall', ['temp']));
  assert.equal(store.matching([], '').length, 3);
  assert.deepEqual(store.matching(['hall'], '').map((one) => one.key), ['hall/temp']);
  assert.deepEqual(store.matching([], 'NORTH water').map((one) => one.key), ['boiler-1/temp']);
  assert.equal(store.matching(['hall'], 'pressure').length, 0);
});

test('by quantity: one card a channel and unit, over devices; colours follow the device', () => {
  const store = catalogue(device('a', [{ channel: 'temp', unit: '°C' }, 'x']), device('b', [{ channel: 'temp', unit: '°C' }]), device('c', [{ channel: 'temp', unit: '°F' }]), device('d', ['x']));
  const cards = arrange(store.matching([], ''), 'quantity', store.devices);
  assert.deepEqual(cards.map((card) => [card.title, card.unit, card.series.map((one) => one.device.id).join(), card.colours.join()]),
    [['temp', '°C', 'a,b', '0,1'], ['x', '', 'a,d', '0,3'], ['temp', '°F', 'c', '2']]);
});

test('by device: channels of one unit share a card, channels without a unit do not', () => {
  const store = catalogue(device('a', [{ channel: 'in', unit: '°C' }, { channel: 'out', unit: '°C' }, 'x', 'y', { channel: 'door', kind: 'state', states: ['closed', 'open'] }]));
  const cards = arrange(store.matching([], ''), 'device', store.devices);
  assert.deepEqual(cards.map((card) => card.part), ['in, out', 'x', 'y', 'door']);
});

test('a card has at most eight lines, and keys do not change when others come', () => {
  const devices = Array.from({ length: 20 }, (_, i) => device(`n${i}`, ['temp']));
  const store = catalogue(...devices);
  const cards = arrange(store.matching([], ''), 'quantity', store.devices);
  assert.deepEqual(cards.map((card) => [card.series.length, card.part]), [[8, '1–8 of 20'], [8, '9–16 of 20'], [4, '17–20 of 20']]);
  store.apply({ type: 'catalogue', full: false, devices: [device('z', ['temp'])], removed: [] });
  const after = arrange(store.matching([], ''), 'quantity', store.devices);
  assert.deepEqual(after.map((card) => card.key), cards.map((card) => card.key));
  for (const card of after) assert.equal(new Set(card.colours).size, card.series.length);
});

test('colours collide on no card', () => {
  assert.deepEqual(colourSlots([0, 8, 1, 9]), [0, 1, 2, 3]);
  assert.deepEqual(colourSlots([7, 15]), [7, 0]);
});

test('one channel with several names is called by the words they share', () => {
  assert.equal(sharedName(['Room temperature', 'Air temperature', 'Temperature']), 'Temperature');
  assert.equal(sharedName(['Oil pump current', 'Water pump current']), 'Pump current');
  assert.equal(sharedName(['CO₂']), 'CO₂');
  assert.equal(sharedName(['Left', 'Right']), '');
});
