/**
 * The entry: builds the connection, the catalogue, the window and the page on show, and connects them. What the screen
 * shows is one value (`screen`); every change goes through `show`, which keeps the address bar, the frozen copy and the
 * page in line. Drawing happens in one animation frame for everything, and only when something may have changed.
 */

import { LiveConnection } from './live.js';
import { Badge } from './panels/badge.js';
import { LiveWindow } from './rings.js';
import { Catalogue, clean } from './store.js';
import { Theme } from './theme.js';
import { formatClock, formatSpan } from './time.js';
import { counted } from './units.js';
import * as urlstate from './urlstate.js';

/** @typedef {import('./urlstate.js').Screen} Screen */
/** @typedef {import('./types.js').Subscription} Subscription */
/** @typedef {{sync(): void, frame(): void, restyle(): void, destroy(): void}} Panel */
/** @typedef {{keys: string[], shown: string, does: string, anywhere?: boolean, run: (app: App) => void}} Key `anywhere`: not only on the live page */

/** The pages. A new one is a module in panels/ that exports `mount(root, app)`, a line here, and a link in index.html. */
const PANELS = {
  live: () => import('./panels/cards.js'),
  devices: () => import('./panels/devices.js'),
  'first-run': () => import('./panels/first-run.js'),
};

/** The chart library runs after this module, so that it is compiled while the hub answers; by then it has run. */
const parsed = new Promise((resolve) => { document.addEventListener('DOMContentLoaded', resolve, { once: true }); });

/** Ages grow and the window moves on without any reading. */
const TICK_MS = 250;
const URL_MS = 250;
const NOTE_MS = 250;
const CATALOGUE_MS = 50;
/** With less than this there is more to see in a minute than in five. */
const YOUNG_MS = 120_000;

/** @type {Key[]} */
const KEYS = [
  { keys: [' '], shown: 'Space', does: 'Freeze the view, or follow live data again', run: (app) => app.toggle() },
  { keys: ['l', 'Escape'], shown: 'L, Esc', does: 'Return to live, as a double-click on a chart does', run: (app) => app.follow() },
  { keys: ['ArrowLeft'], shown: '←', does: 'Earlier', run: (app) => app.pan(-0.25) },
  { keys: ['ArrowRight'], shown: '→', does: 'Later', run: (app) => app.pan(0.25) },
  { keys: ['+', '='], shown: '+', does: 'Zoom in', run: (app) => app.zoom(0.5, null) },
  { keys: ['-'], shown: '−', does: 'Zoom out', run: (app) => app.zoom(2, null) },
  ...Object.keys(urlstate.RANGES).map((range, index) => ({
    keys: [String(index + 1)], shown: String(index + 1), does: `The last ${range}`,
    run: (/** @type {App} */ app) => app.choose(/** @type {Screen['range']} */ (range)),
  })),
  { keys: ['/'], shown: '/', does: 'Search devices and channels', run: () => /** @type {HTMLElement | null} */ (document.querySelector('input[type=search]'))?.focus() },
  { keys: ['?'], shown: '?', does: 'These keys', anywhere: true, run: (app) => app.help() },
];

export class App {
  constructor() {
    this.root = /** @type {HTMLElement} */ (document.getElementById('page'));
    this.screen = urlstate.parse(location.search);
    /** Nobody has said yet how much time to show. */
    this.rangeOpen = !/[?&](range|from)=/.test(location.search);
    this.catalogue = new Catalogue();
    this.window = new LiveWindow();
    /** A copy of the window for a frozen view. @type {LiveWindow | null} */
    this.frozenWindow = this.screen.frozen ? new LiveWindow() : null;
    /** What the frozen copy was made for. @type {import('./scales.js').Span | null} */
    this.frozenSpan = null;
    this.waiting = 0;
    /** @type {Map<string, {id: number, asked: string}>} */
    this.subscriptions = new Map();
    this.lastId = 0;
    /** @type {import('./types.js').Welcome | null} */
    this.hub = null;
    /** The right edge of the last live view; it stands while the hub is not heard. */
    this.edgeHeld = Date.now();
    /** @type {Panel | null} */
    this.panel = null;
    this.panelName = '';
    /** When the next frame is wanted. */
    this.frameDue = Infinity;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.frameTimer = undefined;
    this.notedAt = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.urlTimer = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.catalogueTimer = undefined;
    // The wall has larger letters; the charts' colours and fonts are read once.
    if (this.screen.wall) document.documentElement.dataset.wall = '';
    this.theme = new Theme(() => this.panel?.restyle());
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    this.live = new LiveConnection(`${scheme}://${location.host}/ws/live`, {
      state: (state) => this.linked(state),
      control: (message) => this.heard(message),
      data: (frame) => {
        const taken = this.window.take(frame);
        if (taken && this.screen.frozen) this.waiting += frame.values.length + frame.merged;
        if (taken) this.invalidate();
      },
    });
    this.badge = new Badge(this);
  }

  start() {
    this.wire();
    this.chrome();
    this.live.start();
    setInterval(() => this.invalidate(), TICK_MS);
  }

  /** The hub's time, or the page's own before the hub was heard. */
  now() {
    const now = this.live.hubNow();
    return Number.isNaN(now) ? Date.now() : now;
  }

  /** The right edge of a live view, on the buckets' grid so that a still line stands still. */
  edge() {
    if (this.live.state.kind === 'live') {
      const { stepMs } = this.window;
      this.edgeHeld = (Math.floor(this.now() / stepMs) + 1) * stepMs;
    }
    return this.edgeHeld;
  }

  span() {
    return urlstate.span(this.screen, this.edge());
  }

  /** Whether the frozen copy holds a range as finely as it is asked for. @param {import('./scales.js').Span} span */
  covers(span) {
    return this.frozenSpan !== null && span.from === this.frozenSpan.from && span.to === this.frozenSpan.to;
  }

  /** When a device was last heard: what the hub says, or a newer reading in the window. @param {import('./store.js').Device} device */
  lastSeen(device) {
    const newest = Math.max(-Infinity, ...device.series.map((series) => this.window.ring(series.id)?.newestTime ?? -Infinity));
    const seen = Math.max(device.lastSeen ?? -Infinity, Math.min(newest, this.now()));
    return seen === -Infinity ? null : seen;
  }

  /** How old the newest reading of all is, in milliseconds; null when there is none. */
  newestAge() {
    let newest = -Infinity;
    for (const ring of this.window.rings.values()) newest = Math.max(newest, ring.newestTime);
    return newest === -Infinity ? null : this.now() - newest;
  }

  /** Shows another screen. @param {Screen} screen @param {boolean} [entry] as a new entry of the browser's history */
  show(screen, entry = false) {
    const before = this.screen;
    if (screen.frozen && !before.frozen) {
      this.frozenSpan = urlstate.freeze(before, this.edge()).frozen;
      this.frozenWindow = this.window.copy();
      this.waiting = 0;
    } else if (!screen.frozen) {
      this.frozenWindow = null;
      this.frozenSpan = null;
    }
    if (screen.frozen || screen.range !== before.range) this.rangeOpen = false;
    this.screen = screen;
    clearTimeout(this.urlTimer);
    /** @param {Screen} shown */
    const address = (shown) => `${location.pathname}${urlstate.format(shown)}`;
    if (entry) {
      history.replaceState(null, '', address(before));
      history.pushState(null, '', address(screen));
    } else {
      // Browsers refuse hundreds of changes in a row, which a wheel makes.
      this.urlTimer = setTimeout(() => history.replaceState(null, '', address(screen)), URL_MS);
    }
    this.chrome();
    if (before.zone !== screen.zone) this.panel?.restyle();
    this.mount();
    this.panel?.sync();
    this.invalidate();
  }

  toggle() {
    this.show(this.screen.frozen ? urlstate.follow(this.screen) : urlstate.freeze(this.screen, this.edge()));
  }

  follow() {
    this.show(urlstate.follow(this.screen));
  }

  /** @param {number} factor @param {number | null} at */
  zoom(factor, at) {
    this.show(urlstate.zoom(this.screen, factor, at, this.edge()));
  }

  /** @param {number} share */
  pan(share) {
    this.show(urlstate.pan(this.screen, share, this.edge()));
  }

  /** @param {Screen['range']} range */
  choose(range) {
    this.show({ ...this.screen, range, frozen: null });
  }

  /** A hub that has just begun is looked at closely, until someone chooses. */
  fitRange() {
    const rings = [...this.window.rings.values()];
    const before = this.now() - YOUNG_MS;
    if (this.rangeOpen && rings.some((ring) => ring.newestTime > before) && rings.every((ring) => ring.slotBefore(before) < 0)) this.choose('1m');
    this.rangeOpen = false;
  }

  /** Freezes on the time around a reading. @param {number} time */
  around(time) {
    const frozen = urlstate.span(this.screen, Math.round(time) + urlstate.RANGES[this.screen.range] / 4);
    this.show({ ...this.screen, frozen });
  }

  async help() {
    const { showHelp } = await import('./panels/help.js');
    showHelp(KEYS);
  }

  /** Speaks to those who listen instead of look. @param {string} text */
  say(text) {
    const voice = document.getElementById('voice');
    if (voice) voice.textContent = text;
  }

  /**
   * Asks the hub for exactly these subscriptions; those that stay the same are left alone.
   * @param {Map<string, Subscription>} wanted @param {number} buckets the width of their windows
   */
  subscribe(wanted, buckets) {
    for (const [key, { id }] of this.subscriptions) {
      if (wanted.has(key)) continue;
      this.subscriptions.delete(key);
      this.live.unsubscribe(id);
      this.window.forget(id);
    }
    for (const [key, subscription] of wanted) {
      const asked = JSON.stringify(subscription);
      const known = this.subscriptions.get(key);
      if (known?.asked === asked) continue;
      const id = known?.id ?? ++this.lastId;
      this.subscriptions.set(key, { id, asked });
      this.window.resize(subscription.window_ms, buckets);
      this.live.subscribe(id, subscription);
    }
  }

  /** @param {import('./live.js').State} state */
  linked(state) {
    document.documentElement.dataset.link = state.kind;
    this.badge.draw(performance.now(), true);
    this.invalidate();
  }

  /** @param {import('./types.js').Control} message */
  heard(message) {
    switch (message.type) {
      case 'welcome':
        this.hub = message;
        break;
      case 'catalogue':
        this.catalogue.apply(message);
        // A large catalogue comes in several messages; the page is laid out once for all of them.
        clearTimeout(this.catalogueTimer);
        if (this.panel) this.catalogueTimer = setTimeout(() => this.catalogued(), CATALOGUE_MS);
        else this.catalogued();
        break;
      case 'devices':
        this.catalogue.applyStates(message);
        break;
      case 'snapshot':
        this.window.begin(message);
        break;
      case 'snapshot-end':
        this.window.end(message);
        if (this.window.shown.size === this.subscriptions.size) this.fitRange();
        break;
      case 'error':
        this.complain(`The hub says: ${clean(message.message)}`);
        break;
      default:
        return;
    }
    this.invalidate();
  }

  catalogued() {
    this.mount();
    this.panel?.sync();
    this.invalidate();
  }

  /** Mounts the panel that fits: the page in the address, or the first steps while there is no device. */
  async mount() {
    const { catalogue, screen } = this;
    if (!catalogue.known) return;
    const name = catalogue.devices.length === 0 ? 'first-run' : Object.hasOwn(PANELS, screen.page) ? screen.page : 'live';
    if (name === this.panelName) return;
    this.panelName = name;
    const [module] = await Promise.all([PANELS[/** @type {keyof typeof PANELS} */ (name)](), parsed, name !== 'live' && import('./panels/styles.js')]);
    if (name !== this.panelName) return;
    this.panel?.destroy();
    this.panel = module.mount(this.root, this);
    this.root.removeAttribute('aria-busy');
    this.chrome();
    this.panel.sync();
    this.invalidate();
  }

  /** Asks for a frame, now or after a while; the earliest wish holds. A hidden page draws none. @param {number} [delayMs] */
  invalidate(delayMs = 0) {
    if (document.hidden) return;
    const at = performance.now() + delayMs;
    if (this.frameDue <= at) return;
    this.frameDue = at;
    clearTimeout(this.frameTimer);
    if (delayMs > 0) this.frameTimer = setTimeout(() => this.nextFrame(), delayMs);
    else this.nextFrame();
  }

  nextFrame() {
    requestAnimationFrame(() => {
      this.frameDue = Infinity;
      this.frame();
    });
  }

  frame() {
    this.panel?.frame();
    const now = performance.now();
    this.badge.draw(now);
    if (this.screen.frozen && now - this.notedAt > NOTE_MS) this.note();
  }

  /** "Frozen · 42 s behind · 418 readings waiting". */
  note() {
    this.notedAt = performance.now();
    const { frozen, zone } = this.screen;
    const note = /** @type {HTMLElement} */ (document.getElementById('frozen-note'));
    note.hidden = !frozen || this.panelName !== 'live';
    if (!frozen) return;
    const behind = this.now() - frozen.to;
    const where = this.covers(frozen) ? '' : `${formatClock(frozen.from, zone)} – ${formatClock(frozen.to, zone)} · `;
    const text = `Frozen · ${where}${formatSpan(behind)} behind · ${counted(this.waiting, 'reading')} waiting`;
    if (note.textContent !== text) note.textContent = text;
  }

  /** Brings everything around the page in line with the screen. */
  chrome() {
    const { screen } = this;
    const { dataset } = document.documentElement;
    dataset.view = screen.frozen ? 'frozen' : 'following';
    dataset.page = this.panelName || screen.page;
    if (screen.wall) dataset.wall = '';
    else delete dataset.wall;
    for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll('nav a'))) {
      const page = link.dataset.page ?? '';
      link.href = urlstate.format({ ...screen, page }) || '/';
      if (page === screen.page) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('.ranges button'))) {
      button.setAttribute('aria-pressed', String(button.dataset.range === screen.range && !screen.frozen));
    }
    const freeze = /** @type {HTMLElement} */ (document.getElementById('freeze'));
    const does = screen.frozen ? 'Go live' : 'Freeze';
    freeze.setAttribute('aria-label', does);
    freeze.title = screen.frozen ? 'Return to live (L)' : 'Freeze the view (Space)';
    /** @type {HTMLElement} */ (freeze.querySelector('.label')).textContent = does;
    this.note();
  }

  /** Shows what went wrong until it is dismissed. @param {string} text */
  complain(text) {
    const notice = /** @type {HTMLElement} */ (document.getElementById('notice'));
    /** @type {HTMLElement} */ (notice.querySelector('p')).textContent = text;
    notice.hidden = false;
  }

  wire() {
    document.addEventListener('click', (event) => {
      const target = /** @type {Element} */ (event.target);
      const link = /** @type {HTMLAnchorElement | null} */ (target.closest('nav a'));
      if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
        event.preventDefault();
        this.show({ ...this.screen, page: link.dataset.page ?? 'live' }, true);
      }
      const range = /** @type {HTMLElement | null} */ (target.closest('.ranges button'))?.dataset.range;
      if (range) this.choose(/** @type {Screen['range']} */ (range));
      // A button clicked with the mouse gives the keys back: Space then freezes instead of pressing it again.
      if (event.detail > 0 && target.closest('button')) /** @type {HTMLElement} */ (document.activeElement)?.blur();
    });
    document.getElementById('freeze')?.addEventListener('click', () => this.toggle());
    document.querySelector('#notice button')?.addEventListener('click', () => {
      /** @type {HTMLElement} */ (document.getElementById('notice')).hidden = true;
    });
    document.addEventListener('keydown', (event) => this.pressed(event));
    document.addEventListener('visibilitychange', () => {
      this.live.setHidden(document.hidden);
      this.invalidate();
      this.stayAwake();
    });
    addEventListener('popstate', () => {
      const screen = urlstate.parse(location.search);
      this.show(screen);
    });
    addEventListener('online', () => this.live.retryNow());
    this.stayAwake();
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {Element} */ (event.target);
    if (target.matches('input, textarea, select') || document.querySelector('dialog[open]')) return;
    if (event.key === ' ' && target.closest('button, a, summary')) return;
    if (event.key === 'Escape' && document.querySelector(':popover-open')) return;
    const key = KEYS.find((candidate) => candidate.keys.includes(event.key.length === 1 ? event.key.toLowerCase() : event.key));
    if (!key || (this.panelName !== 'live' && !key.anywhere)) return;
    event.preventDefault();
    key.run(this);
  }

  /** A wall display must not go dark. The lock is lost whenever the page is hidden. */
  async stayAwake() {
    if (!this.screen.wall || document.hidden) return;
    try {
      await navigator.wakeLock?.request('screen');
    } catch {
      // Without a secure page, or on a low battery, the browser refuses; the wall then follows its own settings.
    }
  }
}

new App().start();
