/**
 * Measures the page against its budgets and prints a table. A measurement, not a test: figures drift with the machine,
 * so the last column is bare uPlot, measured in the same run with the same charts, points and rate.
 *
 *     HUB_BIN=…/hub node tests/e2e/budgets.js [seconds]
 */

import { readFileSync } from 'node:fs';
import { Hub, missing, openPage, until } from './support.js';

const SECONDS = Number(process.argv[2] ?? 15);
const RATE_HZ = 10;
const UPLOT = readFileSync(new URL('../../vendor/uplot/uPlot.iife.min.js', import.meta.url), 'utf8');

/** @typedef {import('playwright-core').Page} Page */

/** Posts readings of `devices` × `channels` series at `RATE_HZ`, until told to stop. @param {Hub} hub @param {number} devices @param {number} channels */
function load(hub, devices, channels) {
  const timer = setInterval(() => {
    const now = Date.now();
    for (let d = 0; d < devices; d++) {
      const readings = Object.fromEntries(Array.from({ length: channels }, (_, c) => [`q${c}`, 20 + 3 * d + 2 * Math.sin(now / 9000 + c + d) + Math.random()]));
      hub.post({ device: `load-${d}`, readings: [{ t: now, ...readings }] }).catch(() => {});
    }
  }, 1000 / RATE_HZ);
  return () => clearInterval(timer);
}

/** Thread time of the page's main thread, in milliseconds a second: what others do on the machine does not count. @param {Page} page @param {number} seconds */
async function mainThread(page, seconds) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
  const read = async () => Object.fromEntries((await cdp.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
  const before = await read();
  const start = performance.now();
  await until('the time is over', () => performance.now() - start > seconds * 1000, seconds * 1000 + 5000);
  const after = await read();
  const passed = (performance.now() - start) / 1000;
  return { msPerSecond: ((after.TaskDuration - before.TaskDuration) * 1000) / passed, nodes: after.Nodes };
}

/** Bytes of the heap that are in use after a collection. @param {Page} page */
async function heap(page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('HeapProfiler.collectGarbage');
  return (await cdp.send('Runtime.getHeapUsage')).usedSize;
}

/** A page that shows `count` cards. @param {string} url @param {number} count @param {number} width @param {number} height */
async function dashboard(url, count, width, height) {
  const opened = await openPage(url, { viewport: { width, height } });
  await until(`${count} charts`, async () => (await opened.page.evaluate(() => document.querySelectorAll('.card:not(.loading) canvas').length)) >= count, 30_000);
  return opened;
}

/**
 * Waits until a browser that was just started has come to rest: it loads pages of its own in the background for about
 * a second, and whoever opens this page has started the browser before.
 * @param {import('playwright-core').Browser} browser
 */
async function atRest(browser) {
  const cdp = await browser.newBrowserCDPSession();
  let before = { at: 0, cpu: -Infinity };
  await until('the browser is at rest', async () => {
    const now = { at: performance.now(), cpu: (await cdp.send('SystemInfo.getProcessInfo')).processInfo.reduce((sum, one) => sum + one.cpuTime * 1000, 0) };
    if (now.at - before.at < 500) return false;
    const calm = now.cpu - before.cpu < 0.05 * (now.at - before.at);
    before = now;
    return calm;
  });
}

/** What a first visit loads, and when the first chart with data stands. @param {Hub} hub */
async function coldLoad(hub) {
  const { browser, page } = await openPage('about:blank');
  await page.addInitScript(() => {
    const look = () => {
      if (document.querySelector('.card:not(.loading) canvas')) /** @type {any} */ (window).firstChart = performance.now();
      else requestAnimationFrame(look);
    };
    look();
  });
  await atRest(browser);
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Network.enable');
  let requests = 0;
  let bytes = 0;
  cdp.on('Network.requestWillBeSent', ({ request }) => { if (!request.url.startsWith('data:')) requests++; });
  cdp.on('Network.webSocketCreated', () => { requests++; });
  cdp.on('Network.loadingFinished', ({ encodedDataLength }) => { bytes += encodedDataLength; });
  await page.goto(hub.url, { waitUntil: 'commit' });
  const firstChart = await until('a chart', () => page.evaluate(() => /** @type {any} */ (window).firstChart));
  await browser.close();
  return { requests, bytes, firstChart };
}

/** Times from before a reading is posted until its value stands on the page. @param {Hub} hub */
async function ingestToPixels(hub) {
  await hub.post({ device: 'probe', readings: { probe: 1000 } });
  const { browser, page } = await dashboard(`${hub.url}/?range=1m`, 13, 1366, 1100);
  await page.evaluate(() => {
    const card = [...document.querySelectorAll('.card')].find((element) => element.querySelector('.card-title')?.textContent === 'probe');
    const value = /** @type {Element} */ (card?.querySelector('.value'));
    /** @type {any} */ (window).seen = {};
    // The text is set within an animation frame; a task that is queued then runs after that frame has been painted.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => { /** @type {any} */ (window).seen[data] ??= Date.now(); };
    new MutationObserver(() => port2.postMessage(value.textContent))
      .observe(value, { characterData: true, childList: true, subtree: true });
  });
  /** @type {number[]} */
  const times = [];
  for (let i = 1; i <= 60; i++) {
    const sent = Date.now();
    await hub.post({ device: 'probe', readings: { probe: 1000 + i } });
    const seen = await until('the value is shown', () => page.evaluate((text) => /** @type {any} */ (window).seen[text], String(1000 + i)));
    times.push(seen - sent);
    const next = sent + 300 + Math.random() * 200;
    await until('the next reading is due', () => Date.now() >= next);
  }
  await browser.close();
  times.sort((a, b) => a - b);
  return { p50: times[Math.floor(times.length / 2)], p99: times[Math.floor(times.length * 0.99)] };
}

/** Sixteen bare uPlot charts of the same size, points and rate. */
async function bareUplot() {
  const { browser, page } = await openPage('about:blank', { viewport: { width: 1920, height: 1080 } });
  await page.addScriptTag({ content: UPLOT });
  await page.evaluate((rateHz) => {
    const { uPlot } = /** @type {any} */ (window);
    const points = 600;
    const charts = Array.from({ length: 16 }, () => {
      const host = document.createElement('div');
      host.style.cssText = 'float:left;width:440px;height:170px';
      document.body.append(host);
      const data = Array.from({ length: 5 }, (_, s) => Float64Array.from({ length: points }, (__, i) => (s ? 20 + 3 * s + Math.sin(i / 40 + s) + Math.random() : Date.now() / 1000 - (points - i) / rateHz)));
      const series = ['#56b4e9', '#e69f00', '#009e73', '#cc79a7'].map((stroke) => ({ stroke, width: 1, points: { show: false } }));
      return { data, plot: new uPlot({ width: 440, height: 170, legend: { show: false }, cursor: { show: false }, series: [{}, ...series] }, data, host) };
    });
    setInterval(() => requestAnimationFrame(() => {
      for (const { data, plot } of charts) {
        data.forEach((column, s) => {
          column.copyWithin(0, 1);
          column[points - 1] = s ? 20 + 3 * s + Math.random() : Date.now() / 1000;
        });
        plot.setData(data);
      }
    }), 1000 / rateHz);
  }, RATE_HZ);
  const { msPerSecond } = await mainThread(page, SECONDS);
  await browser.close();
  return msPerSecond;
}

const gap = missing();
if (gap) {
  console.error(gap);
  process.exit(1);
}

/** @type {string[][]} */
const rows = [['what', 'budget', 'measured', 'bare uPlot']];
const hub = await Hub.start();
try {
  let stop = load(hub, 4, 12);
  await until('there are series', async () => (await hub.get('/api/v1/series')).series.length >= 48);
  const cold = await coldLoad(hub);
  rows.push(['cold load, requests with the socket', '≤ 20', String(cold.requests), '']);
  rows.push(['cold load, bytes with headers', '≤ 76 800 without', String(cold.bytes), '']);
  rows.push(['first chart', '≤ 500 ms', `${Math.round(cold.firstChart)} ms`, '']);
  const latency = await ingestToPixels(hub);
  rows.push(['ingest to pixels p50, 12 × 4 at 10 Hz', '≤ 75 ms', `${latency.p50} ms`, '']);
  rows.push(['ingest to pixels p99', '≤ 150 ms', `${latency.p99} ms`, '']);
  stop();

  stop = load(hub, 4, 16);
  await until('there are series', async () => (await hub.get('/api/v1/series')).series.length >= 65);
  const sixteen = await dashboard(`${hub.url}/?range=1m&wall&q=load`, 16, 1920, 1080);
  const bare = await bareUplot();
  const work = await mainThread(sixteen.page, SECONDS);
  rows.push(['main thread, 16 × 4 × 600 at 10 Hz', '≤ 120 ms/s', `${work.msPerSecond.toFixed(0)} ms/s`, `${bare.toFixed(0)} ms/s`]);
  await sixteen.page.keyboard.press('Space');
  const still = await mainThread(sixteen.page, Math.min(SECONDS, 5));
  rows.push(['main thread, frozen', '', `${still.msPerSecond.toFixed(0)} ms/s`, '']);
  await sixteen.browser.close();
  stop();

  stop = load(hub, 4, 50);
  await until('there are series', async () => (await hub.get('/api/v1/series')).series.length >= 201);
  const many = await dashboard(hub.url, 6, 1366, 860);
  const early = await heap(many.page);
  await mainThread(many.page, SECONDS * 2);
  const late = await heap(many.page);
  rows.push(['heap, 200 series at 10 Hz', '≤ 30 MB, flat', `${(early / 1e6).toFixed(1)} → ${(late / 1e6).toFixed(1)} MB`, '']);
  await many.browser.close();
  stop();
} finally {
  await hub.stop();
}
const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
for (const row of rows) console.log(row.map((cell, column) => cell.padEnd(widths[column])).join('  '));
