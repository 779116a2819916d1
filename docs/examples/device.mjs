// A Highwater device in JavaScript: measures a sine ten times a second and loses nothing while the hub is away.
//
// npm install ws@8 cbor-x@1
// node device.mjs [ws://127.0.0.1:8080 [COUNT]]        HUB_TOKEN=... for a hub that wants one
import { decode, encode } from "cbor-x";
import WebSocket from "ws";

const url = (process.argv[2] ?? "ws://127.0.0.1:8080").replace(/^http/, "ws").replace(/\/$/, "") + "/ws/device";
const count = process.argv[3] ? Number(process.argv[3]) : Infinity;
const headers = process.env.HUB_TOKEN ? { Authorization: `Bearer ${process.env.HUB_TOKEN}` } : {};
const hello = {
  type: "hello", device: "javascript-sine", spool: 1 + Math.floor(Math.random() * (2 ** 53 - 2)), clock: "unix",
  channels: [{ name: "sine", unit: "V", period_ms: 100 }],
};
const waiting = new Map(); // seq -> message, until the hub has it on disk
let newest = 0, send = () => {};

const measuring = setInterval(() => {
  const now = Date.now();
  waiting.set(++newest, encode([newest, now, [[0, 0, Math.sin(now / 5000)]]]));
  if (waiting.size > 10_000) waiting.delete(waiting.keys().next().value); // bounded: the oldest go, the hub is told below
  if (newest >= count) clearInterval(measuring);
  send();
}, 100);

function connect(wait) {
  const hub = new WebSocket(url, ["highwater.device.v1"], { headers });
  let first, allowed = 0, sent = 0;
  hub.on("open", () => {
    wait = 250;
    first = waiting.keys().next().value ?? newest + 1;
    hub.send(encode({ ...hello, first, next: newest + 1, now: Date.now() }));
  });
  hub.on("message", (bytes) => {
    const said = decode(bytes);
    console.log(said);
    if (said.type !== "welcome" && said.type !== "ack") return;
    const acked = Number(said.acked);
    allowed = acked + Number(said.credit);
    sent = Math.max(sent, acked);
    for (const seq of waiting.keys()) if (seq <= acked) waiting.delete(seq);
    if (said.type === "welcome" && first > acked + 1) {
      hub.send(encode({ type: "gap", from: acked + 1, to: first - 1, reason: "memory full" }));
    }
    send = () => {
      for (const [seq, message] of waiting) if (sent < seq && seq <= allowed) hub.send(message), (sent = seq);
    };
    send();
    if (acked === count) hub.send(encode({ type: "bye" }));
  });
  hub.on("error", (error) => console.error("not connected:", error.message));
  hub.on("close", (code) => {
    if (code === 1000) process.exit(0); // the hub's answer to bye
    send = () => {};
    setTimeout(connect, code === 4001 ? 60_000 : Math.random() * wait, Math.min(2 * wait, 30_000));
  });
}
connect(250);
