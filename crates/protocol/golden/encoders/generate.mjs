// Frames as JavaScript's cbor-x really writes them, beside this file: npm install cbor-x@1, then run it.
//
// Date.now() becomes a double float, 21.0 the integer 21, objects have 16-bit lengths, typed arrays their tags.
// The channels that data frames refer to are those of ../device-hello.json.

import { writeFileSync } from "node:fs";
import { encode, Encoder } from "cbor-x";

const now = 1_770_000_000_000; // as Date.now() gives it

const toJson = (value, encoder) => {
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "number") {
    if (Number.isNaN(value)) return null;
    // The setting rounds: what leaves the device is the nearest single float.
    return encoder.useFloat32 && !Number.isInteger(value) ? Math.fround(value) : value;
  }
  if (value === undefined) return null;
  if (ArrayBuffer.isView(value) || Array.isArray(value)) return Array.from(value, (entry) => toJson(entry, encoder));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, toJson(entry, encoder)]));
  }
  return value;
};

const write = (name, message, direction = "device-to-hub", encoder = { encode }) => {
  const hex = Buffer.from(encoder.encode(message)).toString("hex");
  const frame = { name, direction, hex, value: toJson(message, encoder) };
  writeFileSync(new URL(`./${name}.json`, import.meta.url), JSON.stringify(frame, null, 2) + "\n");
};

const hello = {
  type: "hello", device: "shed", spool: 8_423_177_305_001, first: 1, next: 1, clock: "unix", now,
  title: "Schuppen ☀", model: null, channels: [
    { name: "temp", unit: "Cel", scale: 0.1, period_ms: 1000 },
    { name: "door", kind: "state", states: ["closed", "open"] },
  ],
};
const rows = [
  [0, 0, 21.0], [0, 100, 21.5], [0, 200.5, 0.1], [1, -3, 48], [2, 0, "open"], [2, 1, false], [0, 300, null],
  [0, 400, NaN], [0, 500, undefined], [4, 0, 2 ** 32], [4, 1, -(2 ** 33)], [4, 2, 12n],
];
const small = new Encoder({ useRecords: false, variableMapSize: true, useFloat32: 3 });
const described = { encode: (message) => Buffer.concat([Buffer.from("d9d9f7", "hex"), encode(message)]) };

write("cbor-x-hello", hello);
write("cbor-x-hello-big-int-spool", { ...hello, spool: BigInt(hello.spool) });
write("cbor-x-hello-small-maps", hello, "device-to-hub", small);
write("cbor-x-hello-self-described", hello, "device-to-hub", described);
write("cbor-x-rows", [7, now, rows]);
write("cbor-x-rows-single-floats", [7, now, rows], "device-to-hub", small);
write("cbor-x-rows-self-described", [7, now, rows], "device-to-hub", described);
write("cbor-x-columns-plain", [8, now, [[0, [0, 10.5, 20], [21.5, null, NaN]]]]);
write("cbor-x-columns-typed", [9, now, [
  [0, new Uint8Array([0, 1, 255]), new Float32Array([21.5, NaN, -0.25])],
  [1, new Uint16Array([0, 65535]), new Float64Array([48.3, 1e300])],
  [3, new Int32Array([-1000, 0]), new Int8Array([-128, 127])],
  [4, new Uint32Array([0, 4294967295]), new Int16Array([-32768, 32767])],
]]);
write("cbor-x-fixed-rate", [10, now, [[3, -10, 2.5, new Int16Array([-981, 0, 981])]]]);
write("cbor-x-gap", { type: "gap", from: 3, to: 9, reason: "the card was full" });
write("cbor-x-result", { type: "result", id: "c-1", ok: false, message: "no such valve" });
write("cbor-x-bye", { type: "bye" });
write("cbor-x-subscribe", { type: "subscribe", id: 1, series: "*/temp", window_ms: 300000, points: 600, max_hz: 10 },
  "viewer-to-hub");
write("cbor-x-subscribe-fractions", { type: "subscribe", id: 2, series: "*/*", window_ms: 60000.5, points: 812.5 },
  "viewer-to-hub");
write("cbor-x-unsubscribe", { type: "unsubscribe", id: 1 }, "viewer-to-hub");
write("cbor-x-visibility", { type: "visibility", hidden: false }, "viewer-to-hub");
write("cbor-x-echo", { type: "echo", t: 12345.678 }, "viewer-to-hub");
