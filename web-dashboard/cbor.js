/**
 * The live protocol's CBOR (RFC 8949), both ways: definite lengths, text keys, and the three typed arrays of a data
 * frame (RFC 8746). A message the page cannot read comes back as `{kind: 'damaged'}`; nothing here throws at a caller.
 * It never keeps a frame: the columns it gives are views, good until the next call.
 */

/** @typedef {import('./types.js').DataFrame} DataFrame */

const DEPTH_MAX = 12;
const TAG_U16 = 69;
const TAG_U32 = 70;
const TAG_F64 = 86;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const TAG = 6;

const utf8 = new TextDecoder('utf-8', { fatal: true });
const utf8Encoder = new TextEncoder();

/** Copies of misaligned columns land here: one buffer for all frames, so that decoding leaves nothing to collect. */
let scratch = new ArrayBuffer(64 * 1024);
let scratchUsed = 0;

/** What a message is rejected with inside this file. */
class Damaged extends Error {}

class Reader {
  /** @param {ArrayBuffer} buffer */
  constructor(buffer) {
    this.buffer = buffer;
    this.view = new DataView(buffer);
    this.at = 0;
    this.major = 0;
    this.info = 0;
  }

  /** @param {number} length bytes that must still be there */
  need(length) {
    if (length > this.view.byteLength - this.at) throw new Damaged('the message ends too early');
  }

  /** Reads an item's head; the major type is left in `major`. @returns {number} its argument */
  head() {
    this.need(1);
    const first = this.view.getUint8(this.at++);
    this.major = first >> 5;
    this.info = first & 31;
    if (this.info < 24) return this.info;
    if (this.info > 27) throw new Damaged('a length that is not definite');
    const width = 1 << (this.info - 24);
    this.need(width);
    const at = this.at;
    this.at += width;
    if (width === 1) return this.view.getUint8(at);
    if (width === 2) return this.view.getUint16(at);
    if (width === 4) return this.view.getUint32(at);
    if (this.major === 7) return 0;
    const number = this.view.getUint32(at) * 2 ** 32 + this.view.getUint32(at + 4);
    if (number > Number.MAX_SAFE_INTEGER) throw new Damaged('an integer above 2^53 − 1');
    return number;
  }

  /** @returns {number} */
  unsigned() {
    const number = this.head();
    if (this.major !== 0) throw new Damaged('expected an unsigned integer');
    return number;
  }

  /** Any item of a control message. @param {number} depth @returns {any} */
  item(depth) {
    if (depth > DEPTH_MAX) throw new Damaged('nested too deeply');
    const argument = this.head();
    switch (this.major) {
      case 0: return argument;
      case 1: return -1 - argument;
      case BYTES: return this.bytes(argument);
      case TEXT: return this.text(argument);
      case ARRAY: return this.array(argument, depth);
      case MAP: return this.map(argument, depth);
      case TAG: return this.item(depth + 1);
      default: return this.simple(argument);
    }
  }

  /** @param {number} length */
  bytes(length) {
    this.need(length);
    const view = new Uint8Array(this.buffer, this.at, length);
    this.at += length;
    return view;
  }

  /** @param {number} length */
  text(length) {
    try {
      return utf8.decode(this.bytes(length));
    } catch (error) {
      throw error instanceof Damaged ? error : new Damaged('text that is not UTF-8');
    }
  }

  /** @param {number} length @param {number} depth */
  array(length, depth) {
    this.need(length);
    const items = [];
    for (let i = 0; i < length; i++) items.push(this.item(depth + 1));
    return items;
  }

  /** @param {number} length @param {number} depth */
  map(length, depth) {
    this.need(2 * length);
    // Without a prototype, a key such as "__proto__" is only a key.
    const map = Object.create(null);
    for (let i = 0; i < length; i++) {
      const keyLength = this.head();
      if (this.major !== TEXT) throw new Damaged('a key that is not text');
      const key = this.text(keyLength);
      map[key] = this.item(depth + 1);
    }
    return map;
  }

  /** @param {number} argument */
  simple(argument) {
    if (this.info === 25) return halfToNumber(argument);
    if (this.info === 26) return this.view.getFloat32(this.at - 4);
    if (this.info === 27) return this.view.getFloat64(this.at - 8);
    if (argument === 20) return false;
    if (argument === 21) return true;
    return null;
  }

  /**
   * One typed array.
   * @template {Uint16Array | Uint32Array | Float64Array} T
   * @param {number} tag @param {{new (buffer: ArrayBuffer, offset: number, length: number): T, BYTES_PER_ELEMENT: number}} Type
   * @returns {T}
   */
  column(tag, Type) {
    if (this.head() !== tag || this.major !== TAG) throw new Damaged(`expected a typed array with tag ${tag}`);
    const length = this.head();
    if (/** @type {number} */ (this.major) !== BYTES || length % Type.BYTES_PER_ELEMENT !== 0) throw new Damaged('a typed array of broken length');
    this.need(length);
    const at = this.at;
    this.at += length;
    const count = length / Type.BYTES_PER_ELEMENT;
    if (at % Type.BYTES_PER_ELEMENT === 0) return new Type(this.buffer, at, count);
    const start = scratchUsed;
    scratchUsed += (length + 7) & ~7;
    new Uint8Array(scratch, start, length).set(new Uint8Array(this.buffer, at, length));
    return new Type(scratch, start, count);
  }

  /** @returns {DataFrame} */
  dataFrame() {
    if (this.head() !== 7 || this.major !== ARRAY) throw new Damaged('a data frame has seven items');
    scratchUsed = 0;
    const room = this.view.byteLength + 32;
    if (scratch.byteLength < room) scratch = new ArrayBuffer(room);
    const frame = {
      stream: this.unsigned(),
      t0: this.unsigned(),
      ids: this.column(TAG_U32, Uint32Array),
      counts: this.column(TAG_U16, Uint16Array),
      dt: this.column(TAG_U32, Uint32Array),
      values: this.column(TAG_F64, Float64Array),
      merged: this.unsigned(),
    };
    let rows = 0;
    for (let i = 0; i < frame.counts.length; i++) rows += frame.counts[i];
    if (frame.ids.length !== frame.counts.length || rows !== frame.dt.length || rows !== frame.values.length) {
      throw new Damaged('columns of different lengths');
    }
    return frame;
  }
}

/** @param {number} half the 16 bits of an IEEE 754 half */
function halfToNumber(half) {
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  const sign = half & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * Decodes one WebSocket message: an array is readings, a map is control.
 * @param {ArrayBuffer} buffer
 * @returns {import('./types.js').Decoded}
 */
export function decode(buffer) {
  try {
    const reader = new Reader(buffer);
    reader.need(1);
    const major = reader.view.getUint8(0) >> 5;
    if (major !== ARRAY && major !== MAP) throw new Damaged('neither an array nor a map');
    /** @type {import('./types.js').Decoded} */
    const decoded = major === ARRAY
      ? { kind: 'data', frame: reader.dataFrame() }
      : { kind: 'control', message: reader.item(0) };
    if (reader.at !== buffer.byteLength) throw new Damaged('bytes after the end of the message');
    return decoded;
  } catch (error) {
    if (error instanceof Damaged) return { kind: 'damaged', reason: error.message };
    throw error;
  }
}

/** @param {number[]} out @param {number} major @param {number} argument */
function writeHead(out, major, argument) {
  const top = major << 5;
  if (argument < 24) out.push(top | argument);
  else if (argument < 2 ** 8) out.push(top | 24, argument);
  else if (argument < 2 ** 16) out.push(top | 25, argument >> 8, argument & 255);
  else if (argument < 2 ** 32) out.push(top | 26, argument >>> 24, (argument >> 16) & 255, (argument >> 8) & 255, argument & 255);
  else {
    out.push(top | 27);
    const view = new DataView(new ArrayBuffer(8));
    view.setUint32(0, Math.floor(argument / 2 ** 32));
    view.setUint32(4, argument >>> 0);
    out.push(...new Uint8Array(view.buffer));
  }
}

/** @param {number[]} out @param {unknown} value */
function writeItem(out, value) {
  if (typeof value === 'number' && Number.isSafeInteger(value) && !Object.is(value, -0)) {
    if (value >= 0) writeHead(out, 0, value);
    else writeHead(out, 1, -1 - value);
  } else if (typeof value === 'number') {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value);
    out.push(0xfb, ...new Uint8Array(view.buffer));
  } else if (typeof value === 'string') {
    const bytes = utf8Encoder.encode(value);
    writeHead(out, TEXT, bytes.length);
    for (const byte of bytes) out.push(byte);
  } else if (typeof value === 'boolean') {
    out.push(value ? 0xf5 : 0xf4);
  } else {
    const entries = Object.entries(/** @type {Record<string, unknown>} */ (value)).filter(([, item]) => item !== undefined);
    writeHead(out, MAP, entries.length);
    for (const [key, item] of entries) {
      writeItem(out, key);
      writeItem(out, item);
    }
  }
}

/**
 * Encodes one control message; keys whose value is undefined are left out.
 * @param {{type: string} & Record<string, string | number | boolean | undefined>} message
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encode(message) {
  /** @type {number[]} */
  const out = [];
  writeItem(out, message);
  return Uint8Array.from(out);
}
