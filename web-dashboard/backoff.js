/**
 * When to try again: full jitter under a ceiling that grows from 0.25 s to 8 s, so that a hundred viewers of a hub that
 * restarted do not all come back in the same instant. The ceiling rests at 2 s for a while: a hub that restarts is
 * back within seconds, and its viewers within two more. It never waits by itself; it only says how long.
 */

export const FIRST_MS = 250;
export const RESTART_MS = 2000;
export const MAX_MS = 8000;
/** About as many attempts as a restart takes. */
const RESTART_ATTEMPTS = 20;

export class Backoff {
  /** @param {() => number} random from 0 to below 1 */
  constructor(random = Math.random) {
    this.random = random;
    /** Attempts since the last success. */
    this.attempt = 0;
  }

  /** @returns {number} milliseconds until the next attempt, which this call counts */
  next() {
    const ceiling = this.attempt < RESTART_ATTEMPTS
      ? Math.min(RESTART_MS, FIRST_MS * 2 ** this.attempt)
      : Math.min(MAX_MS, RESTART_MS * 2 ** (this.attempt - RESTART_ATTEMPTS + 1));
    this.attempt += 1;
    return Math.round(this.random() * ceiling);
  }

  reset() {
    this.attempt = 0;
  }
}
