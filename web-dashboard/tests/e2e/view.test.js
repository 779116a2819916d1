/** What a person does with the live page: zoom, move, filter, group, and what the address keeps of it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { badge, Hub, missing, openPage, startDevices, until } from './support.js';

/** A hub with ten minutes of two devices' history at 1 Hz, and a page on it. @param {import('node:test').TestContext} t @param {string} [query] @param {object} [options] */
async function start(t, query = '', options = {}) {
  const hub = await Hub.start();
  const now = Date.now();
  for (const [index, device] of ['boiler-1', 'hall'].entries()) {
    const readings = Array.from({ length: 600 }, (_, i) => ({ t: now - 600_000 + i * 1000, temp: 20 + index + Math.sin(i / 30), pressure: 8 + index }));
    await hub.post({ device, readings });
  }
  const opened = await openPage(`${hub.url}/${query}`, options);
  t.after(async () => {
    await opened.browser.close();
    await hub.stop();
  });
  const { page } = opened;
  await until('the charts stand', () => page.evaluate(() => document.querySelectorAll('.card:not(.loading) canvas').length > 0));
  const frozen = () => {
    const params = new URL(page.url()).searchParams;
    return params.has('from') ? Number(params.get('to')) - Number(params.get('from')) : 0;
  };
  const plot = () => page.evaluate(() => {
    const { x, y, width, height } = /** @type {Element} */ (document.querySelector('.card .u-over')).getBoundingClientRect();
    return { x, y, width, height };
  });
  return { hub, ...opened, frozen, plot };
}

const NEEDS = { skip: missing(), timeout: 60_000 };

test('dragging across a chart zooms every chart, with what the hub has for that range; L, Esc and a double-click return', NEEDS, async (t) => {
  const { page, complaints, frozen, plot } = await start(t);
  /** @type {string[]} */
  const asked = [];
  page.on('request', (request) => { if (request.url().includes('/api/v1/query')) asked.push(request.url()); });
  const { x, y, width, height } = await plot();
  await page.mouse.move(x + width * 0.25, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width * 0.5, y + height / 2, { steps: 4 });
  await page.mouse.up();
  const span = await until('the view is zoomed', frozen);
  assert.ok(Math.abs(span - 75_000) < 3000, `a quarter of five minutes: ${span} ms`);
  await until('every card asked for its range', () => asked.length === 2);
  await until('the answers are drawn', () => page.evaluate(() => document.querySelectorAll('.card.loading').length === 0));
  const { from, to, points } = Object.fromEntries(new URL(asked[0]).searchParams);
  assert.equal(Number(to) - Number(from), span);
  assert.ok(Math.abs(Number(points) - width) < 60, `as many points as pixels: ${points} for ${width}`);
  const middle = /** @type {[number, number]} */ ([x + width / 2, y + height / 2]);
  for (const back of [() => page.keyboard.press('l'), () => page.keyboard.press('Escape'), () => page.mouse.dblclick(...middle)]) {
    await until('the badge is about the connection only', async () => /^Connected/.test(await badge(page)));
    await back();
    await until('the view follows', () => frozen() === 0);
    await until('the badge says so', async () => /^Live/.test(await badge(page)));
    await page.keyboard.press('+');
    await until('the view is zoomed again', frozen);
  }
  assert.deepEqual(complaints, []);
});

test('keys and the wheel zoom and move; the wheel over a plot scrolls the page', NEEDS, async (t) => {
  const { page, complaints, frozen, plot } = await start(t);
  await page.keyboard.press('+');
  assert.equal(await until('zoomed in', frozen), 150_000);
  await page.keyboard.press('-');
  await until('zoomed out', () => frozen() === 300_000);
  const before = Number(new URL(page.url()).searchParams.get('to'));
  await page.keyboard.press('ArrowLeft');
  await until('moved', () => Number(new URL(page.url()).searchParams.get('to')) === before - 75_000);
  await page.keyboard.press('Space');
  await until('following', () => frozen() === 0);
  const { x, y, width, height } = await plot();
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.mouse.wheel(0, -400);
  await page.mouse.move(x + width / 2, y + height + 12);
  await page.mouse.wheel(0, -400);
  const span = await until('the axis zooms', frozen);
  assert.ok(span < 300_000 * 0.6, `${span} ms: once, not twice`);
  assert.ok(span > 300_000 * 0.4, `${span} ms: the wheel over the plot did not zoom`);
  assert.deepEqual(complaints, []);
});

test('two fingers zoom and one moves', NEEDS, async (t) => {
  const { page, frozen, plot } = await start(t, '', { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  const { x, y, width, height } = await plot();
  const cdp = await page.context().newCDPSession(page);
  /** @param {'touchStart' | 'touchMove' | 'touchEnd'} type @param {number[]} shares */
  const touch = (type, shares) => cdp.send('Input.dispatchTouchEvent', { type, touchPoints: shares.map((share, id) => ({ x: x + width * share, y: y + height / 2, id })) });
  await touch('touchStart', [0.4, 0.6]);
  for (const spread of [0.12, 0.15, 0.2, 0.25, 0.3]) await touch('touchMove', [0.5 - spread, 0.5 + spread]);
  await touch('touchEnd', []);
  const span = await until('zoomed in', frozen);
  assert.ok(span < 200_000, `${span} ms`);
  const to = () => Number(new URL(page.url()).searchParams.get('to'));
  const before = to();
  await touch('touchStart', [0.3]);
  for (const share of [0.35, 0.45, 0.6]) await touch('touchMove', [share]);
  await touch('touchEnd', []);
  await until('moved to earlier', () => to() < before && frozen() === span);
});

test('a link shows what its sender saw', NEEDS, async (t) => {
  const now = Date.now();
  const { page, complaints } = await start(t, `?from=${now - 500_000}&to=${now - 400_000}&device=hall&q=temp&tz=utc`);
  const shown = await page.evaluate(() => ({
    cards: [...document.querySelectorAll('.card')].map((card) => [card.querySelector('.card-title')?.textContent, card.querySelector('.legend')?.textContent?.trim()]),
    pressed: [...document.querySelectorAll('.device-list [aria-pressed=true] .name, .settings [aria-pressed=true]')].map((element) => element.textContent),
    search: /** @type {HTMLInputElement | null} */ (document.querySelector('input[type=search]'))?.value,
    value: document.querySelector('.card .value')?.textContent,
  }));
  assert.equal(shown.cards.length, 1);
  assert.equal(shown.cards[0][0], 'temp');
  assert.match(shown.cards[0][1] ?? '', /^hall/);
  assert.deepEqual(shown.pressed, ['hall', 'Quantity', 'UTC', 'Auto']);
  assert.equal(shown.search, 'temp');
  assert.match(await until('its last value', () => page.evaluate(() => document.querySelector('.card .value')?.textContent)), /^2[0-2]\.\d$/);
  assert.deepEqual(complaints, []);
});

test('filter, search, group: the cards follow and the address keeps it', NEEDS, async (t) => {
  const { page, complaints } = await start(t);
  const cards = () => page.evaluate(() => [...document.querySelectorAll('.card h3')].map((title) => title.textContent?.trim().replace(/\s+/g, ' ')).sort().join('; '));
  assert.equal(await cards(), 'pressure; temp');
  await page.click('[data-group=device]');
  await until('cards by device', async () => (await cards()) === 'boiler-1 pressure; boiler-1 temp; hall pressure; hall temp');
  await page.click('.device-list li:nth-child(2) button');
  await until('one device', async () => (await cards()) === 'hall pressure; hall temp');
  await page.keyboard.press('/');
  await page.keyboard.type('temp');
  await until('one channel', async () => (await cards()) === 'hall temp');
  await until('the address', () => new URL(page.url()).search === '?group=device&device=hall&q=temp');
  await page.click('.show-all');
  await until('all again', async () => (await cards()).startsWith('boiler-1'));
  await page.click('nav [data-page=devices]');
  await until('the devices page', () => page.evaluate(() => document.querySelectorAll('.device-card').length === 2));
  await page.goBack();
  await until('back on the live page', async () => (await cards()).startsWith('boiler-1'));
  assert.deepEqual(complaints, []);
});

test('pointing at a chart shows values in heading and legend, moves nothing and covers nothing', NEEDS, async (t) => {
  const { page, complaints, plot } = await start(t);
  /** Sizes and places of everything on the first card. */
  const places = () => page.evaluate(() => ['.plot', '.u-over', '.legend', 'header'].map((selector) => {
    const { y, height } = /** @type {Element} */ (document.querySelector(`.card ${selector}`)).getBoundingClientRect();
    return [selector, Math.round(y), Math.round(height)];
  }));
  const text = (/** @type {string} */ selector) => page.evaluate((wanted) => document.querySelector(wanted)?.textContent?.trim(), selector);
  const before = await places();
  const { x, y, width, height } = await plot();
  await page.mouse.move(x + width * 0.5, y + height / 2);
  await until('the time is in the heading', async () => /^boiler-1 · \d\d:\d\d:\d\d/.test(await text('.card .of') ?? ''));
  const readings = await page.evaluate(() => [...document.querySelectorAll('.card:first-child .reading')].map((element) => element.textContent));
  assert.ok(readings.length === 2 && readings.every((reading) => /^[\d.]+$/.test(reading ?? '')), String(readings));
  assert.equal(await text('.card .value'), readings[0]);
  assert.deepEqual(await places(), before);
  const [, axis, legend] = (await places()).map(([, top, size]) => [Number(top), Number(top) + Number(size)]);
  assert.ok(legend[0] - axis[1] >= 20, `the time axis has its room between ${axis[1]} and ${legend[0]}`);
  assert.equal(await page.evaluate((at) => document.elementsFromPoint(at.x, at.y)[0]?.className, { x: x + width * 0.5, y: y + 4 }), 'u-over', 'nothing lies over the data');
  await page.mouse.move(2, 2);
  await until('the newest again', async () => (await text('.card .of')) === 'boiler-1');
  assert.deepEqual(complaints, []);
});

test('the arrow keys move the crosshair of a focused chart and speak', NEEDS, async (t) => {
  const { page, complaints } = await start(t);
  await page.focus('.card .plot');
  for (let i = 0; i < 40; i++) await page.keyboard.press('ArrowLeft');
  const spoken = await until('it speaks', () => page.evaluate(() => document.getElementById('voice')?.textContent));
  assert.match(spoken, /^\d\d:\d\d:\d\d.*: boiler-1 [\d.]+, hall [\d.]+/);
  assert.doesNotMatch(page.url(), /from=/, 'the page did not move');
  assert.deepEqual(complaints, []);
});

test('changing pages leaves nothing behind', NEEDS, async (t) => {
  const { page, complaints } = await start(t);
  const cdp = await page.context().newCDPSession(page);
  const livePages = async () => {
    await cdp.send('HeapProfiler.collectGarbage');
    const prototype = await cdp.send('Runtime.evaluate', { expression: "import('/assets/panels/cards.js').then((cards) => cards.LivePage.prototype)", awaitPromise: true });
    const { objects } = await cdp.send('Runtime.queryObjects', { prototypeObjectId: /** @type {string} */ (prototype.result.objectId) });
    const counted = await cdp.send('Runtime.callFunctionOn', { objectId: /** @type {string} */ (objects.objectId), functionDeclaration: 'function () { return this.length; }', returnByValue: true });
    return counted.result.value;
  };
  for (let i = 0; i < 6; i++) {
    for (const [name, selector] of [['devices', '.device-card'], ['live', '.card canvas']]) {
      await page.click(`nav [data-page=${name}]`);
      await until(`the page ${name}`, () => page.evaluate((wanted) => document.querySelector(wanted) !== null, selector));
    }
  }
  // The browser may hold on to the last one for a while; it must not hold on to all.
  assert.ok(await livePages() <= 2, `${await livePages()} live pages are kept`);
  assert.deepEqual(complaints, []);
});

test('no value and no unit is cut off, on the wall and elsewhere, whatever the screen', { skip: missing({ devices: true }), timeout: 60_000 }, async (t) => {
  const hub = await Hub.start();
  await hub.post({ device: 'shed', readings: { counted: -140_404_347.7 } });
  const devices = startDevices(hub, { devices: 27, rate: 1 });
  const { browser, page, complaints } = await openPage('about:blank');
  t.after(async () => {
    await browser.close();
    await devices.end();
    await hub.stop();
  });
  await until('all devices are known', async () => (await hub.get('/api/v1/devices')).devices.length === 28);
  for (const query of ['?wall', '?wall&device=sim-1,sim-2,sim-3,sim-4,sim-5,sim-6,sim-7,shed', '']) {
    for (const [width, height] of [[1366, 768], [1920, 1080], [390, 844]]) {
      await page.setViewportSize({ width, height });
      await page.goto(`${hub.url}/${query}`);
      await until('values are shown', () => page.evaluate(() => [...document.querySelectorAll('.card .value')].slice(0, 4).every((value) => value.textContent !== '–')));
      const cut = await page.evaluate(() => [...document.querySelectorAll('.card :is(.value, .unit)')].filter((element) => {
        const room = /** @type {Element} */ (element.closest('header')).getBoundingClientRect();
        const box = element.getBoundingClientRect();
        return box.width > 0 && (element.scrollWidth > element.clientWidth + 1 || box.left < room.left - 1 || box.right > room.right + 1);
      }).map((element) => element.textContent));
      assert.deepEqual(cut, [], `${query} at ${width}`);
    }
  }
  assert.deepEqual(complaints, []);
});

test('an empty card leads to its last reading', { skip: missing(), timeout: 60_000 }, async (t) => {
  const hub = await Hub.start();
  const then = Date.now() - 3_600_000;
  await hub.post({ device: 'garden', readings: [{ t: then - 1000, temp: 3 }, { t: then, temp: 4 }] });
  const { browser, page, complaints } = await openPage(`${hub.url}/?range=1m`);
  t.after(async () => {
    await browser.close();
    await hub.stop();
  });
  await page.getByRole('button', { name: /^Last reading/ }).click();
  await until('it is shown', async () => (await page.evaluate(() => document.querySelector('.card .value')?.textContent)) === '4.00');
  const { from, to } = Object.fromEntries(new URL(await until('the address has it', () => /from=/.test(page.url()) && page.url())).searchParams);
  assert.ok(Number(from) < then - 1000 && Number(to) > then && Number(to) - Number(from) === 60_000, page.url());
  await page.keyboard.press('Escape');
  await until('it is offered again', () => page.getByRole('button', { name: /^Last reading/ }).isVisible());
  assert.deepEqual(complaints, []);
});
