/**
 * When to try again: full jitter over a range that doubles from 0.25 s to 8 s, so that a hundred viewers of a hub
 * that restarted do not all come back in the same instant. It never waits by itself; it only says how long.
 */

export const FIRST_MS = 250;
export const MAX_MS = 8000;

export class Backoff {
  /** @param {() => number} random from 0 to below 1 */
  constructor(random = Math.random) {
    this.random = random;
    /** Attempts since the last success. */
    this.attempt = 0;
  }

  /** @returns {number} milliseconds until the next attempt, which this call counts */
  next() {
    const ceiling = Math.min(MAX_MS, FIRST_MS * 2 ** this.attempt);
    this.attempt += 1;
    return Math.round(this.random() * ceiling);
  }

  reset() {
    this.attempt = 0;
  }
}
