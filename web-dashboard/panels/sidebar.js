/**
 * The side of the live page: which devices there are and how fresh, a filter by clicking or searching, and the few
 * settings of the view. On a phone the list is a strip above the cards and the settings come after them.
 */

import { toggleDevice } from '../urlstate.js';
import { formatAge, zoneName } from '../time.js';
import { find, setText, stamp } from './card.js';

/** @typedef {import('../store.js').Device} Device */
/** @typedef {{element: HTMLElement, button: HTMLElement, dot: HTMLElement, word: HTMLElement, age: HTMLElement}} Row */

const TICK_MS = 1000;

export class Sidebar {
  /** @param {HTMLElement} root @param {import('../app.js').App} app */
  constructor(root, app) {
    this.app = app;
    const aside = stamp('sidebar-template');
    root.append(aside);
    this.list = find(aside, '.device-list');
    this.count = find(aside, '.fresh-count');
    this.all = /** @type {HTMLButtonElement} */ (find(aside, '.show-all'));
    this.search = /** @type {HTMLInputElement} */ (find(aside, 'input[type=search]'));
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    this.shape = -1;
    this.states = -1;
    this.tickedAt = 0;
    this.all.addEventListener('click', () => app.show({ ...app.screen, devices: [], search: '' }));
    this.search.addEventListener('input', () => app.show({ ...app.screen, search: this.search.value }));
    this.search.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.search.blur();
    });
    settings(aside, app);
  }

  sync() {
    const { catalogue, screen } = this.app;
    if (catalogue.shape !== this.shape) {
      this.shape = catalogue.shape;
      this.rebuild();
    }
    const found = new Set(catalogue.matching([], screen.search).map((series) => series.device.id));
    for (const [id, row] of this.rows) {
      row.button.setAttribute('aria-pressed', String(screen.devices.includes(id)));
      row.element.hidden = screen.search !== '' && !found.has(id);
    }
    this.all.hidden = screen.devices.length === 0 && screen.search === '';
    if (document.activeElement !== this.search) this.search.value = screen.search;
    this.states = -1;
  }

  rebuild() {
    this.rows.clear();
    for (const device of this.app.catalogue.devices) {
      const element = stamp('device-row-template');
      const button = /** @type {HTMLElement} */ (find(element, 'button'));
      setText(find(element, '.name'), device.name);
      button.title = device.name === device.id ? device.id : `${device.name} (${device.id})`;
      button.addEventListener('click', () => this.app.show(toggleDevice(this.app.screen, device.id)));
      this.rows.set(device.id, {
        element, button, dot: /** @type {HTMLElement} */ (find(element, '.dot')), word: /** @type {HTMLElement} */ (find(element, '.word')),
        age: /** @type {HTMLElement} */ (find(element, '.age')),
      });
    }
    this.list.replaceChildren(...[...this.rows.values()].map((row) => row.element));
  }

  /** Ages once a second, states when they change. */
  frame() {
    const { catalogue } = this.app;
    const now = performance.now();
    if (now - this.tickedAt < TICK_MS && this.states === catalogue.states) return;
    this.tickedAt = now;
    this.states = catalogue.states;
    let fresh = 0;
    for (const device of catalogue.devices) {
      const row = this.rows.get(device.id);
      if (!row) continue;
      if (device.state === 'fresh') fresh++;
      row.dot.className = `dot ${device.state}`;
      setText(row.word, device.state);
      const seen = this.app.lastSeen(device);
      setText(row.age, seen === null ? 'never' : formatAge(this.app.now() - seen));
    }
    // What the hub said last is not what is.
    setText(this.count, this.app.live.state.kind === 'live' ? `${fresh} of ${catalogue.devices.length} fresh` : 'state unknown');
  }
}

/** The switches for grouping, zone and theme. @param {ParentNode} root @param {import('../app.js').App} app */
export function settings(root, app) {
  const local = zoneName('local');
  setText(find(root, '[data-zone=local]'), local === 'UTC' ? 'Local' : local.replace(/^.*\//, '').replaceAll('_', ' '));
  /** @type {HTMLElement} */ (find(root, '[data-zone=local]')).title = local;
  const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (root.querySelectorAll('.settings button'));
  const reflect = () => {
    for (const button of buttons) {
      const { group, zone, theme } = button.dataset;
      const on = group ? app.screen.group === group : zone ? app.screen.zone === zone : theme ? app.theme.choice === theme : null;
      if (on !== null) button.setAttribute('aria-pressed', String(on));
    }
  };
  for (const button of buttons) {
    const { group, zone, theme, help } = button.dataset;
    button.addEventListener('click', () => {
      if (group) app.show({ ...app.screen, group: /** @type {'quantity' | 'device'} */ (group) });
      if (zone) app.show({ ...app.screen, zone: /** @type {import('../time.js').Zone} */ (zone) });
      if (theme) app.theme.choose(/** @type {import('../theme.js').Choice} */ (theme));
      if (help !== undefined) app.help();
      reflect();
    });
  }
  reflect();
}
