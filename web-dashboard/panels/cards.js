/**
 * The live page: the device list, and cards in a grid. It decides which cards exist, which of them are in view, what
 * is subscribed to, and what a frame shows: the live rings, the frozen copy, or history the hub was asked for. Only
 * cards in view have a chart, and only those with something new are drawn.
 */

import { RANGES } from '../urlstate.js';
import { arrange } from '../store.js';
import { Card, VALUES_MS } from './card.js';
import { Sidebar } from './sidebar.js';

/** More cards than this are put under headings, where a heading gathers at least two. */
const GROUP_FROM = 24;
/** So few cards share the room there is. */
const FEW = 2;
/** Up to so many series everything is subscribed to at once; beyond, each card in view has its own subscription. */
const SUBSCRIBE_ALL_MAX = 512;
/** A catalogue message of 64 KiB, one of several, has more series than this. */
const SUBSCRIBE_AT_ONCE_MAX = 200;
/** The hub takes 64 from one viewer. */
const SUBSCRIPTIONS_MAX = 60;
/** The hub sends up to three points for each bucket of its own; asking for two a pixel keeps its buckets near ours. */
const POINTS_PER_BUCKET = 2;
/** It spreads them over the window and the five minutes that a device's clock may be ahead, and gives no more than this. */
const AHEAD_MS = 300_000;
const POINTS_MAX = 10_000;
const AHEAD_PX = 240;
/** Subscriptions follow scrolling, and requests zooming, after this pause. */
const SETTLE_MS = 200;
const PLOT_WIDTH_GUESS = 300;
/** Between a card's edge and its plot, both sides. */
const CARD_PADDING_PX = 20;
const AXIS_PX = 40;
const BUCKET_STEP = 50;
const LOADS_MAX = 3;
const WALL_ASPECT = 1.55;

export class LivePage {
  /** @param {HTMLElement} root @param {import('../app.js').App} app */
  constructor(root, app) {
    this.app = app;
    this.root = root;
    const placeholder = root.querySelector('.card');
    /** How wide plots will be: cards take the room of their placeholders. */
    this.widthGuess = placeholder ? placeholder.clientWidth - CARD_PADDING_PX : PLOT_WIDTH_GUESS;
    root.replaceChildren();
    root.className = 'live';
    this.sidebar = new Sidebar(root, app);
    this.grid = document.createElement('section');
    this.grid.className = 'cards';
    this.grid.setAttribute('aria-label', 'Charts');
    root.append(this.grid);
    /** @type {Map<string, Card>} */
    this.cards = new Map();
    /** @type {Map<Element, Card>} */
    this.byElement = new Map();
    /** @type {Set<Card>} */
    this.inView = new Set();
    /** @type {number | null} */
    this.hoverShare = null;
    this.valuesAt = 0;
    this.shape = -1;
    this.layoutKey = '';
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.settling = undefined;
    this.loads = new AbortController();
    this.loading = 0;
    /** The frozen range that is asked for; empty when there is nothing to ask. */
    this.pastKey = '';
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.pastTimer = undefined;
    this.views = new IntersectionObserver((entries) => this.viewed(entries), { rootMargin: `${AHEAD_PX}px` });
    this.sizes = new ResizeObserver((entries) => this.resized(entries));
  }

  get group() {
    return this.app.screen.group;
  }

  destroy() {
    this.loads.abort();
    clearTimeout(this.settling);
    for (const [key, card] of this.cards) this.remove(key, card);
    this.views.disconnect();
    this.sizes.disconnect();
    this.app.subscribe(new Map(), 0);
  }

  /** Brings cards and requests in line with the screen and the catalogue. */
  sync() {
    const { catalogue, screen } = this.app;
    const key = JSON.stringify([screen.group, screen.devices, screen.search, screen.wall]);
    if (catalogue.shape !== this.shape || key !== this.layoutKey) {
      this.shape = catalogue.shape;
      this.layoutKey = key;
      // The first time readings are asked for before there is anything to show them on: they come meanwhile.
      if (this.app.subscriptions.size === 0) this.settle();
      this.arrange();
      if (this.inView.size === 0) this.showFirst();
    }
    this.sidebar.sync();
    this.settle();
    for (const card of this.cards.values()) card.stale();
    this.syncPast();
  }

  arrange() {
    const { catalogue, screen } = this.app;
    const specs = arrange(catalogue.matching(screen.devices, screen.search), screen.group, catalogue.devices);
    const wanted = new Set(specs.map((spec) => spec.key));
    for (const [key, card] of this.cards) if (!wanted.has(key)) this.remove(key, card);
    /** @type {Element[]} */
    const children = [];
    const sections = new Set(specs.map((spec) => spec.section)).size;
    const grouped = specs.length > GROUP_FROM && sections <= specs.length / 2;
    let section = '';
    for (const spec of specs) {
      if (grouped && spec.section !== section) children.push(heading(section = spec.section));
      children.push(this.cardFor(spec).element);
    }
    if (specs.length === 0 && catalogue.known) children.push(remark(catalogue.series.size === 0 ? 'No device has sent a reading yet.' : 'No series fits this filter.'));
    this.grid.replaceChildren(...children);
    this.grid.classList.toggle('few', specs.length <= FEW);
    // On the wall everything fits on one screen, as far as it can.
    const columns = Math.max(1, Math.round(Math.sqrt((specs.length * innerWidth) / innerHeight / WALL_ASPECT)));
    this.grid.style.setProperty('--wall-columns', String(columns));
  }

  /** Charts on the first screen do not wait for the observer, which speaks only after a frame. */
  showFirst() {
    for (const card of this.cards.values()) {
      if (card.element.getBoundingClientRect().top > innerHeight) return;
      this.inView.add(card);
      card.show();
    }
  }

  /** @param {import('../store.js').CardSpec} spec */
  cardFor(spec) {
    const known = this.cards.get(spec.key);
    if (known) {
      known.describe(spec);
      return known;
    }
    const card = new Card(spec, this.app, this);
    this.cards.set(spec.key, card);
    this.byElement.set(card.element, card);
    this.byElement.set(card.plotElement, card);
    this.views.observe(card.element);
    this.sizes.observe(card.plotElement);
    return card;
  }

  /** @param {string} key @param {Card} card */
  remove(key, card) {
    card.hide();
    this.views.unobserve(card.element);
    this.sizes.unobserve(card.plotElement);
    this.inView.delete(card);
    this.byElement.delete(card.element);
    this.byElement.delete(card.plotElement);
    this.cards.delete(key);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  viewed(entries) {
    for (const entry of entries) {
      const card = this.byElement.get(entry.target);
      if (!card) continue;
      if (entry.isIntersecting) {
        this.inView.add(card);
        card.show();
      } else {
        this.inView.delete(card);
        card.hide();
      }
    }
    this.settle();
    this.syncPast();
    this.app.invalidate();
  }

  /** @param {ResizeObserverEntry[]} entries */
  resized(entries) {
    for (const entry of entries) {
      const card = this.byElement.get(entry.target);
      card?.chart?.resize();
      card?.stale();
    }
    this.settle();
  }

  /** Subscribes once things have come to rest; a first time at once, unless more of a large catalogue may be on its way. */
  settle() {
    clearTimeout(this.settling);
    const { catalogue, subscriptions } = this.app;
    if (subscriptions.size === 0 && catalogue.known && catalogue.series.size <= SUBSCRIBE_AT_ONCE_MAX) this.subscribe();
    else this.settling = setTimeout(() => this.subscribe(), SETTLE_MS);
  }

  subscribe() {
    const { catalogue, screen } = this.app;
    if (!catalogue.known || catalogue.series.size === 0) return;
    const plot = [...this.cards.values()].find((card) => card.plotElement.clientWidth > 0)?.plotElement;
    const pixels = ((plot?.clientWidth ?? this.widthGuess) - AXIS_PX) * devicePixelRatio;
    const buckets = Math.min(Math.max(Math.round(pixels / BUCKET_STEP) * BUCKET_STEP, 200), 1200);
    const window_ms = RANGES[screen.range];
    const rest = { window_ms, points: Math.min(Math.ceil(POINTS_PER_BUCKET * buckets * (1 + AHEAD_MS / window_ms)), POINTS_MAX) };
    const all = catalogue.series.size <= SUBSCRIBE_ALL_MAX;
    this.app.subscribe(new Map(all
      ? [['all', { series: '*/*', ...rest }]]
      : [...this.inView].slice(0, SUBSCRIPTIONS_MAX).map((card) => [card.spec.key, { series: card.spec.series.map((one) => one.key).join(','), ...rest }])), buckets);
  }

  /** Shows the crosshair on every chart. @param {number | null} share @param {Card | null} from whose own pointer it is */
  hover(share, from) {
    if (share === this.hoverShare) return;
    this.hoverShare = share;
    this.grid.classList.toggle('hovering', share !== null);
    for (const card of this.inView) {
      if (card !== from) card.chart?.crosshair(share);
      card.legendAt = 0;
      if (share === null) card.stale();
    }
    this.app.invalidate();
  }

  /** Draws what is due. */
  frame() {
    const { app } = this;
    const span = app.span();
    const shown = app.frozenWindow ?? app.window;
    const clock = performance.now();
    const values = clock - this.valuesAt >= VALUES_MS;
    if (values) this.valuesAt = clock;
    const scene = {
      span,
      frozen: app.screen.frozen !== null,
      rangeName: { '1m': 'minute', '5m': '5 minutes', '1h': 'hour', '24h': '24 hours' }[app.screen.range],
      now: app.now(),
      clock,
      values,
      hover: this.hoverShare,
      /** @param {number} series */
      ring: (series) => shown.ring(series),
      /** @param {number} series */
      reported: (series) => shown.gaps(series),
    };
    let next = Infinity;
    for (const card of this.inView) next = Math.min(next, card.draw(scene));
    if (next < Infinity) app.invalidate(next);
    this.sidebar.frame();
  }

  /** Colours or zone changed. */
  restyle() {
    for (const card of this.inView) {
      card.chart?.redraw();
      card.stale();
    }
    this.sidebar.sync();
  }

  /** Asks the hub for a frozen range, for the cards in view, at the pixels there are. */
  syncPast() {
    const { frozen } = this.app.screen;
    const key = frozen ? `${frozen.from}-${frozen.to}` : '';
    if (key === this.pastKey) {
      if (key && !this.pastTimer) this.loadPast();
      return;
    }
    this.pastKey = key;
    this.loads.abort();
    this.loads = new AbortController();
    this.loading = 0;
    clearTimeout(this.pastTimer);
    this.pastTimer = key ? setTimeout(() => this.loadPast(), SETTLE_MS) : undefined;
    for (const card of this.cards.values()) {
      card.pastKey = '';
      // What was loaded stays until the new range is there.
      if (!frozen || this.app.covers(frozen)) card.past = null;
    }
  }

  /** @param {Card} card @param {import('../scales.js').Span} frozen */
  needsPast(card, frozen) {
    const { app } = this;
    return !app.covers(frozen) || card.spec.series.some((series) => !app.frozenWindow?.ring(series.id));
  }

  async loadPast() {
    this.pastTimer = undefined;
    const { frozen } = this.app.screen;
    const key = this.pastKey;
    const { signal } = this.loads;
    if (!frozen || !key) return;
    const { loadRange } = await import('../history.js');
    while (this.loading < LOADS_MAX && !signal.aborted) {
      const card = [...this.inView].find((other) => other.pastKey !== key && this.needsPast(other, frozen));
      if (!card) return;
      card.pastKey = key;
      if (card.past?.state !== 'done') card.past = { state: 'loading' };
      this.loading++;
      const width = card.chart?.width ?? card.plotElement.clientWidth - AXIS_PX;
      const buckets = Math.max(Math.round(width * devicePixelRatio), 1);
      loadRange(card.spec.series, frozen, buckets, signal).then((past) => {
        if (signal.aborted) return;
        this.loading--;
        card.past = past;
        card.stale();
        this.loadPast();
      });
    }
  }

  /** @param {Card} card */
  retryPast(card) {
    card.past = { state: 'loading' };
    card.pastKey = '';
    card.stale();
    this.loadPast();
  }
}

/** @param {string} text */
function heading(text) {
  const element = document.createElement('h2');
  element.className = 'section-title';
  element.textContent = text;
  return element;
}

/** @param {string} text */
function remark(text) {
  const element = document.createElement('p');
  element.className = 'empty';
  element.textContent = text;
  return element;
}

/** @param {HTMLElement} root @param {import('../app.js').App} app */
export function mount(root, app) {
  return new LivePage(root, app);
}
