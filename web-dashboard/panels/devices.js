/**
 * The devices page: what each device is, how fresh, what it measures, and what became of everything it sent. States
 * come from the live connection; delivery and latest values from the REST interface, every few seconds while looked at.
 */

import { problem } from '../history.js';
import { clean } from '../store.js';
import { formatAge, formatMoment } from '../time.js';
import { counted, formatCount, formatReading } from '../units.js';
import { find, setText, stamp } from './card.js';
import { settings } from './sidebar.js';

/** @typedef {import('../types.js').Delivery} Delivery */
/** @typedef {import('../store.js').Device} Device */
/** @typedef {{t: number, value: number | null}} Latest */

const REFRESH_MS = 5000;
const TICK_MS = 1000;
const SERIES_PAGE = 1000;
const SERIES_MAX = 20_000;
const GAPS_SHOWN = 5;

/** @param {number | Record<string, number> | undefined} counts */
function total(counts) {
  if (typeof counts === 'number') return counts;
  return Object.values(counts ?? {}).reduce((sum, count) => sum + count, 0);
}

/**
 * What became of everything a device sent, as a sentence.
 * @param {Delivery} delivery
 */
export function deliverySentence(delivery) {
  const refused = total(delivery.refused);
  const why = Object.entries(delivery.refused ?? {}).filter(([, count]) => count > 0).map(([reason, count]) => `${reason} ${formatCount(count)}`);
  const dropped = total(delivery.readings_dropped);
  const parts = [
    `Received ${counted(delivery.received, 'message')}: ${formatCount(delivery.stored)} stored, ${formatCount(delivery.duplicate)} duplicate, ${formatCount(refused)} refused${why.length > 0 ? ` (${why.join(', ')})` : ''}.`,
    `${counted(delivery.readings_stored, 'reading')} stored${dropped > 0 ? `, ${formatCount(dropped)} dropped` : ''}.`,
  ];
  if (delivery.gaps.length === 0) parts.push('No gaps.');
  return parts.join(' ');
}

class DeviceCard {
  /** @param {Device} device @param {DevicesPage} page */
  constructor(device, page) {
    this.page = page;
    this.element = stamp('device-card-template');
    this.device = device;
    /** @type {{value: HTMLElement, unit: Element}[]} */
    this.cells = [];
    this.describe(device);
  }

  /** @param {Device} device */
  describe(device) {
    this.device = device;
    const { element } = this;
    setText(find(element, '.name'), device.name);
    setText(find(element, '.about'), [device.name === device.id ? '' : device.id, device.model, device.firmware && `firmware ${device.firmware}`].filter(Boolean).join(' · '));
    const labels = device.labels.map(([key, value]) => {
      const label = document.createElement('li');
      label.textContent = `${key}: ${value}`;
      return label;
    });
    find(element, '.labels').replaceChildren(...labels);
    const rows = device.series.map((series) => {
      const row = stamp('channel-row-template');
      setText(find(row, '.name'), series.name);
      return row;
    });
    this.cells = rows.map((row) => ({ value: /** @type {HTMLElement} */ (find(row, '.reading')), unit: find(row, '.unit') }));
    find(element, 'tbody').replaceChildren(...rows);
    const link = /** @type {HTMLAnchorElement} */ (find(element, '.to-live'));
    link.href = `?device=${encodeURIComponent(device.id)}`;
    link.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const { app } = this.page;
      app.show({ ...app.screen, page: 'live', devices: [device.id] }, true);
    };
  }

  tick() {
    const { app } = this.page;
    const { device, element } = this;
    find(element, '.dot').className = `dot ${device.state}`;
    const seen = app.lastSeen(device);
    const age = seen === null ? 'never seen' : device.state === 'fresh' ? formatAge(app.now() - seen) : `last seen ${formatAge(app.now() - seen)} ago`;
    setText(find(element, '.state'), `${device.state} · ${age}`);
  }

  /** @param {Map<number, Latest>} latest */
  fillLatest(latest) {
    this.device.series.forEach((series, index) => {
      const reading = latest.get(series.id);
      const { value, unit } = this.cells[index];
      const shown = formatReading(reading?.value ?? NaN, series);
      setText(value, shown.text);
      setText(unit, shown.unit);
      value.title = reading ? formatMoment(reading.t, this.page.app.screen.zone, this.page.app.now()) : 'no reading yet';
    });
  }

  /** @param {Delivery | undefined} delivery */
  fillDelivery(delivery) {
    if (!delivery) return;
    setText(find(this.element, '.delivery'), deliverySentence(delivery));
    const { app } = this.page;
    const gaps = delivery.gaps.slice(-GAPS_SHOWN).reverse().map((gap) => {
      const item = document.createElement('li');
      item.textContent = `Messages ${formatCount(gap.from)} to ${formatCount(gap.to)}: ${clean(gap.reason)}, noted ${formatMoment(gap.at, app.screen.zone, app.now())}`;
      return item;
    });
    const list = find(this.element, '.gaps');
    list.replaceChildren(...gaps);
    setText(find(this.element, '.gap-title'), delivery.gaps.length === 0 ? '' : counted(delivery.gaps.length, 'gap') + (delivery.gaps.length > GAPS_SHOWN ? `, the last ${GAPS_SHOWN}:` : ':'));
  }
}

class DevicesPage {
  /** @param {HTMLElement} root @param {import('../app.js').App} app */
  constructor(root, app) {
    this.app = app;
    root.className = 'devices';
    const panel = stamp('devices-template');
    root.replaceChildren(panel);
    this.grid = find(panel, '.device-cards');
    this.summary = find(panel, '.summary');
    this.notice = /** @type {HTMLElement} */ (find(panel, '.notice'));
    /** @type {Map<string, DeviceCard>} */
    this.cards = new Map();
    /** @type {Map<string, Delivery>} */
    this.deliveries = new Map();
    /** @type {Map<number, Latest>} */
    this.latest = new Map();
    this.shape = -1;
    this.tickedAt = 0;
    this.stopping = new AbortController();
    settings(panel, app);
    this.refresh();
    this.timer = setInterval(() => this.refresh(), REFRESH_MS);
  }

  destroy() {
    clearInterval(this.timer);
    this.stopping.abort();
  }

  sync() {
    const { catalogue } = this.app;
    if (catalogue.shape === this.shape) return;
    this.shape = catalogue.shape;
    const { cards } = this;
    this.cards = new Map(catalogue.devices.map((device) => {
      const known = cards.get(device.id);
      known?.describe(device);
      return [device.id, known ?? new DeviceCard(device, this)];
    }));
    this.grid.replaceChildren(...[...this.cards.values()].map((card) => card.element));
    this.tickedAt = 0;
    this.fillAll();
    this.frame();
  }

  frame() {
    const now = performance.now();
    if (now - this.tickedAt < TICK_MS) return;
    this.tickedAt = now;
    const { devices } = this.app.catalogue;
    /** @param {string} state */
    const count = (state) => devices.filter((device) => device.state === state).length;
    const states = this.app.live.state.kind === 'live' ? `${count('fresh')} fresh, ${count('overdue')} overdue, ${count('offline')} offline` : 'state unknown';
    setText(this.summary, `${counted(devices.length, 'device')}: ${states}`);
    for (const card of this.cards.values()) card.tick();
  }

  restyle() {
    this.fillAll();
  }

  fillAll() {
    for (const [id, card] of this.cards) {
      card.fillLatest(this.latest);
      card.fillDelivery(this.deliveries.get(id));
    }
  }

  async refresh() {
    if (document.hidden) return;
    const { signal } = this.stopping;
    try {
      const { devices } = await get('/api/v1/devices', signal);
      for (const row of devices) this.deliveries.set(row.id, row.delivery);
      let after = '';
      let count = 0;
      do {
        const page = await get(`/api/v1/series?limit=${SERIES_PAGE}${after}`, signal);
        for (const series of page.series) if (series.latest) this.latest.set(series.id, series.latest);
        count += page.series.length;
        after = page.next === null || page.next === undefined ? '' : `&after=${encodeURIComponent(page.next)}`;
      } while (after && count < SERIES_MAX);
      this.notice.hidden = true;
      this.fillAll();
    } catch (error) {
      if (signal.aborted) return;
      this.notice.hidden = false;
      const detail = error instanceof TypeError ? 'the hub does not answer' : error instanceof Error ? error.message : String(error);
      setText(this.notice, `Delivery and latest values are not up to date: ${detail}. Trying again every ${REFRESH_MS / 1000} s.`);
    }
  }
}

/** @param {string} path @param {AbortSignal} signal */
async function get(path, signal) {
  const response = await fetch(path, { signal });
  if (!response.ok) throw new Error(await problem(response));
  return response.json();
}

/** @param {HTMLElement} root @param {import('../app.js').App} app */
export function mount(root, app) {
  return new DevicesPage(root, app);
}
