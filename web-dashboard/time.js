/**
 * Times and durations as people read them, in the viewer's zone or in UTC. Everything takes milliseconds.
 * Nothing here reads a clock.
 */

/** @typedef {'local' | 'utc'} Zone */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** @param {number} number */
const two = (number) => String(number).padStart(2, '0');

/**
 * A time of day, as fine as asked: tenths below one second, minutes from one minute on.
 * @param {number} time @param {Zone} zone @param {number} stepMs the distance that must be told apart
 */
export function formatClock(time, zone, stepMs = SECOND) {
  const date = new Date(time);
  const utc = zone === 'utc';
  const minutes = `${two(utc ? date.getUTCHours() : date.getHours())}:${two(utc ? date.getUTCMinutes() : date.getMinutes())}`;
  if (stepMs >= MINUTE) return minutes;
  const seconds = `${minutes}:${two(date.getUTCSeconds())}`;
  if (stepMs >= SECOND) return seconds;
  const fraction = String(date.getUTCMilliseconds()).padStart(3, '0');
  return `${seconds}.${stepMs >= 100 ? fraction[0] : fraction}`;
}

/** A day, such as "20 Nov". @param {number} time @param {Zone} zone */
export function formatDay(time, zone) {
  const date = new Date(time);
  return zone === 'utc' ? `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}` : `${date.getDate()} ${MONTHS[date.getMonth()]}`;
}

/**
 * A label for a time axis: the day where a day begins, else the time of day.
 * @param {number} time @param {Zone} zone @param {number} stepMs distance between labels
 */
export function formatTick(time, zone, stepMs) {
  const clock = formatClock(time, zone, stepMs);
  return stepMs >= DAY || (stepMs >= MINUTE && clock === '00:00') ? formatDay(time, zone) : clock;
}

/** A time in full, for a gap or a last sighting: with the day when that is not today's. @param {number} time @param {Zone} zone @param {number} now */
export function formatMoment(time, zone, now) {
  const day = formatDay(time, zone);
  return day === formatDay(now, zone) && Math.abs(now - time) < 2 * DAY ? formatClock(time, zone) : `${day} ${formatClock(time, zone)}`;
}

/** An age in one unit: "now", "8 s", "3 min", "5 h", "12 d". @param {number} age */
export function formatAge(age) {
  if (age < 2 * SECOND) return 'now';
  if (age < 2 * MINUTE) return `${Math.floor(age / SECOND)} s`;
  if (age < 2 * HOUR) return `${Math.floor(age / MINUTE)} min`;
  if (age < 2 * DAY) return `${Math.floor(age / HOUR)} h`;
  return `${Math.floor(age / DAY)} d`;
}

/** A duration in at most two units: "42 s", "2 min 14 s", "3 h 5 min". @param {number} span */
export function formatSpan(span) {
  const seconds = Math.max(0, Math.floor(span / SECOND));
  if (seconds < 60) return `${seconds} s`;
  const [big, small, bigUnit, smallUnit] = seconds < 3600
    ? [Math.floor(seconds / 60), seconds % 60, 'min', 's']
    : seconds < 86400
      ? [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), 'h', 'min']
      : [Math.floor(seconds / 86400), Math.floor((seconds % 86400) / 3600), 'd', 'h'];
  return small ? `${big} ${bigUnit} ${small} ${smallUnit}` : `${big} ${bigUnit}`;
}

/** The zone's name, as shown: "Europe/Berlin" or "UTC". @param {Zone} zone */
export function zoneName(zone) {
  return zone === 'utc' ? 'UTC' : Intl.DateTimeFormat().resolvedOptions().timeZone;
}
