/**
 * The connection to the hub's `/ws/live`: opens it, keeps it, and says honestly how it is. It reconnects by itself,
 * subscribes again, measures the round trip with echoes, and treats five seconds of silence as stale. Messages go to
 * its handlers as they are; what they mean is not its business.
 */

import { Backoff } from './backoff.js';
import { decode, encode } from './cbor.js';

/** @typedef {import('./types.js').Control} Control */
/** @typedef {import('./types.js').DataFrame} DataFrame */
/** @typedef {import('./types.js').Subscription} Subscription */
/**
 * @typedef {{kind: 'connecting'} | {kind: 'live'} | {kind: 'stale', since: number}
 *   | {kind: 'reconnecting', at: number, attempt: number}} State `since` and `at` are times of the page's own clock
 */
/**
 * @typedef {object} Handlers
 * @property {(state: State) => void} state
 * @property {(message: Control) => void} control
 * @property {(frame: DataFrame) => void} data the frame is good only during the call
 */
/**
 * @typedef {object} Environment what the connection needs from the browser; tests pass their own
 * @property {(url: string, protocol: string) => WebSocket} open
 * @property {() => number} now milliseconds of a clock that never jumps
 * @property {(run: () => void, delayMs: number) => unknown} later
 * @property {(timer: any) => void} cancel
 * @property {() => number} random
 */

const PROTOCOL = 'highwater.live.v1';
export const STALE_MS = 5000;
/** A socket that is silent for so long is given up: a dead network never says so by itself. */
export const GIVE_UP_MS = 10_000;
const CONNECT_MS = 8000;
const TICK_MS = 1000;
const ECHOES_MAX = 120;
/** Bytes and frames are averaged over this. */
const RATE_MS = 5000;

/** @type {Environment} */
const BROWSER = {
  open: (url, protocol) => new WebSocket(url, protocol),
  now: () => performance.now(),
  later: (run, delayMs) => setTimeout(run, delayMs),
  cancel: (timer) => clearTimeout(timer),
  random: Math.random,
};

export class LiveConnection {
  /** @param {string} url @param {Handlers} handlers @param {Environment} [environment] */
  constructor(url, handlers, environment = BROWSER) {
    this.url = url;
    this.handlers = handlers;
    this.env = environment;
    this.backoff = new Backoff(environment.random);
    /** @type {Map<number, Subscription>} */
    this.subscriptions = new Map();
    this.hidden = false;
    /** @type {State} */
    this.state = { kind: 'connecting' };
    /** @type {WebSocket | null} */
    this.socket = null;
    this.welcomed = false;
    this.heardAt = 0;
    this.closeAdvice = 0;
    /** @type {unknown} */
    this.timer = null;
    this.traffic = { frames: 0, bytes: 0, merged: 0, damaged: 0, framesPerSecond: 0, bytesPerSecond: 0 };
    this.rateStart = { at: 0, frames: 0, bytes: 0 };
    /** @type {number[]} round trips in milliseconds, the newest last */
    this.echoes = [];
    /** Hub time minus the page's clock, from the quickest recent exchange. */
    this.clock = { offset: NaN, roundTrip: Infinity, at: 0 };
  }

  start() {
    this.connect();
  }

  /** The hub's time now, in milliseconds since the epoch; NaN before the first welcome. */
  hubNow() {
    return this.env.now() + this.clock.offset;
  }

  /** Subscribes, or replaces the subscription of the same number; kept over reconnects. @param {number} id @param {Subscription} subscription */
  subscribe(id, subscription) {
    this.subscriptions.set(id, subscription);
    this.send({ type: 'subscribe', id, ...subscription });
  }

  /** @param {number} id */
  unsubscribe(id) {
    this.subscriptions.delete(id);
    this.send({ type: 'unsubscribe', id });
  }

  /** Tells the hub whether anyone looks: a hidden page gets no data. @param {boolean} hidden */
  setHidden(hidden) {
    this.hidden = hidden;
    // A browser stops the timers of a hidden page; the silence of that time is not the hub's.
    if (!hidden) this.heardAt = this.env.now();
    this.send({ type: 'visibility', hidden });
  }

  /** Ends the wait before the next attempt. */
  retryNow() {
    if (this.state.kind === 'reconnecting') this.connect();
  }

  /** Round trip in milliseconds at a quantile, NaN before the first echo. @param {number} quantile */
  roundTrip(quantile) {
    if (this.echoes.length === 0) return NaN;
    const sorted = [...this.echoes].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))];
  }

  connect() {
    this.env.cancel(this.timer);
    const socket = this.env.open(this.url, PROTOCOL);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.opened();
    socket.onmessage = (event) => this.received(event.data);
    socket.onclose = (event) => this.closed(event.code, event.reason);
    this.socket = socket;
    this.welcomed = false;
    this.heardAt = this.env.now();
    this.rateStart = { at: this.heardAt, frames: this.traffic.frames, bytes: this.traffic.bytes };
    this.timer = this.env.later(() => this.tick(), TICK_MS);
  }

  opened() {
    if (this.hidden) this.send({ type: 'visibility', hidden: true });
    for (const [id, subscription] of this.subscriptions) this.send({ type: 'subscribe', id, ...subscription });
    this.send({ type: 'echo', t: this.env.now() });
  }

  /** @param {unknown} data */
  received(data) {
    const now = this.env.now();
    this.heardAt = now;
    this.traffic.frames++;
    if (!(data instanceof ArrayBuffer)) {
      this.traffic.damaged++;
      return;
    }
    this.traffic.bytes += data.byteLength;
    try {
      this.understand(decode(data), now);
    } catch (error) {
      // A message of a newer hub that decodes but is not shaped as expected must not end the page.
      this.traffic.damaged++;
      console.error('a message from the hub could not be used:', error);
    }
    if (this.welcomed && this.state.kind !== 'live') this.become({ kind: 'live' });
  }

  /** @param {import('./types.js').Decoded} decoded @param {number} now */
  understand(decoded, now) {
    if (decoded.kind === 'data') {
      this.traffic.merged += decoded.frame.merged;
      this.handlers.data(decoded.frame);
    } else if (decoded.kind === 'control') {
      this.control(decoded.message, now);
    } else {
      this.traffic.damaged++;
      console.warn(`a message from the hub was left out: ${decoded.reason}`);
    }
  }

  /** @param {Control} message @param {number} now */
  control(message, now) {
    if (message.type === 'welcome') {
      this.welcomed = true;
      this.backoff.reset();
      this.clock = { offset: message.now - now, roundTrip: Infinity, at: now };
    } else if (message.type === 'echo') {
      this.echoed(now - message.t, message.now, now);
    } else if (message.type === 'lag') {
      this.traffic.merged += message.merged;
    }
    this.handlers.control(message);
  }

  /** @param {number} roundTrip @param {number} hubTime @param {number} now */
  echoed(roundTrip, hubTime, now) {
    if (!(roundTrip >= 0)) return;
    this.echoes.push(roundTrip);
    if (this.echoes.length > ECHOES_MAX) this.echoes.shift();
    // The quickest exchange knows the hub's clock best; after a minute a newer one is preferred, for clocks drift.
    if (roundTrip <= this.clock.roundTrip || now - this.clock.at > 60_000) {
      this.clock = { offset: hubTime - (now - roundTrip / 2), roundTrip, at: now };
    }
  }

  /** @param {number} code @param {string} reason */
  closed(code, reason) {
    const advice = /retry_after_ms=(\d{1,7})/.exec(reason);
    const delay = Math.max(this.backoff.next(), code === 1013 && advice ? Number(advice[1]) : 0);
    this.drop();
    this.become({ kind: 'reconnecting', at: this.env.now() + delay, attempt: this.backoff.attempt });
    this.timer = this.env.later(() => this.connect(), delay);
  }

  /** Lets go of the socket without waiting for a closing handshake that may never come. */
  drop() {
    this.env.cancel(this.timer);
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** Once a second while there is a socket: silence, echo, rates. */
  tick() {
    this.timer = this.env.later(() => this.tick(), TICK_MS);
    const now = this.env.now();
    const silence = now - this.heardAt;
    if (silence > (this.welcomed ? GIVE_UP_MS : CONNECT_MS)) {
      this.closed(1006, '');
      return;
    }
    if (this.welcomed && silence > STALE_MS && this.state.kind !== 'stale') this.become({ kind: 'stale', since: this.heardAt });
    if (this.welcomed && !this.hidden) this.send({ type: 'echo', t: now });
    if (now - this.rateStart.at >= RATE_MS) this.measureRates(now);
  }

  /** @param {number} now */
  measureRates(now) {
    const { traffic, rateStart } = this;
    const seconds = (now - rateStart.at) / 1000;
    traffic.framesPerSecond = (traffic.frames - rateStart.frames) / seconds;
    traffic.bytesPerSecond = (traffic.bytes - rateStart.bytes) / seconds;
    this.rateStart = { at: now, frames: traffic.frames, bytes: traffic.bytes };
  }

  /** @param {State} state */
  become(state) {
    this.state = state;
    this.handlers.state(state);
  }

  /** Sends if the socket is open; what must outlive the socket is sent again when it opens. @param {{type: string} & Record<string, any>} message */
  send(message) {
    if (this.socket?.readyState === 1) this.socket.send(encode(message));
  }
}
