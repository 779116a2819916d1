/**
 * What the live screen remembers: for each series a fixed window of time in columns, and the window that a subscription
 * fills. A ring is a row of buckets about as wide as a pixel; a bucket keeps the lowest, highest and last of its
 * readings, so memory and drawing cost depend on the pixels, never on the rate. It takes readings in any order, is
 * allocated once, and never interpolates: an empty bucket stays empty.
 */

/** @typedef {import('./types.js').Gap} Gap */
/** @typedef {{periodMs?: number, hold: boolean}} Cadence `hold`: without a period, a value stands until the next one, however long that takes */
/** @typedef {{lo: number, hi: number, gaps: Gap[], any: boolean}} Survey */

/** The bucket has a reading. */
export const HELD = 1;
/** The bucket has a measurement the device could not make. */
export const MISSING = 2;
/** The highest reading came before the lowest. */
export const FELL = 4;

/** Silence is a gap after three declared periods; without a declared period, after this many usual distances. */
const PERIODS = 3;
const USUAL_DISTANCES = 8;
/** What is closer than so many buckets is never a gap. */
const BUCKETS_MIN = 4;
/** Of each 100 ms of a fast series the hub sends three points, so two neighbours may be 200 ms apart. */
const LIVE_APART_MS = 300;
/** The hub reduces history to three points a bucket, however wide; this times the width is never between two. */
const HISTORY_APART = 1.25;
const HISTORY_ROWS_MIN = 12;

export class Ring {
  /** @param {number} stepMs width of a bucket @param {number} slots how many buckets are kept */
  constructor(stepMs, slots) {
    this.stepMs = stepMs;
    this.slots = slots;
    // One place more than there are buckets: the newest reading that is older than all of them. A state that has not
    // changed since still stands, and a silence is known to have begun there.
    this.lo = new Float64Array(slots + 1);
    this.hi = new Float64Array(slots + 1);
    /** The reading with the latest time, and that time. */
    this.last = new Float64Array(slots + 1);
    this.time = new Float64Array(slots + 1);
    this.mark = new Uint8Array(slots + 1);
    /** The newest bucket, counted from the epoch. */
    this.head = -1;
    this.newestTime = -Infinity;
    this.newestValue = NaN;
    /** Counts changes, so that a chart knows whether it is out of date. */
    this.version = 0;
    /** Buckets came reduced: `last` is their mean, and the space between `lo` and `hi` is an envelope. */
    this.reduced = false;
    /** How far apart two points may be although nothing is missing: what fills the ring has left out others. */
    this.apartMs = 0;
  }

  /** Takes one reading; NaN is a missing measurement. Of what is older than the window only the newest is kept. @param {number} time @param {number} value */
  push(time, value) {
    const slot = this.open(time);
    if (slot < 0) {
      this.carry(time, value);
      return;
    }
    this.version++;
    if (time >= this.newestTime) {
      this.newestTime = time;
      this.newestValue = value;
    }
    if (Number.isNaN(value)) {
      this.mark[slot] |= MISSING;
      return;
    }
    if (!(this.mark[slot] & HELD)) {
      this.mark[slot] |= HELD;
      this.lo[slot] = this.hi[slot] = this.last[slot] = value;
      this.time[slot] = time;
      return;
    }
    const later = time >= this.time[slot];
    if (value < this.lo[slot]) {
      this.lo[slot] = value;
      this.mark[slot] = later ? this.mark[slot] | FELL : this.mark[slot] & ~FELL;
    } else if (value > this.hi[slot]) {
      this.hi[slot] = value;
      this.mark[slot] = later ? this.mark[slot] & ~FELL : this.mark[slot] | FELL;
    }
    if (later) {
      this.last[slot] = value;
      this.time[slot] = time;
    }
  }

  /** Takes a bucket that was reduced elsewhere; a NaN mean is a missing measurement. @param {number} time @param {number} lo @param {number} hi @param {number} mean */
  place(time, lo, hi, mean) {
    const slot = this.open(time);
    if (slot < 0) {
      this.carry(time, mean);
      return;
    }
    this.reduced = true;
    this.version++;
    if (time >= this.newestTime) {
      this.newestTime = time;
      this.newestValue = mean;
    }
    if (Number.isNaN(mean)) {
      this.mark[slot] = MISSING;
      return;
    }
    this.mark[slot] = HELD;
    this.lo[slot] = lo;
    this.hi[slot] = hi;
    this.last[slot] = mean;
    this.time[slot] = time;
  }

  /** The slot of a time, moving the window on where needed; −1 when the window has passed it. @param {number} time */
  open(time) {
    const bucket = Math.floor(time / this.stepMs);
    if (bucket > this.head) {
      const fresh = Math.min(bucket - this.head, this.slots);
      for (let b = bucket - fresh + 1, i = b % this.slots; b <= bucket; b++) {
        if (this.mark[i] & HELD) this.carry(this.time[i], this.last[i]);
        this.mark[i] = 0;
        if (++i === this.slots) i = 0;
      }
      this.head = bucket;
    } else if (bucket <= this.head - this.slots) {
      return -1;
    }
    return bucket % this.slots;
  }

  /** Keeps a reading that is older than all buckets, if it is the newest of those. @param {number} time @param {number} value */
  carry(time, value) {
    const { slots } = this;
    if (Number.isNaN(value) || (this.mark[slots] & HELD && this.time[slots] > time)) return;
    this.mark[slots] = HELD;
    this.lo[slots] = this.hi[slots] = this.last[slots] = value;
    this.time[slots] = time;
    if (time >= this.newestTime) {
      this.newestTime = time;
      this.newestValue = value;
    }
    this.version++;
  }

  /** The buckets that are kept within a time range, as [first, last]; first > last when there are none. @param {number} from @param {number} to */
  buckets(from, to) {
    return [
      Math.max(Math.floor(from / this.stepMs), this.head - this.slots + 1, 0),
      Math.min(Math.floor(to / this.stepMs), this.head),
    ];
  }

  /**
   * Looks through a time range: the extremes, and where there is no data and why.
   * @param {number} from @param {number} to @param {Cadence} cadence @param {Gap[]} reported gaps the hub knows of
   * @returns {Survey}
   */
  survey(from, to, cadence, reported) {
    const [first, last] = this.buckets(from, to);
    let lo = Infinity;
    let hi = -Infinity;
    let held = 0;
    let start = 0;
    let end = 0;
    for (let b = first, i = first % this.slots; b <= last; b++) {
      if (this.mark[i] & HELD) {
        if (this.lo[i] < lo) lo = this.lo[i];
        if (this.hi[i] > hi) hi = this.hi[i];
        if (held++ === 0) start = this.time[i];
        end = this.time[i];
      }
      if (++i === this.slots) i = 0;
    }
    const usual = held > 1 ? (end - start) / (held - 1) : Infinity;
    const patience = Math.max(
      cadence.periodMs ? PERIODS * cadence.periodMs : USUAL_DISTANCES * usual,
      BUCKETS_MIN * this.stepMs,
      this.apartMs,
    );
    const gaps = this.gaps(first, last, from, to, cadence.hold && !cadence.periodMs ? Infinity : patience, reported);
    const before = cadence.hold ? this.slotBefore(from) : -1;
    // A value that stands since before the range is in it, unless nothing has been known all the while.
    const stands = before >= 0 && !gaps.some((gap) => gap.from <= from && gap.to >= to);
    if (stands) {
      lo = Math.min(lo, this.last[before]);
      hi = Math.max(hi, this.last[before]);
    }
    return { lo, hi, gaps, any: held > 0 || stands };
  }

  /**
   * @param {number} first @param {number} last @param {number} from @param {number} to
   * @param {number} patience silence longer than this is a gap @param {Gap[]} reported
   */
  gaps(first, last, from, to, patience, reported) {
    /** @type {Gap[]} */
    const gaps = [];
    // Silence that began before the range is silence in it.
    const before = this.slotBefore(first * this.stepMs - 1);
    let previous = before < 0 ? NaN : this.time[before];
    let missing = false;
    for (let b = first, i = first % this.slots; b <= last; b++) {
      const mark = this.mark[i];
      if (mark & HELD) {
        if (missing || this.time[i] - previous > patience) {
          gaps.push({ from: previous, to: this.time[i], reason: missing ? 'missing' : 'silent' });
        }
        previous = this.time[i];
        missing = false;
      } else if (mark & MISSING && !Number.isNaN(previous)) {
        missing = true;
      }
      if (++i === this.slots) i = 0;
    }
    if (!Number.isNaN(previous) && (missing || to - previous > patience)) {
      gaps.push({ from: previous, to, reason: missing ? 'missing' : 'silent' });
    }
    // A reported gap explains the silence it covers; where readings surround it closely it still breaks the line.
    for (const gap of reported) {
      if (gap.to < from || gap.from > to) continue;
      const silent = gaps.find((other) => other.reason === 'silent' && gap.from < other.to && gap.to > other.from);
      if (silent) silent.reason = gap.reason;
      else gaps.push({ from: Math.max(gap.from, from), to: Math.min(gap.to, to), reason: gap.reason });
    }
    return gaps.sort((a, b) => a.from - b.from);
  }

  /** The place of the newest reading at or before a time; −1 when there is none. @param {number} time */
  slotBefore(time) {
    const [, bucket] = this.buckets(time, time);
    const oldest = Math.max(this.head - this.slots + 1, 0);
    for (let b = bucket; b >= oldest; b--) {
      const slot = b % this.slots;
      if (this.mark[slot] & HELD) return slot;
    }
    return this.mark[this.slots] & HELD && this.time[this.slots] <= time ? this.slots : -1;
  }

  /** What stood at a time: NaN before the first reading and within a gap. @param {number} time @param {Gap[]} gaps */
  valueAt(time, gaps) {
    // Within one bucket of the pointer counts as at it: a bucket is about a pixel.
    const slot = this.slotBefore(time + this.stepMs / 2);
    if (slot < 0) return NaN;
    return gaps.some((gap) => time > gap.from && time < gap.to) ? NaN : this.last[slot];
  }

  /** A copy that later readings do not touch. */
  copy() {
    const copy = new Ring(this.stepMs, this.slots);
    copy.lo.set(this.lo);
    copy.hi.set(this.hi);
    copy.last.set(this.last);
    copy.time.set(this.time);
    copy.mark.set(this.mark);
    copy.head = this.head;
    copy.newestTime = this.newestTime;
    copy.newestValue = this.newestValue;
    copy.version = this.version;
    copy.reduced = this.reduced;
    copy.apartMs = this.apartMs;
    return copy;
  }
}

/**
 * Where none of several lines has data: the stretches that are a gap in every list.
 * @param {Gap[][]} lists each in time order
 * @returns {Gap[]}
 */
export function commonGaps(lists) {
  return lists.reduce((common, list) => common.flatMap((gap) => list
    .filter((other) => other.from < gap.to && other.to > gap.from)
    .map((other) => ({
      from: Math.max(gap.from, other.from),
      to: Math.min(gap.to, other.to),
      reason: gap.reason === 'silent' ? other.reason : gap.reason,
    }))));
}

/** The series of one snapshot: their rings and the gaps the hub reported. */
class Filling {
  /** @param {import('./types.js').Snapshot} snapshot @param {number} stepMs @param {number} slots */
  constructor(snapshot, stepMs, slots) {
    this.stream = snapshot.stream;
    /** @type {Map<number, Ring>} */
    this.rings = new Map(snapshot.series.map((series) => [series.id, new Ring(stepMs, slots)]));
    /** @type {Map<number, Gap[]>} */
    this.gaps = new Map();
  }
}

/** @type {Gap[]} */
const NO_GAPS = [];

/**
 * The window that the page's subscriptions fill together. A new snapshot is gathered beside the old one of its
 * subscription and replaces it when it is complete: nothing blinks, and nothing stale survives.
 */
export class LiveWindow {
  constructor() {
    this.stepMs = 500;
    this.slots = 608;
    /** Counts complete snapshots. */
    this.generation = 0;
    /** @type {Map<number, Ring>} by series: what is shown */
    this.rings = new Map();
    /** @type {Map<number, Gap[]>} */
    this.reported = new Map();
    /** @type {Map<number, Filling>} by subscription: its complete snapshot */
    this.shown = new Map();
    /** @type {Map<number, Filling>} by subscription: a snapshot whose history is still coming in */
    this.coming = new Map();
  }

  /** How wide the buckets of the next snapshots are. @param {number} windowMs @param {number} buckets */
  resize(windowMs, buckets) {
    this.stepMs = windowMs / buckets;
    // A little more than the window: its left edge must not empty between two frames.
    this.slots = buckets + 8;
  }

  /** @param {import('./types.js').Snapshot} snapshot */
  begin(snapshot) {
    this.coming.set(snapshot.id, new Filling(snapshot, this.stepMs, this.slots));
  }

  /** @param {import('./types.js').SnapshotEnd} end */
  end(end) {
    const filling = this.coming.get(end.id);
    if (filling?.stream !== end.stream) return;
    for (const { series, from, to, reason } of end.gaps) {
      const gaps = filling.gaps.get(series);
      if (gaps) gaps.push({ from, to, reason });
      else filling.gaps.set(series, [{ from, to, reason }]);
    }
    this.coming.delete(end.id);
    this.shown.set(end.id, filling);
    this.join();
  }

  /** Drops what a subscription brought. @param {number} id */
  forget(id) {
    this.coming.delete(id);
    if (this.shown.delete(id)) this.join();
  }

  join() {
    const fillings = [...this.shown.values()];
    this.rings = new Map(fillings.flatMap((filling) => [...filling.rings]));
    this.reported = new Map(fillings.flatMap((filling) => [...filling.gaps]));
    this.generation++;
  }

  /** Puts the rows of a frame into their rings. @param {import('./types.js').DataFrame} frame @returns {boolean} whether it changed what is shown */
  take(frame) {
    let taken = false;
    for (const filling of this.coming.values()) if (filling.stream === frame.stream) pour(frame, filling.rings, true);
    for (const filling of this.shown.values()) {
      if (filling.stream !== frame.stream) continue;
      pour(frame, filling.rings, false);
      taken = true;
    }
    return taken;
  }

  /** @param {number} series @returns {Ring | null} */
  ring(series) {
    return this.rings.get(series) ?? null;
  }

  /** @param {number} series */
  gaps(series) {
    return this.reported.get(series) ?? NO_GAPS;
  }

  /** A copy for a frozen view, which no later reading changes. @returns {LiveWindow} */
  copy() {
    const copy = new LiveWindow();
    copy.stepMs = this.stepMs;
    copy.slots = this.slots;
    copy.generation = this.generation;
    copy.rings = new Map([...this.rings].map(([id, ring]) => [id, ring.copy()]));
    copy.reported = new Map(this.reported);
    return copy;
  }
}

/** @param {import('./types.js').DataFrame} frame @param {Map<number, Ring>} rings @param {boolean} isHistory */
function pour({ t0, ids, counts, dt, values }, rings, isHistory) {
  for (let s = 0, row = 0; s < ids.length; s++) {
    const end = row + counts[s];
    const ring = rings.get(ids[s]);
    if (ring) {
      for (let r = row; r < end; r++) ring.push(t0 + dt[r], values[r]);
      const apart = isHistory && counts[s] >= HISTORY_ROWS_MIN ? HISTORY_APART * bucketWidth(dt.subarray(row, end)) : 0;
      ring.apartMs = Math.max(ring.apartMs, apart, LIVE_APART_MS);
    }
    row = end;
  }
}

/** The width of the buckets that times come from, three each: the usual distance to the third next. @param {Uint32Array} times */
function bucketWidth(times) {
  const widths = times.slice(3).map((time, i) => time - times[i]).sort();
  return widths[widths.length >> 1];
}
