/**
 * One card of the live page: name, big latest value, chart, legend. It draws what the page hands it; whether that is
 * live, frozen or history is decided there. Text comes from the catalogue, which has cleaned it.
 */

import { Chart } from '../charts/uplot-adapter.js';
import { commonGaps } from '../rings.js';
import { valueRange } from '../scales.js';
import { clean } from '../store.js';
import { formatAge, formatClock, formatMoment } from '../time.js';
import { counted, formatBesideUnit, formatReading, formatWithUnit } from '../units.js';

/** @typedef {import('../rings.js').Ring} Ring */
/** @typedef {import('../scales.js').Span} Span */
/** @typedef {import('../store.js').Series} Series */
/**
 * @typedef {object} Scene what one frame shows, the same for every card
 * @property {Span} span
 * @property {boolean} frozen
 * @property {string} rangeName "5m": for the words on an empty card
 * @property {number} now the hub's time
 * @property {number} clock the page's time, for pacing
 * @property {boolean} values whether this is a frame in which busy cards change their numbers
 * @property {number | null} hover where the crosshair stands, as a share of the width
 * @property {(series: number) => Ring | null} ring
 * @property {(series: number) => import('../types.js').Gap[]} reported
 */
/** @typedef {{state: 'loading'} | {state: 'done', rings: Map<number, Ring>, gaps: (import('../types.js').Gap & {series: number})[]} | {state: 'failed', detail: string}} Past what the hub answered for a frozen range */
/** @typedef {{button: HTMLButtonElement, value: HTMLElement}} LegendItem */

/** Redraws of a chart are at least this far apart; longer when a pixel stands for much time. */
const DRAW_MIN_MS = 60;
const DRAW_MAX_MS = 1000;
/** The window alone, without new readings, moves on at this pace. */
const SCROLL_MS = 240;
/**
 * A number that changes more often cannot be read. Busy cards change theirs in the same frames, because the first
 * change in a frame costs as much as all others; one that was quiet for a while shows a reading at once.
 */
export const VALUES_MS = 180;
const LEGEND_MS = 500;
const SUMMARY_MS = 10_000;
const KEY_STEP = 1 / 120;

/** What a gap is called. The hub's own reasons are shown as they are. */
const REASONS = new Map([
  ['silent', 'no reading'], ['missing', 'missing measurement'], ['lost', 'lost on the device'], ['offline', 'device offline'],
  ['unexplained', 'lost, reason unknown'],
]);

/** Sets an element's text where it differs, keeping its text node: ten times a second must leave nothing to collect. @param {Element} element @param {string} text @returns {boolean} whether it differed */
export function setText(element, text) {
  const node = element.firstChild;
  if ((node?.nodeValue ?? '') === text) return false;
  if (node) node.nodeValue = text;
  else element.textContent = text;
  return true;
}

/** @template {Element} T @param {ParentNode} root @param {string} selector @returns {T} */
export function find(root, selector) {
  const found = root.querySelector(selector);
  if (!found) throw new Error(`the page has no ${selector}`);
  return /** @type {T} */ (found);
}

/**
 * A copy of a template's one element. It is imported, not cloned: a clone belongs to the template's own document at
 * first, and an observer of such an element is kept there for ever.
 * @param {string} id @returns {HTMLElement}
 */
export function stamp(id) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(id));
  return /** @type {HTMLElement} */ (document.importNode(/** @type {Element} */ (template.content.firstElementChild), true));
}

export class Card {
  /** @param {import('../store.js').CardSpec} spec @param {import('../app.js').App} app @param {import('./cards.js').LivePage} page */
  constructor(spec, app, page) {
    this.app = app;
    this.page = page;
    this.element = stamp('card-template');
    this.plotElement = /** @type {HTMLElement} */ (find(this.element, '.plot'));
    this.valueElement = /** @type {HTMLElement} */ (find(this.element, '.value'));
    this.ofElement = find(this.element, '.of');
    this.unitElement = find(this.element, '.unit');
    this.veil = /** @type {HTMLElement} */ (find(this.element, '.veil'));
    this.inView = false;
    /** Made when there is something to draw: empty ones would be drawn while the readings wait. @type {Chart | null} */
    this.chart = null;
    /** @type {Past | null} */
    this.past = null;
    /** The frozen range that was asked for. */
    this.pastKey = '';
    /** @type {LegendItem[]} */
    this.items = [];
    this.picked = 0;
    this.chars = 0;
    /** The time of the newest reading where the live window has none; 0: not asked for. */
    this.newest = 0;
    this.emphasised = -1;
    /** @type {import('../scales.js').Range | null} */
    this.range = null;
    /** @type {(Ring | null)[]} what was last drawn, and what was found in it */
    this.rings = [];
    /** @type {import('../rings.js').Survey[]} */
    this.surveys = [];
    /** @type {Span} */
    this.drawnSpan = { from: 0, to: 0 };
    this.drawnVersion = -1;
    this.drawnAt = 0;
    this.valueAt = 0;
    this.valueDue = true;
    this.legendAt = 0;
    this.summaryAt = -Infinity;
    this.spec = spec;
    this.describe(spec);
    find(this.veil, 'button').addEventListener('click', () => (this.past ? this.page.retryPast(this) : this.app.around(this.newest)));
    this.plotElement.addEventListener('keydown', (event) => this.moveCrosshair(event));
  }

  /** Takes a changed specification; the chart is built again only when its lines changed. @param {import('../store.js').CardSpec} spec */
  describe(spec) {
    const before = this.spec;
    this.spec = spec;
    setText(find(this.element, '.card-title'), spec.title);
    setText(find(this.element, '.part'), spec.part);
    setText(this.unitElement, formatReading(NaN, spec.series[0]).unit);
    this.element.title = '';
    const same = before !== spec && sameLines(before, spec);
    if (same && this.items.length > 0) return;
    this.picked = Math.min(this.picked, spec.series.length - 1);
    this.buildLegend();
    this.chart?.destroy();
    this.chart = null;
    this.stale();
  }

  buildLegend() {
    const list = find(this.element, '.legend');
    this.items = this.spec.series.map((series, index) => {
      const item = stamp('legend-template');
      const button = /** @type {HTMLButtonElement} */ (find(item, 'button'));
      button.classList.add(`series-${this.spec.colours[index] + 1}`);
      setText(find(item, '.name'), this.nameOf(series));
      button.title = `${series.device.name} · ${series.name}`;
      button.addEventListener('click', () => this.pick(index));
      for (const [event, emphasised] of /** @type {[string, number][]} */ ([['pointerenter', index], ['pointerleave', -1], ['focus', index], ['blur', -1]])) {
        button.addEventListener(event, () => this.emphasise(emphasised));
      }
      return { button, value: /** @type {HTMLElement} */ (find(item, '.reading')), item };
    });
    list.replaceChildren(...this.items.map((item) => /** @type {any} */ (item).item));
    this.element.classList.toggle('several', this.items.length > 1);
    this.pick(this.picked);
  }

  /** What tells this line from the others on the card. @param {Series} series */
  nameOf(series) {
    return this.page.group === 'device' ? series.name : series.device.name;
  }

  /** Chooses whose value is shown big. @param {number} index */
  pick(index) {
    this.picked = index;
    this.items.forEach((item, i) => item.button.setAttribute('aria-pressed', String(i === index)));
    this.stale();
  }

  /** @param {number} index −1: all alike */
  emphasise(index) {
    if (this.items.length < 2) return;
    this.emphasised = index;
    this.stale();
  }

  /** The next frame draws, whatever else changed. */
  stale() {
    this.drawnVersion = -1;
    this.drawnAt = 0;
    this.valueAt = 0;
    this.legendAt = 0;
    this.summaryAt = -Infinity;
    this.app.invalidate();
  }

  show() {
    this.inView = true;
    this.stale();
  }

  hide() {
    this.inView = false;
    this.chart?.destroy();
    this.chart = null;
  }

  makeChart() {
    const { kind, states, unit } = this.spec.series[0];
    this.range = null;
    return new Chart(this.plotElement, {
      colours: this.spec.colours,
      steps: kind === 'state',
      states,
      unit,
      theme: () => this.app.theme.colours,
      zone: () => this.app.screen.zone,
      hovered: (share) => this.page.hover(share, this),
      selected: (span) => this.app.show({ ...this.app.screen, frozen: span }),
      followed: () => this.app.follow(),
      zoomed: (factor, at) => this.app.zoom(factor, at),
      panned: (share) => this.app.pan(share),
    });
  }

  /** Draws what is due. @param {Scene} scene @returns {number} milliseconds until more is; Infinity: only when something changes */
  draw(scene) {
    if (!this.inView) return Infinity;
    const loading = this.past ? this.past.state === 'loading' : !this.spec.series.some((series) => scene.ring(series.id));
    this.element.classList.toggle('loading', loading);
    if (loading && !this.chart) return Infinity;
    const chart = (this.chart ??= this.makeChart());
    if (scene.hover !== null) this.readOut(scene, scene.hover);
    const wait = this.waitToDraw(scene, chart);
    if (wait === 0) this.drawChart(scene, chart, loading);
    const quiet = scene.clock - this.valueAt > 2 * VALUES_MS;
    if (this.valueDue && scene.hover === null && (scene.values || quiet)) this.bigValue(scene);
    return Math.min(wait || Infinity, this.valueDue && scene.hover === null ? VALUES_MS : Infinity);
  }

  /** @param {Scene} scene @param {Chart} chart @param {boolean} loading */
  drawChart(scene, chart, loading) {
    this.drawnAt = scene.clock;
    this.valueDue = true;

    const hold = this.spec.series[0].kind === 'state';
    const rings = this.spec.series.map((series) => (this.past?.state === 'done' ? this.past.rings.get(series.id) ?? null : scene.ring(series.id)));
    const { from, to } = scene.span;
    this.surveys = rings.map((ring, index) => {
      const series = this.spec.series[index];
      return ring?.survey(from, to, { periodMs: series.periodMs, hold }, this.known(series, scene)) ?? { lo: Infinity, hi: -Infinity, gaps: [], any: false };
    });
    const withData = this.surveys.filter((survey) => survey.any);
    this.range = this.valuesShown();
    chart.draw(
      scene.span, this.range,
      rings.map((ring, index) => ({ ring, gaps: this.surveys[index].gaps, any: this.surveys[index].any, dimmed: this.emphasised >= 0 && this.emphasised !== index })),
      withData.length > 0 ? commonGaps(withData.map((survey) => survey.gaps)) : [],
    );
    this.rings = rings;
    if (scene.hover === null && scene.clock - this.legendAt >= LEGEND_MS) this.legend(scene.clock);
    this.cover(scene, loading, withData.length > 0);
    if (!loading && scene.clock - this.summaryAt >= SUMMARY_MS) this.summarise(scene);
  }

  /** The gaps that are known without looking at readings. Of a device that is away nothing is known since its last word, not even whether a state still stands. @param {Series} series @param {Scene} scene */
  known(series, scene) {
    const gaps = this.past?.state === 'done' ? this.past.gaps.filter((gap) => gap.series === series.id) : scene.reported(series.id);
    const { device } = series;
    if (series.kind !== 'state' || device.state === 'fresh') return gaps;
    const from = this.app.lastSeen(device) ?? -Infinity;
    return [...gaps, { from, to: Infinity, reason: device.state === 'offline' ? 'offline' : 'silent' }];
  }

  /**
   * How long a drawing has to wait: 0 now, Infinity when nothing to be seen changed.
   * @param {Scene} scene @param {Chart} chart
   */
  waitToDraw(scene, chart) {
    const { span, clock } = scene;
    if (chart.held && this.drawnVersion !== -1) return Infinity;
    let version = this.past ? 1e9 : 0;
    for (const series of this.spec.series) version += scene.ring(series.id)?.version ?? 0;
    const moved = span.from !== this.drawnSpan.from || span.to !== this.drawnSpan.to;
    if (version === this.drawnVersion && !moved) return Infinity;
    const pixelMs = (span.to - span.from) / Math.max(chart.width, 1);
    const least = version === this.drawnVersion && !scene.frozen ? SCROLL_MS : DRAW_MIN_MS;
    const wait = this.drawnAt + Math.min(Math.max(pixelMs / 15, least), DRAW_MAX_MS) - clock;
    if (wait > 0) return wait;
    this.drawnVersion = version;
    this.drawnSpan = span;
    return 0;
  }

  /** @returns {import('../scales.js').Range} */
  valuesShown() {
    const states = this.spec.series[0].states;
    if (states) return [-0.5, Math.max(states.length, 2) - 0.5];
    const lo = Math.min(...this.surveys.map((survey) => survey.lo));
    const hi = Math.max(...this.surveys.map((survey) => survey.hi));
    return valueRange(lo, hi, this.past ? null : this.range);
  }

  /** The newest value of the picked line in what is shown, with its name and, when it is old, its age. @param {Scene} scene */
  bigValue(scene) {
    this.valueDue = false;
    const series = this.spec.series[this.picked];
    const ring = this.rings[this.picked];
    const slot = ring ? ring.slotBefore(scene.span.to) : -1;
    const fromNewest = ring && !scene.frozen && ring.newestTime > -Infinity;
    const value = fromNewest ? ring.newestValue : slot >= 0 && ring ? ring.last[slot] : NaN;
    const { state, lastSeen } = series.device;
    const away = state !== 'fresh' && !scene.frozen;
    this.element.classList.toggle('away', away);
    const age = away && lastSeen !== null ? `${state}, ${formatAge(scene.now - lastSeen)}` : '';
    if (this.headline(value, [age])) this.valueAt = scene.clock;
    // Two places on one card must not differ about the same reading.
    setText(this.items[this.picked].value, formatBesideUnit(value, series));
  }

  /** Sets the big value of the picked line, and what is said beside it. @param {number} value @param {string[]} remarks @returns {boolean} whether the value differs */
  headline(value, remarks) {
    const series = this.spec.series[this.picked];
    const { text, unit } = formatReading(value, series);
    const differs = setText(this.valueElement, text);
    setText(this.unitElement, unit);
    // How much room both take; a unit is set about half as large.
    const chars = text.length + unit.length / 2 + 1;
    if (chars !== this.chars) this.valueElement.style.setProperty('--chars', String(this.chars = chars));
    setText(this.ofElement, [this.items.length > 1 ? this.nameOf(series) : '', ...remarks].filter(Boolean).join(' · '));
    return differs;
  }

  /** The newest values in the legend. @param {number} clock */
  legend(clock) {
    this.legendAt = clock;
    this.items.forEach((item, index) => {
      const series = this.spec.series[index];
      setText(item.value, formatBesideUnit(this.rings[index]?.valueAt(this.drawnSpan.to, []) ?? NaN, series));
      item.button.dataset.state = series.device.state;
    });
  }

  /** Heading and legend at the crosshair: what stood there, or why nothing did. Nothing moves and nothing is covered. @param {Scene} scene @param {number} share */
  readOut(scene, share) {
    const time = this.timeAt(share);
    this.items.forEach((item, index) => {
      const { value, gap } = this.readingAt(time, index);
      setText(item.value, gap ? reasonFor(gap) : formatBesideUnit(value, this.spec.series[index]));
    });
    const { value, gap } = this.readingAt(time, this.picked);
    const { zone } = this.app.screen;
    const why = gap ? `${reasonFor(gap)}, ${formatClock(gap.from, zone)} – ${formatClock(gap.to, zone)}` : '';
    this.headline(value, [this.clockAt(time, scene.now), why]);
  }

  /** @param {number} share of the width */
  timeAt(share) {
    const { from, to } = this.drawnSpan;
    return from + share * (to - from);
  }

  /** A time under the crosshair, as fine as a pixel. @param {number} time @param {number} now */
  clockAt(time, now) {
    const { zone } = this.app.screen;
    const stepMs = (this.drawnSpan.to - this.drawnSpan.from) / (this.chart?.width ?? 300);
    return stepMs >= 60_000 ? formatMoment(time, zone, now) : formatClock(time, zone, Math.min(stepMs, 1000));
  }

  /** @param {number} time @param {number} index @returns {{value: number, gap: import('../types.js').Gap | undefined}} */
  readingAt(time, index) {
    const ring = this.rings[index];
    const gaps = this.surveys[index]?.gaps ?? [];
    const gap = gaps.find((one) => time > one.from && time < one.to);
    return { value: ring && !gap ? ring.valueAt(time, []) : NaN, gap };
  }

  /** What lies over a chart that has nothing to show. @param {Scene} scene @param {boolean} loading @param {boolean} any */
  cover(scene, loading, any) {
    const failed = this.past?.state === 'failed' ? this.past.detail : '';
    const empty = !any && !loading;
    this.veil.hidden = !failed && !empty;
    if (this.veil.hidden) {
      this.newest = 0;
      return;
    }
    const words = failed ? `This range could not be loaded: ${failed}` : scene.frozen ? 'No reading in this range' : `No reading in the last ${scene.rangeName}`;
    setText(find(this.veil, 'p'), words);
    if (!scene.frozen && this.newest === 0) this.findNewest(scene.now);
    const button = /** @type {HTMLElement} */ (find(this.veil, 'button'));
    button.hidden = !failed && (scene.frozen || !(this.newest > 0));
    setText(button, failed ? 'Try again' : `Last reading ${formatMoment(this.newest, this.app.screen.zone, scene.now)}`);
  }

  /** @param {number} now */
  async findNewest(now) {
    this.newest = NaN;
    const { newestReading } = await import('../history.js');
    this.newest = await newestReading(this.spec.series, now);
    this.stale();
  }

  /** The chart in words. @param {Scene} scene */
  summarise(scene) {
    this.summaryAt = scene.clock;
    const lines = this.spec.series.map((series, index) => {
      const { lo, hi, any, gaps } = this.surveys[index];
      if (!any) return `${this.nameOf(series)}: no reading`;
      const gapWords = gaps.length > 0 ? `, ${counted(gaps.length, 'gap')}` : '';
      return series.states
        ? `${this.nameOf(series)}${gapWords}`
        : `${this.nameOf(series)}: from ${formatBesideUnit(lo, series)} to ${formatWithUnit(hi, series)}${gapWords}`;
    });
    this.plotElement.setAttribute('aria-label', `${this.spec.title}, chart. ${lines.join('; ')}. Arrow keys read values.`);
  }

  /** Arrow keys on a focused chart move the crosshair and speak. @param {KeyboardEvent} event */
  moveCrosshair(event) {
    const way = event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : 0;
    if (way === 0 || !this.chart) return;
    event.preventDefault();
    event.stopPropagation();
    const share = Math.min(Math.max((this.page.hoverShare ?? 1) + way * KEY_STEP * (event.shiftKey ? 10 : 1), 0), 1);
    this.page.hover(share, null);
    this.page.frame();
    const time = this.timeAt(share);
    const readings = this.spec.series.map((series, index) => {
      const { value, gap } = this.readingAt(time, index);
      return `${this.nameOf(series)} ${gap ? reasonFor(gap) : formatWithUnit(value, series)}`;
    });
    this.app.say(`${this.clockAt(time, this.app.now())}: ${readings.join(', ')}`);
  }
}

/** @param {import('../types.js').Gap} gap */
function reasonFor(gap) {
  return REASONS.get(gap.reason) ?? clean(gap.reason);
}

/** @param {import('../store.js').CardSpec} a @param {import('../store.js').CardSpec} b */
function sameLines(a, b) {
  return a.series.length === b.series.length && a.series.every((series, index) => {
    const other = b.series[index];
    return series.id === other.id && series.name === other.name && series.device.name === other.device.name && a.colours[index] === b.colours[index]
      && series.states?.join() === other.states?.join();
  });
}
