/** The live page against a real hub: data moves, an outage is shown honestly, and is filled in afterwards. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { badge, Hub, missing, openPage, startDevices, unexpected, until } from './support.js';

const RATE_HZ = 10;
const DEVICES = 3;

/** A value in CBOR, as far as a device needs it: whole numbers, texts, arrays, maps. @param {unknown} value @returns {number[]} */
function cbor(value) {
  /** @param {number} major @param {number} argument */
  const head = (major, argument) => {
    if (argument < 24) return [(major << 5) | argument];
    const bytes = Array.from({ length: 8 }, (_, i) => Number((BigInt(argument) >> BigInt(56 - 8 * i)) & 255n));
    return [(major << 5) | 27, ...bytes];
  };
  if (typeof value === 'number') return head(0, value);
  if (typeof value === 'string') return [...head(3, Buffer.byteLength(value)), ...Buffer.from(value)];
  if (Array.isArray(value)) return [...head(4, value.length), ...value.flatMap(cbor)];
  const entries = Object.entries(/** @type {object} */ (value));
  return [...head(5, entries.length), ...entries.flat().flatMap(cbor)];
}

/** Times of one series' raw readings since `from`. @param {Hub} hub @param {string} key @param {number} from */
async function readingTimes(hub, key, from) {
  const { series } = await hub.get(`/api/v1/query?series=${key}&from=${from}&to=${Date.now() + 1000}&points=10000`);
  assert.equal(series[0].bucket_ms, null, 'the readings themselves are asked for');
  return /** @type {number[]} */ (series[0].t);
}

test('live data moves, a killed hub is shown as away, and the outage is filled from the devices', { skip: missing({ devices: true }), timeout: 120_000 }, async (t) => {
  const hub = await Hub.start();
  const devices = startDevices(hub, { devices: DEVICES, rate: RATE_HZ });
  const { browser, page, complaints } = await openPage(`${hub.url}/?range=1m`);
  t.after(async () => {
    await browser.close();
    await devices.end();
    await hub.stop();
  });
  const value = () => page.evaluate(() => [...document.querySelectorAll('.card .value')].map((element) => element.textContent).join(' '));
  /** @param {string} state */
  const link = async (state) => (await page.evaluate(() => document.documentElement.dataset.link)) === state;

  const first = await until('values are shown', async () => /\d/.test(await value()) && value());
  await until('the value changes', async () => (await value()) !== first);
  assert.match(await badge(page), /^Live/);
  /** One gauge of each device, for each has a spool of its own. @type {string[]} */
  const keys = await until('every device has a gauge', async () => {
    const { series } = await hub.get('/api/v1/series');
    const gauges = new Map(series.filter((/** @type {any} */ one) => one.kind === 'gauge').map((/** @type {any} */ one) => [one.device, `${one.device}/${one.channel}`]));
    return gauges.size === DEVICES && [...gauges.values()];
  });
  const before = Date.now();
  await until('two seconds of readings are stored', async () => (await readingTimes(hub, keys[0], before)).length >= 2 * RATE_HZ);

  await hub.kill();
  await until('the page says that the hub is away', () => link('reconnecting'));
  await until('the badge counts down', async () => /^Reconnecting/.test(await badge(page)));
  await until('nothing is said to be fresh', async () => (await page.evaluate(() => document.querySelector('.fresh-count')?.textContent)) === 'state unknown');
  const downSince = Date.now();
  await until('four seconds without a hub', () => Date.now() - downSince > 4000);
  const kept = await value();
  assert.match(kept, /\d/, 'what was shown stays');

  await hub.run();
  const backAt = Date.now();
  await until('the page is live again', () => link('live'));
  console.log(`live again after ${Date.now() - backAt} ms`);
  for (const key of keys) {
    await until(`readings of ${key} of after the outage are stored`, async () => (await readingTimes(hub, key, backAt)).length >= RATE_HZ, 30_000);
    await until(`the spool with ${key} has been sent`, async () => {
      const times = await readingTimes(hub, key, before);
      return times.every((time, i) => i === 0 || time - times[i - 1] < (2.5 * 1000) / RATE_HZ);
    }, 30_000);
  }
  await until('the value moves again', async () => (await value()) !== kept);
  // The summary in words is made from what the chart draws: a hole in it would be counted there.
  await page.reload();
  const summary = await until('the chart is summarised', async () => {
    const label = await page.evaluate(() => document.querySelector('.plot')?.getAttribute('aria-label') ?? '');
    return /: from .* to /.test(label) && label;
  });
  // On a busy machine the simulator itself may pause; such a hole is in what the hub has, and the outage is not.
  const drawn = (await hub.get('/api/v1/series')).series.find((/** @type {any} */ series) => summary.startsWith(`${series.title},`));
  const times = await readingTimes(hub, `${drawn.device}/${drawn.channel}`, before - 60_000);
  const holes = times.filter((time, i) => i > 0 && time - times[i - 1] >= (1.5 * 1000) / RATE_HZ).length;
  assert.ok(Number(/(\d+) gap/.exec(summary)?.[1] ?? 0) <= holes, `${summary} (${holes} holes)`);

  assert.deepEqual(unexpected(complaints), []);
});

test('the first reading brings the page to life', { skip: missing(), timeout: 60_000 }, async (t) => {
  const hub = await Hub.start();
  const { browser, page, complaints } = await openPage(hub.url);
  t.after(async () => {
    await browser.close();
    await hub.stop();
  });
  const command = await until('the command is shown', () => page.evaluate(() => document.querySelector('[data-command=curl] code')?.textContent));
  assert.match(command, new RegExp(`${hub.url}/api/v1/readings`));
  const simulated = await page.evaluate(() => document.querySelector('[data-command=sim] code')?.textContent);
  assert.equal(simulated, `cargo run --release -p device-sim -- --hub ${hub.url.replace('http', 'ws')} --device demo --devices 3 --rate 10`);
  await hub.post(JSON.parse(/** @type {RegExpMatchArray} */ (command.match(/-d '(.*)'$/))[1]));
  await until('its value is shown', async () => (await page.evaluate(() => document.querySelector('.card .value')?.textContent)) === '21.5');
  assert.equal(await page.evaluate(() => document.querySelector('.device-list .name')?.textContent), 'shed');
  const range = () => page.evaluate(() => document.querySelector('.ranges [aria-pressed=true]')?.textContent);
  assert.equal(await range(), '1m', 'five minutes of a hub that has just begun would be empty');
  await page.keyboard.press('2');
  await page.goto(`${hub.url}/?range=5m`);
  await until('its value is shown again', async () => (await page.evaluate(() => document.querySelector('.card .value')?.textContent)) === '21.5');
  assert.equal(await range(), '5m', 'an address that says so is followed');
  assert.deepEqual(complaints, []);
});

test('a state that last changed long before the window stands in it, live and in a past range', { skip: missing(), timeout: 60_000 }, async (t) => {
  const hub = await Hub.start();
  const { browser, page, complaints } = await openPage(`${hub.url}/?range=1m`);
  t.after(async () => {
    await browser.close();
    await hub.stop();
  });
  const now = Date.now();
  // A device that says what its states are called, and that its door was opened ten minutes ago.
  const hello = { type: 'hello', device: 'shed', spool: 1, clock: 'unix', channels: [{ name: 'door', kind: 'state', states: ['closed', 'open'] }], first: 1, next: 2, now };
  await page.evaluate(async (messages) => {
    const socket = new WebSocket(`ws://${location.host}/ws/device`, 'highwater.device.v1');
    /** @type {any} */ (window).device = socket;
    await new Promise((resolve) => { socket.onopen = resolve; });
    for (const message of messages) socket.send(Uint8Array.from(message));
  }, [cbor(hello), cbor([1, now - 600_000, [[0, 0, 1]]])]);
  const shown = () => page.evaluate(() => ({
    value: document.querySelector('.card .value')?.textContent,
    veiled: /** @type {HTMLElement | null} */ (document.querySelector('.veil'))?.hidden === false,
    words: document.querySelector('.plot')?.getAttribute('aria-label') ?? '',
  }));
  await until('it stands open', async () => (await shown()).value === 'open');
  // The first reading arrived while the page looked on; from here on it comes with the snapshot, from before the window.
  await page.goto(`${hub.url}/?range=1m`);
  const live = await until('it stands open again', async () => { const now = await shown(); return now.value === 'open' && /chart\. shed/.test(now.words) && now; });
  assert.ok(!live.veiled && !/no reading/.test(live.words), JSON.stringify(live));
  await page.goto(`${hub.url}/?from=${now - 60_000}&to=${now - 1000}`);
  await until('the past is summarised', async () => /chart\. shed/.test((await shown()).words));
  const past = await until('the past is there', async () => { const now = await shown(); return !/–/.test(now.value ?? '–') && now; });
  assert.ok(!past.veiled && past.value === live.value, JSON.stringify(past));
  assert.deepEqual(complaints, []);
});

test('a frozen view does not move, counts what waits, and one key returns to live', { skip: missing(), timeout: 60_000 }, async (t) => {
  const hub = await Hub.start();
  await hub.post({ device: 'shed', readings: { temp: 20 } });
  const { browser, page, complaints } = await openPage(hub.url);
  t.after(async () => {
    await browser.close();
    await hub.stop();
  });
  const value = () => page.evaluate(() => document.querySelector('.card .value')?.textContent);
  const note = () => page.evaluate(() => document.getElementById('frozen-note')?.textContent ?? '');
  const pixels = async () => {
    const image = await page.evaluate(() => /** @type {HTMLCanvasElement} */ (document.querySelector('.card canvas')).toDataURL());
    return createHash('sha256').update(image).digest('hex');
  };
  await until('its value is shown', async () => (await value()) === '20.0');
  await page.keyboard.press('Space');
  await until('the note is shown', async () => /^Frozen · \d+ s behind · 0 readings waiting$/.test(await note()));
  let still = '';
  let alike = 0;
  await until('the frozen view is drawn', async () => {
    const now = await pixels();
    alike = now === still ? alike + 1 : 0;
    still = now;
    return alike === 10;
  });
  await hub.post({ device: 'shed', readings: { temp: 30 } });
  await until('the reading is counted', async () => / · 1 reading waiting$/.test(await note()));
  assert.equal(await value(), '20.0');
  assert.equal(await pixels(), still, 'not one pixel changed');
  assert.match(page.url(), /[?&]from=\d+&to=\d+/);
  await page.keyboard.press('l');
  await until('the new value is shown', async () => (await value()) === '30.0');
  assert.doesNotMatch(await until('the address follows', async () => !/from=/.test(page.url()) && page.url()), /to=/);
  assert.deepEqual(complaints, []);
});
