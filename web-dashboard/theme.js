/**
 * Light or dark: the viewer's choice, kept in this browser, else the system's. Colours live in style.css; the canvas
 * reads them from there, so that there is one palette and not two.
 */

/** @typedef {'auto' | 'light' | 'dark'} Choice */
/** @typedef {{series: string[], grid: string, text: string, hatch: string, font: string}} Colours */

const KEY = 'highwater.theme';
const system = matchMedia('(prefers-color-scheme: light)');

export class Theme {
  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    /** @type {Choice} */
    this.choice = 'auto';
    try {
      const kept = localStorage.getItem(KEY);
      if (kept === 'light' || kept === 'dark') this.choice = kept;
    } catch {
      // Storage may be forbidden; the choice then lasts as long as the page.
    }
    /** @type {Colours} */
    this.colours = { series: [], grid: '', text: '', hatch: '', font: '' };
    system.addEventListener('change', () => this.apply());
    this.apply();
  }

  /** @param {Choice} choice */
  choose(choice) {
    this.choice = choice;
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      // As above.
    }
    this.apply();
  }

  apply() {
    const root = document.documentElement;
    const light = this.choice === 'auto' ? system.matches : this.choice === 'light';
    root.dataset.theme = light ? 'light' : 'dark';
    const style = getComputedStyle(root);
    /** @param {string} name */
    const read = (name) => style.getPropertyValue(name).trim();
    this.colours = {
      series: Array.from({ length: 8 }, (_, index) => read(`--series-${index + 1}`)),
      grid: read('--grid'),
      text: read('--muted'),
      hatch: read('--hatch'),
      font: `${read('--axis-size')} ${read('--font')}`,
    };
    this.changed();
  }
}
