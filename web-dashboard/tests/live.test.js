/** The connection over a socket and a clock that the test holds. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff, FIRST_MS, MAX_MS } from '../backoff.js';
import { decode, encode } from '../cbor.js';
import { LiveConnection } from '../live.js';

test('backoff: full jitter under a ceiling that rests at two seconds, ends at eight, and starts over after success', () => {
  const always = new Backoff(() => 0.999999);
  const waits = Array.from({ length: 24 }, () => always.next());
  assert.deepEqual(waits.slice(0, 6), [250, 500, 1000, 2000, 2000, 2000]);
  assert.deepEqual(waits.slice(18), [2000, 2000, 4000, 8000, 8000, 8000]);
  const never = new Backoff(() => 0);
  assert.equal(never.next(), 0);
  always.reset();
  assert.equal(always.next(), FIRST_MS);
  assert.equal(new Backoff(() => 0.5).next() <= MAX_MS, true);
});

/** A world of its own: sockets that do nothing by themselves, and a clock that moves when told. */
class World {
  constructor() {
    this.time = 1000;
    /** @type {any[]} */
    this.sockets = [];
    /** @type {{at: number, run: () => void}[]} */
    this.timers = [];
    /** @type {string[]} */
    this.states = [];
    /** @type {any[]} */
    this.frames = [];
    /** @type {any[]} */
    this.messages = [];
    this.live = new LiveConnection('ws://hub/ws/live', {
      state: (state) => this.states.push(state.kind),
      control: (message) => this.messages.push(message),
      data: (frame) => this.frames.push([...frame.values]),
    }, {
      open: () => {
        const socket = { readyState: 0, sent: /** @type {any[]} */ ([]), send(/** @type {Uint8Array} */ data) { this.sent.push({ .../** @type {any} */ (decode(/** @type {ArrayBuffer} */ (data.buffer))).message }); }, close() { this.readyState = 3; } };
        this.sockets.push(socket);
        return /** @type {any} */ (socket);
      },
      now: () => this.time,
      later: (run, delayMs) => {
        const timer = { at: this.time + delayMs, run };
        this.timers.push(timer);
        return timer;
      },
      cancel: (timer) => { this.timers = this.timers.filter((other) => other !== timer); },
      random: () => 0.5,
    });
    this.live.start();
  }

  get socket() {
    return this.sockets[this.sockets.length - 1];
  }

  /** @param {number} ms */
  pass(ms) {
    const end = this.time + ms;
    for (;;) {
      const due = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.timers = this.timers.filter((timer) => timer !== due);
      this.time = due.at;
      due.run();
    }
    this.time = end;
  }

  /** @param {any} message */
  hear(message) {
    this.socket.onmessage({ data: encode(message).buffer });
  }

  welcome() {
    this.socket.readyState = 1;
    this.socket.onopen();
    this.hear({ type: 'welcome', hub: 'h', version: '1', started: 0, now: 500_000, heartbeat_ms: 2000 });
  }
}

test('subscriptions are sent when it opens, and again on every new socket', () => {
  const world = new World();
  world.live.subscribe(1, { series: '*/*', window_ms: 60_000, points: 600 });
  assert.equal(world.socket.sent.length, 0);
  world.welcome();
  assert.deepEqual(world.socket.sent[0], { type: 'subscribe', id: 1, series: '*/*', window_ms: 60_000, points: 600 });
  assert.deepEqual(world.states, ['live']);
  world.socket.onclose({ code: 1006, reason: '' });
  assert.equal(world.states.at(-1), 'reconnecting');
  world.pass(FIRST_MS);
  assert.equal(world.sockets.length, 2);
  world.welcome();
  assert.equal(world.socket.sent[0].type, 'subscribe');
  assert.equal(world.states.at(-1), 'live');
});

test('five seconds of silence are stale, ten end the socket, one message makes it live', () => {
  const world = new World();
  world.welcome();
  world.pass(5500);
  assert.equal(world.states.at(-1), 'live');
  world.pass(1000);
  assert.equal(world.states.at(-1), 'stale');
  world.hear({ type: 'heartbeat', now: 1 });
  assert.equal(world.states.at(-1), 'live');
  world.pass(12_500);
  assert.equal(world.states.includes('reconnecting'), true);
  assert.equal(world.sockets.length, 2);
});

test('a hub that accepts but never welcomes is given up', () => {
  const world = new World();
  world.socket.readyState = 1;
  world.socket.onopen();
  world.pass(10_000);
  assert.ok(world.sockets.length >= 2);
  assert.equal(world.states.includes('live'), false);
});

test('attempts are farther and farther apart, the hub\'s advice is kept, and a person may hurry', () => {
  const world = new World();
  const waits = [];
  for (let i = 0; i < 6; i++) {
    world.socket.onclose({ code: 1006, reason: '' });
    const state = /** @type {any} */ (world.live.state);
    waits.push(state.at - world.time);
    world.pass(state.at - world.time);
  }
  assert.deepEqual(waits, [125, 250, 500, 1000, 1000, 1000]);
  world.socket.onclose({ code: 1013, reason: 'retry_after_ms=30000' });
  assert.equal(/** @type {any} */ (world.live.state).at - world.time, 30_000);
  const before = world.sockets.length;
  world.live.retryNow();
  assert.equal(world.sockets.length, before + 1);
});

test('echoes give the round trip and the hub\'s clock', () => {
  const world = new World();
  world.welcome();
  const sent = world.socket.sent.find((/** @type {any} */ message) => message.type === 'echo').t;
  world.pass(40);
  world.hear({ type: 'echo', t: sent, now: 700_000 });
  assert.equal(world.live.roundTrip(0.5), 40);
  assert.equal(world.live.hubNow(), 700_020);
  world.pass(10);
  assert.equal(world.live.hubNow(), 700_030);
});

test('a damaged message is counted and the next one is read', () => {
  const world = new World();
  const warn = console.warn;
  console.warn = () => {};
  try {
    world.welcome();
    world.socket.onmessage({ data: Uint8Array.from([0x87, 1]).buffer });
    world.socket.onmessage({ data: 'text' });
  } finally {
    console.warn = warn;
  }
  world.socket.onmessage({ data: Uint8Array.from(Buffer.from('870300d8464407000000d845420100d8464464000000d85648000000000080354000', 'hex')).buffer });
  assert.equal(world.live.traffic.damaged, 2);
  assert.deepEqual(world.frames, [[21.5]]);
  assert.equal(world.live.state.kind, 'live');
});

test('a hidden page says so, and silence while hidden is nobody\'s fault', () => {
  const world = new World();
  world.welcome();
  world.live.setHidden(true);
  assert.deepEqual(world.socket.sent.at(-1), { type: 'visibility', hidden: true });
  world.time += 60_000;
  world.live.setHidden(false);
  world.pass(1000);
  assert.equal(world.states.at(-1), 'live');
});
