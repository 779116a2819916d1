/**
 * The one file that knows uPlot: a time chart that draws rings. uPlot does the axes, the crosshair and the selection;
 * the lines come from the path builder below, straight from the ring's columns. uPlot's own builder wants all series
 * on one set of timestamps and bridges NaN, so gaps would have to be clipped away again: dearer, and a pixel that holds
 * both a reading and a NaN would lose its extremes.
 *
 * uPlot is the classic script that index.html loads; it has run before the first chart is made. Its minified build has
 * no module form, and the readable one alone would take more than half of what a first visit may load.
 *
 * A chart draws what it is told, when it is told. It keeps no readings, no clock and no opinion about live or frozen.
 */

import { FELL, HELD } from '../rings.js';
import { formatTick } from '../time.js';
import { formatAxis } from '../units.js';

/** @typedef {import('../scales.js').Span} Span */
/** @typedef {import('../scales.js').Range} Range */
/** @typedef {import('../types.js').Gap} Gap */
/**
 * @typedef {object} Line
 * @property {import('../rings.js').Ring | null} ring null draws nothing
 * @property {Gap[]} gaps where the line is broken, in time order
 * @property {boolean} any whether there is a reading in the span
 * @property {boolean} dimmed
 */
/**
 * @typedef {object} Options
 * @property {number[]} colours a palette index for each line
 * @property {boolean} steps each value stands until the next one
 * @property {string[]} [states] names of the values 0, 1, …
 * @property {string} unit
 * @property {() => import('../theme.js').Colours} theme
 * @property {() => import('../time.js').Zone} zone
 * @property {(share: number | null) => void} hovered where the pointer is, as a share of the width
 * @property {(span: Span) => void} selected
 * @property {() => void} followed live again
 * @property {(factor: number, at: number) => void} zoomed about a time
 * @property {(share: number) => void} panned by a share of the width
 */

/** uPlot wants data; the path builder does not. */
const NO_DATA = [0, 1];
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Distances between time labels, in milliseconds: what a clock divides into. */
const TIME_STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500,
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND), ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR), ...[1, 2, 5, 10].map((n) => n * DAY),
];
const X_LABEL_PX = 30;
const X_AXIS_PX = 22;
const X_GAP_PX = 6;
const STATE_LABEL_MAX = 9;
/** Below the plot: what one line among others has no data for. In the plot it would look like data. */
const LANE_PX = 5;
/** State lines of several devices are set apart by this, so that equal states stay visible. */
const LIFT_PX = 2;
const WHEEL_STEP = 0.0015;
const DRAG_MIN_PX = 8;

/** @type {Map<string, CanvasPattern | null>} */
const hatches = new Map();

/** Diagonal lines in a colour. @param {string} colour */
function hatch(colour) {
  const known = hatches.get(colour);
  if (known !== undefined) return known;
  const tile = new OffscreenCanvas(8, 8);
  const context = tile.getContext('2d');
  let pattern = null;
  if (context) {
    context.strokeStyle = colour;
    context.beginPath();
    for (const shift of [-8, 0, 8]) {
      context.moveTo(shift - 1, 9);
      context.lineTo(shift + 9, -1);
    }
    context.stroke();
    pattern = context.createPattern(tile, 'repeat');
  }
  hatches.set(colour, pattern);
  return pattern;
}

/**
 * The path of one line, in canvas pixels.
 * @param {Line & {ring: import('../rings.js').Ring}} line @param {Span} span
 * @param {(time: number) => number} xOf @param {(value: number) => number} yOf @param {boolean} steps
 */
function trace({ ring, gaps }, span, xOf, yOf, steps) {
  const stroke = new Path2D();
  const envelope = ring.reduced && !steps ? new Path2D() : null;
  /** @type {number[]} x, high, low of the segment's buckets */
  let segment = [];
  const { slots, mark, lo, hi, last, time } = ring;
  const [first, end] = ring.buckets(span.from, span.to);
  const before = ring.slotBefore(first * ring.stepMs - 1);
  let previous = NaN;
  let x = NaN;
  let y = NaN;
  let points = 0;
  let gap = 0;

  const finish = () => {
    // One lonely reading has no line; it must be seen nevertheless.
    if (points === 1 && previous >= span.from) stroke.rect(x - 1, y - 1, 2, 2);
    if (envelope) closeEnvelope(envelope, segment);
    segment = [];
    points = 0;
  };
  /** @param {number} nextX @param {number} nextY */
  const go = (nextX, nextY) => {
    if (points === 0) stroke.moveTo(nextX, nextY);
    else if (nextX !== x || nextY !== y) stroke.lineTo(nextX, nextY);
    else return;
    points++;
    x = nextX;
    y = nextY;
  };
  /** @param {number} i */
  const visit = (i) => {
    while (gap < gaps.length && gaps[gap].to <= previous) gap++;
    if (gap < gaps.length && gaps[gap].from < time[i] && previous < time[i]) {
      if (steps && points > 0) go(xOf(Math.max(gaps[gap].from, previous)), y);
      finish();
    }
    previous = time[i];
    // A state may stand since long before the left edge; so far out a canvas is not exact.
    const at = steps ? Math.max(xOf(previous), xOf(span.from) - 2) : xOf(previous);
    if (steps) {
      if (points > 0) go(at, y);
      go(at, yOf(last[i]));
    } else if (envelope) {
      segment.push(at, yOf(hi[i]), yOf(lo[i]));
      go(at, yOf(last[i]));
    } else {
      const fell = mark[i] & FELL;
      go(at, yOf(fell ? hi[i] : lo[i]));
      if (lo[i] !== hi[i]) go(at, yOf(fell ? lo[i] : hi[i]));
    }
  };

  if (before >= 0) visit(before);
  for (let b = first, i = first % slots; b <= end; b++) {
    if (mark[i] & HELD) visit(i);
    if (++i === slots) i = 0;
  }
  // The line runs on to the next reading beyond the right edge, or, for a state, to the edge or the end of what is known.
  for (let b = end + 1; b <= ring.head; b++) {
    if (mark[b % slots] & HELD) {
      visit(b % slots);
      break;
    }
  }
  if (steps && points > 0) go(xOf(Math.max(previous, gaps.find((other) => other.to >= span.to)?.from ?? span.to)), y);
  finish();
  return { stroke, fill: envelope, clip: null, band: null, flags: 0 };
}

/** @param {Path2D} path @param {number[]} segment */
function closeEnvelope(path, segment) {
  if (segment.length === 0) return;
  path.moveTo(segment[0], segment[1]);
  for (let i = 3; i < segment.length; i += 3) path.lineTo(segment[i], segment[i + 1]);
  for (let i = segment.length - 3; i >= 0; i -= 3) path.lineTo(segment[i], segment[i + 2]);
  path.closePath();
}

export class Chart {
  /** @param {HTMLElement} host @param {Options} options */
  constructor(host, options) {
    this.host = host;
    this.options = options;
    /** @type {Span} */
    this.span = { from: 0, to: 1 };
    /** @type {Range} */
    this.range = [0, 1];
    /** @type {Line[]} */
    this.lines = [];
    /** @type {Gap[]} */
    this.commonGaps = [];
    /** The lines that miss something the others have. @type {number[]} */
    this.lanes = [];
    /** There is no reading: a value axis would be made up. */
    this.blank = true;
    /** The pointer holds the chart: it must not move. */
    this.held = false;
    this.placing = false;
    this.listening = new AbortController();
    this.plot = new uPlot(this.plotOptions(), [NO_DATA, ...options.colours.map(() => NO_DATA)], host);
    this.listen();
  }

  /** The plot area's width in CSS pixels. */
  get width() {
    // From uPlot's own figures: asking the document would force a layout in every frame.
    return this.plot.bbox.width / devicePixelRatio;
  }

  /**
   * @param {Span} span @param {Range} range @param {Line[]} lines one for each colour
   * @param {Gap[]} commonGaps where no line has data
   */
  draw(span, range, lines, commonGaps) {
    this.span = span;
    this.range = range;
    this.lines = lines;
    this.commonGaps = commonGaps;
    this.blank = lines.every((line) => !line.any);
    this.lanes = lines.length < 2 ? [] : lines.flatMap((line, index) => (line.gaps.some((gap) => !mostlyIn(gap, commonGaps)) ? [index] : []));
    this.plot.axes[0].gap = X_GAP_PX + this.lanes.length * LANE_PX;
    lines.forEach((line, index) => { this.plot.series[index + 1].alpha = line.dimmed ? 0.25 : 1; });
    this.plot.setScale('x', { min: span.from, max: span.to });
  }

  /** Draws the same again, in other colours or another zone. */
  redraw() {
    this.plot.redraw(false, true);
  }

  /** Shows the crosshair at a share of the width, or hides it. @param {number | null} share */
  crosshair(share) {
    this.placing = true;
    this.plot.setCursor({ left: share === null ? -10 : share * this.width, top: share === null ? -10 : 1 });
    this.placing = false;
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (width > 0 && height > 0) this.plot.setSize({ width, height });
  }

  destroy() {
    this.listening.abort();
    this.plot.destroy();
  }

  /** @returns {uPlot.Options} */
  plotOptions() {
    const { options } = this;
    const theme = options.theme;
    const { states, unit } = options;
    const font = theme().font;
    const grid = { stroke: () => theme().grid, width: 1 / devicePixelRatio };
    return {
      width: Math.max(this.host.clientWidth, 60),
      height: Math.max(this.host.clientHeight, 60),
      ms: 1,
      padding: [6, 1, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: true },
        y: { range: () => this.range },
      },
      tzDate: (time) => (options.zone() === 'utc' ? uPlot.tzDate(new Date(time), 'Etc/UTC') : new Date(time)),
      axes: [
        {
          stroke: () => theme().text, font, grid, ticks: { show: false }, gap: X_GAP_PX, incrs: TIME_STEPS,
          size: () => X_AXIS_PX + this.lanes.length * LANE_PX,
          space: (_plot, _axis, from, to) => (to - from > 4 * MINUTE ? 46 : 62),
          // A label that would be cut off at the border is left out.
          values: (plot, splits, _axis, _space, step) => splits.map((time) => (
            fitsWithin(plot.valToPos(time, 'x'), this.width) ? formatTick(time, options.zone(), step) : '')),
        },
        {
          stroke: () => theme().text, font, grid, ticks: { show: false }, gap: 6, space: 21,
          size: (_plot, labels) => Math.max(38, 12 + 6.5 * Math.max(0, ...(labels ?? []).map((label) => String(label).length))),
          splits: states && (() => states.map((_, index) => index)),
          values: (_plot, splits, _axis, _space, step) => {
            if (states) return splits.map((value) => (states[value] ?? '').slice(0, STATE_LABEL_MAX));
            return this.blank ? splits.map(() => '') : formatAxis(splits, step, unit);
          },
        },
      ],
      series: [{}, ...options.colours.map((colour, index) => this.seriesOptions(colour, index))],
      cursor: {
        x: true, y: false, points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: DRAG_MIN_PX },
        bind: { dblclick: () => () => { options.followed(); return null; } },
      },
      hooks: {
        drawAxes: [(plot) => this.drawGaps(plot)],
        setCursor: [(plot) => {
          const left = plot.cursor.left ?? -1;
          if (!this.placing) options.hovered(left >= 0 ? left / this.width : null);
        }],
        setSelect: [(plot) => {
          const { left, width } = plot.select;
          if (width === 0) return;
          options.selected({ from: Math.round(plot.posToVal(left, 'x')), to: Math.round(plot.posToVal(left + width, 'x')) });
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
      },
    };
  }

  /** @param {number} colour @param {number} index @returns {uPlot.Series} */
  seriesOptions(colour, index) {
    const { theme, steps } = this.options;
    return {
      // One device pixel: without a GPU a wider line costs four times as much.
      width: 1 / devicePixelRatio,
      stroke: () => theme().series[colour],
      fill: () => `${theme().series[colour]}33`,
      points: { show: false },
      paths: (plot) => {
        const line = this.lines[index];
        if (!line?.ring) return null;
        const { left, top, width, height } = plot.bbox;
        const { from, to } = this.span;
        const [min, max] = this.range;
        const xScale = width / (to - from);
        const yScale = height / (max - min);
        const lift = steps ? Math.round((index - (this.lines.length - 1) / 2) * LIFT_PX * devicePixelRatio) : 0;
        return trace(
          { ...line, ring: line.ring }, this.span,
          (time) => Math.round(left + (time - from) * xScale),
          (value) => Math.round(top + height - (value - min) * yScale) - lift,
          steps,
        );
      },
    };
  }

  /** Hatches what no line has data for, and in a lane below the plot what one line among others has none for. @param {uPlot} plot */
  drawGaps(plot) {
    const { left, top, width, height } = plot.bbox;
    const { from, to } = this.span;
    const { hatch: colour, series } = this.options.theme();
    const context = plot.ctx;
    /** @param {Gap} gap @param {number} y @param {number} h */
    const fill = (gap, y, h) => {
      const start = Math.max(left, Math.round(left + ((gap.from - from) / (to - from)) * width));
      const end = Math.min(left + width, Math.round(left + ((gap.to - from) / (to - from)) * width));
      if (end > start) context.fillRect(start, y, end - start, h);
    };
    context.save();
    context.fillStyle = hatch(colour) ?? colour;
    for (const gap of this.commonGaps) fill(gap, top, height);
    const lane = LANE_PX * devicePixelRatio;
    this.lanes.forEach((index, row) => {
      const shade = series[this.options.colours[index]];
      context.fillStyle = hatch(shade) ?? shade;
      for (const gap of this.lines[index].gaps) fill(gap, Math.round(top + height + lane * row + devicePixelRatio), Math.round(lane - devicePixelRatio));
    });
    context.restore();
  }

  /** Wheel, touch, and dragging the time axis; dragging in the plot is uPlot's selection. */
  listen() {
    const { host, options } = this;
    const { over } = this.plot;
    const { signal } = this.listening;
    /** @param {{clientY: number}} event */
    const onAxis = (event) => event.clientY > over.getBoundingClientRect().bottom;
    /** @param {number} clientX */
    const timeAt = (clientX) => {
      const box = over.getBoundingClientRect();
      return this.span.from + ((clientX - box.left) / box.width) * (this.span.to - this.span.from);
    };
    host.addEventListener('wheel', (event) => {
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      // Over the plot the wheel scrolls the page, as everywhere; on the time axis, or pinching, it zooms.
      if (!sideways && !event.ctrlKey && !onAxis(event)) return;
      event.preventDefault();
      if (sideways) options.panned(event.deltaX / this.width);
      else options.zoomed(Math.exp(event.deltaY * (event.ctrlKey ? 4 : 1) * WHEEL_STEP), timeAt(event.clientX));
    }, { passive: false, signal });

    /** @type {Map<number, {x: number}>} fingers, or the mouse on the axis */
    const pointers = new Map();
    let moved = 0;
    host.addEventListener('pointerdown', (event) => {
      if (event.pointerType === 'mouse' && !onAxis(event)) {
        this.held = true;
        return;
      }
      moved = 0;
      pointers.set(event.pointerId, { x: event.clientX });
    }, { signal });
    /** @param {PointerEvent} event */
    const released = (event) => {
      this.held = false;
      pointers.delete(event.pointerId);
    };
    addEventListener('pointerup', released, { signal });
    addEventListener('pointercancel', released, { signal });
    addEventListener('pointermove', (event) => {
      const pointer = pointers.get(event.pointerId);
      if (!pointer) return;
      const by = event.clientX - pointer.x;
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const before = Math.max(Math.abs(pointer.x - other.x), 10);
        const after = Math.max(Math.abs(event.clientX - other.x), 10);
        options.zoomed(before / after, timeAt((event.clientX + other.x) / 2));
      } else {
        moved += Math.abs(by);
        if (moved > DRAG_MIN_PX) options.panned(-by / this.width);
      }
      pointer.x = event.clientX;
    }, { signal });
  }
}

/** Whether a gap is already shown by the hatching. @param {Gap} gap @param {Gap[]} common */
function mostlyIn(gap, common) {
  return common.some((other) => Math.min(gap.to, other.to) - Math.max(gap.from, other.from) > 0.8 * (gap.to - gap.from));
}

/** @param {number} position @param {number} width */
function fitsWithin(position, width) {
  return position >= 0 && position <= width - X_LABEL_PX + 4;
}
