/**
 * Real parts for the end-to-end tests: the hub and device-sim (paths in HUB_BIN and DEVICE_SIM_BIN), and Chromium
 * (CHROMIUM, else /usr/bin/chromium). A part that is missing skips the test and says which. Every process listens on a
 * free loopback port, works in a temporary folder, and is ended by its id.
 */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { chromium } from 'playwright-core';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const CHROMIUM_ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
const POLL_MS = 50;

/**
 * Why a test cannot run here, or false.
 * @param {{devices?: boolean}} [needs]
 */
export function missing({ devices = false } = {}) {
  const parts = [['HUB_BIN', process.env.HUB_BIN], ...(devices ? [['DEVICE_SIM_BIN', process.env.DEVICE_SIM_BIN]] : []), ['CHROMIUM', CHROMIUM]];
  for (const [name, path] of parts) {
    if (!path) return `${name} is not set: give the path of the binary`;
    if (!existsSync(path)) return `${name}: there is no ${path}`;
  }
  return false;
}

/**
 * Asks again and again until the answer is true-ish, and gives it.
 * @template T
 * @param {string} what for the failure's message
 * @param {() => Promise<T> | T} question @param {number} [timeoutMs]
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(what, question, timeoutMs = 15_000) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`${timeoutMs} ms passed without: ${what}`);
    await pause(POLL_MS);
  }
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/** A process of ours, and its output for when something fails. */
class Child {
  /** @param {string} binary @param {string[]} args */
  constructor(binary, args) {
    this.output = '';
    this.process = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on('data', (data) => { this.output += data; });
    this.ended = new Promise((resolve) => this.process.once('exit', resolve));
  }

  /** @param {NodeJS.Signals} signal */
  async end(signal = 'SIGTERM') {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal);
    await this.ended;
  }
}

/** A hub with a data folder of its own, which survives its kills. */
export class Hub {
  static async start() {
    const hub = new Hub(await mkdtemp(join(tmpdir(), 'highwater-e2e-')), await freePort());
    await hub.run();
    return hub;
  }

  /** @param {string} data @param {number} port */
  constructor(data, port) {
    this.data = data;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  async run() {
    this.child = new Child(/** @type {string} */ (process.env.HUB_BIN), ['--listen', `127.0.0.1:${this.port}`, '--data', this.data]);
    await until(`the hub is ready\n${this.child.output}`, () => fetch(`${this.url}/readyz`).then((response) => response.ok, () => false));
  }

  /** @param {string} path */
  async get(path) {
    const response = await fetch(this.url + path);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** @param {object} body for `POST /api/v1/readings` */
  async post(body) {
    const response = await fetch(`${this.url}/api/v1/readings`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    await response.arrayBuffer();
  }

  async kill() {
    await this.child?.end('SIGKILL');
  }

  async stop() {
    await this.child?.end();
    await rm(this.data, { recursive: true, force: true });
  }
}

/** @param {Hub} hub @param {{devices: number, rate: number, seed?: number}} fleet */
export function startDevices(hub, { devices, rate, seed = 1 }) {
  return new Child(/** @type {string} */ (process.env.DEVICE_SIM_BIN), [
    '--hub', `ws://127.0.0.1:${hub.port}`, '--device', 'sim', '--devices', String(devices), '--source', 'waveform', '--rate', String(rate), '--seed', String(seed),
  ]);
}

/**
 * Opens a page that keeps every complaint of the browser: console errors, uncaught exceptions, policy violations.
 * @param {string} url @param {import('playwright-core').BrowserContextOptions} [options]
 */
export async function openPage(url, options = {}) {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGS });
  const context = await browser.newContext({ viewport: { width: 1366, height: 860 }, ...options });
  const page = await context.newPage();
  /** @type {string[]} */
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error.stack)));
  await page.exposeFunction('reportViolation', (/** @type {string} */ text) => complaints.push(`policy: ${text}`));
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => /** @type {any} */ (window).reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
  });
  await page.goto(url);
  return { browser, page, complaints };
}

/** The text of the connection badge. @param {import('playwright-core').Page} page */
export const badge = (page) => page.evaluate(() => document.querySelector('.badge-text')?.textContent ?? '');

/** What is left of complaints after those a hub that is away must cause. @param {string[]} complaints */
export const unexpected = (complaints) => complaints.filter((text) => !/ERR_CONNECTION_REFUSED|WebSocket connection to .* failed/.test(text));
