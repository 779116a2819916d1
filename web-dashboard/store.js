/**
 * The catalogue as the page knows it: devices, their channels, their state; and how series are laid out on cards.
 * This is the one place where text from the hub enters: it is cleaned here, and shown with `textContent` only.
 */

/** @typedef {import('./types.js').DeviceState} DeviceState */
/**
 * @typedef {object} Series
 * @property {number} id
 * @property {string} key `device/channel`, as selectors and queries name it
 * @property {Device} device
 * @property {string} channel
 * @property {string} name
 * @property {string} unit
 * @property {import('./types.js').Kind} kind
 * @property {number} [decimals]
 * @property {number} [periodMs]
 * @property {string[]} [states]
 */
/**
 * @typedef {object} Device
 * @property {string} id
 * @property {string} title what it calls itself
 * @property {string} name what it is called here, where no other is called so
 * @property {string} model
 * @property {string} firmware
 * @property {[string, string][]} labels
 * @property {DeviceState} state
 * @property {number | null} lastSeen
 * @property {boolean} connected
 * @property {Series[]} series
 */
/**
 * @typedef {object} CardSpec
 * @property {string} key the same for the same card, however the catalogue changes
 * @property {string} section what cards are grouped under when there are many
 * @property {string} title
 * @property {string} part which devices, when a quantity needs several cards
 * @property {string} unit
 * @property {Series[]} series at most `SERIES_PER_CARD`
 * @property {number[]} colours a palette index for each series
 */

export const SERIES_PER_CARD = 8;
const TEXT_MAX = 128;

const natural = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

/** Takes out control and bidirectional characters, and cuts what is too long. @param {unknown} text */
export function clean(text) {
  if (typeof text !== 'string') return '';
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, '').trim();
  return plain.length > TEXT_MAX ? `${plain.slice(0, TEXT_MAX - 1)}…` : plain;
}

/** @param {unknown} state @returns {DeviceState} */
function deviceState(state) {
  return state === 'fresh' || state === 'overdue' ? state : 'offline';
}

export class Catalogue {
  constructor() {
    /** @type {Map<string, Device>} */
    this.byId = new Map();
    /** @type {Device[]} in natural order of their names */
    this.devices = [];
    /** @type {Map<number, Series>} */
    this.series = new Map();
    /** Whether the hub has said what it knows. */
    this.known = false;
    /** Counts changes of which devices and series exist, and how they are called. */
    this.shape = 0;
    /** Counts changes of states and sightings. */
    this.states = 0;
  }

  /** @param {import('./types.js').CatalogueMessage} message */
  apply(message) {
    if (message.full) this.byId.clear();
    for (const id of message.removed ?? []) this.byId.delete(id);
    for (const row of message.devices) this.byId.set(row.id, readDevice(row));
    nameApart([...this.byId.values()]);
    this.devices = [...this.byId.values()].sort((a, b) => natural.compare(a.name, b.name));
    this.series = new Map(this.devices.flatMap((device) => device.series.map((series) => [series.id, series])));
    this.known = true;
    this.shape++;
    this.states++;
  }

  /** @param {import('./types.js').DevicesMessage} message */
  applyStates(message) {
    for (const row of message.devices) {
      const device = this.byId.get(row.id);
      if (!device) continue;
      device.state = deviceState(row.state);
      device.lastSeen = row.last_seen ?? device.lastSeen;
      device.connected = row.connected;
    }
    this.states++;
  }

  /**
   * The series that pass the filters, device by device.
   * @param {readonly string[]} devices empty: all @param {string} search
   */
  matching(devices, search) {
    const wanted = new Set(devices);
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    return this.devices
      .filter((device) => wanted.size === 0 || wanted.has(device.id))
      .flatMap((device) => device.series)
      .filter((series) => matches(series, words));
  }
}

/** Devices that are called alike are told apart by their ids. @param {Device[]} devices */
function nameApart(devices) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { title } of devices) counts.set(title, (counts.get(title) ?? 0) + 1);
  for (const device of devices) device.name = counts.get(device.title) === 1 ? device.title : `${device.title} (${clean(device.id)})`;
}

/** @param {import('./types.js').DeviceRow} row @returns {Device} */
function readDevice(row) {
  const title = clean(row.title) || clean(row.id) || '(no name)';
  /** @type {Device} */
  const device = {
    id: row.id,
    title,
    name: title,
    model: clean(row.model),
    firmware: clean(row.firmware),
    labels: Object.entries(row.labels ?? {}).map(([key, value]) => [clean(key), clean(value)]),
    state: deviceState(row.state),
    lastSeen: row.last_seen ?? null,
    connected: Boolean(row.connected),
    series: [],
  };
  device.series = row.channels.map((channel) => ({
    id: channel.series,
    key: `${row.id}/${channel.channel}`,
    device,
    channel: clean(channel.channel),
    name: clean(channel.title) || clean(channel.channel),
    unit: clean(channel.unit),
    kind: channel.kind,
    decimals: channel.decimals,
    periodMs: channel.period_ms,
    states: channel.kind === 'state' && channel.states ? channel.states.map(clean) : undefined,
  }));
  return device;
}

/** Every word must be found somewhere in the series' names or labels. @param {Series} series @param {string[]} words */
function matches(series, words) {
  if (words.length === 0) return true;
  const { device } = series;
  const text = [series.name, series.channel, series.unit, device.name, device.id, ...device.labels.flat()].join(' ').toLowerCase();
  return words.every((word) => text.includes(word));
}

/**
 * Lays series out on cards: one card for a quantity (channel and unit) over its devices, or for a device over its
 * channels of one unit; never more than eight lines on one.
 * @param {Series[]} series @param {'quantity' | 'device'} group @param {Device[]} devices all devices, for steady colours
 * @returns {CardSpec[]}
 */
export function arrange(series, group, devices) {
  /** @type {Map<string, Series[]>} */
  const piles = new Map();
  for (const one of series) {
    const scale = `${one.kind}\u0000${one.unit}\u0000${one.states?.join('\u0000') ?? ''}`;
    const key = group === 'quantity' ? `${one.channel}\u0000${scale}` : `${one.device.id}\u0000${one.unit ? scale : one.key}`;
    const pile = piles.get(key);
    if (pile) pile.push(one);
    else piles.set(key, [one]);
  }
  const order = new Map(devices.map((device, index) => [device, index]));
  return [...piles].flatMap(([key, pile]) => {
    const names = [...new Set(pile.map((one) => one.name))];
    const cards = [];
    for (let start = 0; start < pile.length; start += SERIES_PER_CARD) {
      const some = pile.slice(start, start + SERIES_PER_CARD);
      const preferred = some.map((one, index) => (group === 'quantity' ? order.get(one.device) ?? index : index));
      cards.push({
        key: `${group}\u0000${key}\u0000${start}`,
        section: group === 'quantity' ? sharedName(names) || pile[0].channel : pile[0].device.name,
        title: group === 'quantity' ? sharedName(names) || pile[0].channel : pile[0].device.name,
        part: group === 'device' ? names.join(', ') : pile.length > SERIES_PER_CARD ? `${start + 1}–${start + some.length} of ${pile.length}` : '',
        unit: pile[0].unit,
        series: some,
        colours: colourSlots(preferred),
      });
    }
    return cards;
  });
}

/**
 * What several devices call one channel: the words their names end with. "Room temperature" and "Air temperature" are
 * both a temperature; to call them by either name would be wrong.
 * @param {string[]} names different ones, at least one
 */
export function sharedName(names) {
  if (names.length === 1) return names[0];
  const ends = names.map((name) => name.toLowerCase().split(' ').reverse());
  let same = 0;
  while (same < ends[0].length && ends.every((words) => words[same] === ends[0][same])) same++;
  const text = ends[0].slice(0, same).reverse().join(' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Each wish modulo the palette where that is free, else the next free one. @param {number[]} wishes */
export function colourSlots(wishes) {
  const taken = new Set();
  return wishes.map((wish) => {
    let slot = wish % SERIES_PER_CARD;
    while (taken.has(slot)) slot = (slot + 1) % SERIES_PER_CARD;
    taken.add(slot);
    return slot;
  });
}
