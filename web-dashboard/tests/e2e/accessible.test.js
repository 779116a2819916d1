/** Each page and theme against axe-core's rules, and the shape of the page on a phone. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { Hub, missing, openPage, until } from './support.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

test('no rule is broken, on any page, in any theme', { skip: missing(), timeout: 120_000 }, async (t) => {
  const hub = await Hub.start();
  t.after(() => hub.stop());
  for (const [name, path, ready] of [['first run', '/', '.first-run'], ['live', '/', '.card canvas'], ['devices', '/?page=devices', '.device-card .delivery:not(:empty)']]) {
    if (name === 'live') await hub.post({ device: 'shed', readings: { temp: 21.5, door: true } });
    for (const options of [{ colorScheme: /** @type {const} */ ('dark') }, { colorScheme: /** @type {const} */ ('light') }, PHONE]) {
      // axe is a string of code; the page's own policy rightly refuses to run such.
      const { browser, page } = await openPage(hub.url + path, { ...options, bypassCSP: true });
      try {
        await until(`${name} is shown`, () => page.evaluate((selector) => document.querySelector(selector) !== null, ready));
        await page.evaluate(AXE);
        const { violations } = await page.evaluate(() => /** @type {any} */ (window).axe.run());
        assert.deepEqual(violations.map((/** @type {any} */ rule) => `${rule.id}: ${rule.nodes.map((/** @type {any} */ node) => node.html).join(' ')}`), [], `${name} ${JSON.stringify(options)}`);
      } finally {
        await browser.close();
      }
    }
  }
});

test('a phone scrolls one way, and what is touched is 44 pixels high', { skip: missing(), timeout: 60_000 }, async (t) => {
  const hub = await Hub.start();
  await hub.post({ device: 'shed', readings: { temp: 21.5 } });
  const { browser, page } = await openPage(hub.url, PHONE);
  t.after(async () => {
    await browser.close();
    await hub.stop();
  });
  await until('a card is shown', () => page.evaluate(() => document.querySelector('.card canvas') !== null));
  const { width, small } = await page.evaluate(() => ({
    width: document.documentElement.scrollWidth,
    small: [...document.querySelectorAll('header button, nav a, .device-list button, .settings button, input')]
      .filter((element) => element.getClientRects().length > 0 && element.getBoundingClientRect().height < 43.5)
      .map((element) => element.outerHTML),
  }));
  assert.equal(width, 390);
  assert.deepEqual(small, []);
});
