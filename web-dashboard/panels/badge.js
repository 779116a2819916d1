/**
 * The connection, honestly: one badge in the header with the measured round trip, and the figures behind it.
 */

import { clean } from '../store.js';
import { formatAge } from '../time.js';
import { counted, formatCount, formatRate } from '../units.js';
import { find, setText } from './card.js';

const MIN_MS = 250;

/** @param {number} ms */
function formatMs(ms) {
  return Number.isNaN(ms) ? '–' : `${Math.max(1, Math.round(ms))} ms`;
}

export class Badge {
  /** @param {import('../app.js').App} app */
  constructor(app) {
    this.app = app;
    this.button = /** @type {HTMLElement} */ (find(document, '.badge'));
    this.text = find(this.button, '.badge-text');
    this.details = /** @type {HTMLElement} */ (find(document, '#connection'));
    this.retry = /** @type {HTMLButtonElement} */ (find(this.details, '.retry'));
    this.drawnAt = 0;
    this.retry.addEventListener('click', () => app.live.retryNow());
    this.details.addEventListener('toggle', () => this.draw(performance.now(), true));
  }

  /** @param {number} now the page's clock @param {boolean} [force] */
  draw(now, force = false) {
    if (!force && now - this.drawnAt < MIN_MS) return;
    this.drawnAt = now;
    const { live } = this.app;
    const words = this.words(now);
    setText(this.text, words.short);
    this.button.dataset.state = live.state.kind;
    if (!this.details.matches(':popover-open')) return;
    /** @param {string} name @param {string} value */
    const fact = (name, value) => setText(find(this.details, `[data-fact=${name}]`), value);
    const { traffic } = live;
    const age = this.app.newestAge();
    setText(find(this.details, '.sentence'), words.long);
    fact('p50', formatMs(live.roundTrip(0.5)));
    fact('p99', formatMs(live.roundTrip(0.99)));
    fact('age', age === null ? '–' : age < 10_000 ? formatMs(Math.max(age, 0)) : formatAge(age));
    const measured = traffic.framesPerSecond > 0;
    fact('frames', formatCount(traffic.frames) + (measured ? ` (${traffic.framesPerSecond.toFixed(1)}/s)` : ''));
    fact('merged', formatCount(traffic.merged));
    fact('bytes', measured ? formatRate(traffic.bytesPerSecond) : '–');
    fact('damaged', formatCount(traffic.damaged));
    this.retry.hidden = live.state.kind !== 'reconnecting';
  }

  /** @param {number} now */
  words(now) {
    const { live, hub } = this.app;
    const { state } = live;
    const name = hub ? `${clean(hub.hub)} ${clean(hub.version)}` : location.host;
    if (state.kind === 'live') {
      const trip = live.roundTrip(0.5);
      const word = this.app.screen.frozen ? 'Connected' : 'Live';
      return { short: Number.isNaN(trip) ? word : `${word} · ${formatMs(trip)}`, long: `Connected to ${name}.` };
    }
    if (state.kind === 'stale') {
      const seconds = Math.floor((now - state.since) / 1000);
      return { short: `Stale · ${seconds} s`, long: `Nothing heard from ${name} for ${seconds} s. What is shown may be old.` };
    }
    if (state.kind === 'connecting') return { short: 'Connecting', long: `Connecting to ${name}.` };
    const seconds = Math.ceil((state.at - now) / 1000);
    return {
      short: seconds > 0 ? `Reconnecting in ${seconds} s` : 'Reconnecting',
      long: `${name} does not answer; ${counted(state.attempt, 'attempt')} so far. What is shown is from before. Check that the hub runs and that this machine reaches ${location.host}.`,
    };
  }
}
