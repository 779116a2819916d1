"""Frames as Python's cbor2 really writes them, beside this file: pip install 'cbor2>=6,<7', then run it.

Half floats, single floats, indefinite lengths and typed arrays all come from settings that people use.
The channels that data frames refer to are those of ../device-hello.json.
"""

import json
import math
import pathlib
import struct

import cbor2

T0 = 1_770_000_000_000
TAGS = {"B": 64, "H": 69, "I": 70, "b": 72, "h": 77, "i": 78, "f": 85, "d": 86}


class Typed:
    """A little endian typed array (RFC 8746) of one struct code."""

    def __init__(self, code, *values):
        self.code, self.values = code, values

    def tagged(self):
        return cbor2.CBORTag(TAGS[self.code], struct.pack(f"<{len(self.values)}{self.code}", *self.values))


def walk(value, leaf):
    if isinstance(value, list):
        return [walk(entry, leaf) for entry in value]
    if isinstance(value, dict):
        return {key: walk(entry, leaf) for key, entry in value.items()}
    return leaf(value)


def to_wire(value):
    return value.tagged() if isinstance(value, Typed) else value


def to_json(value):
    if isinstance(value, Typed):
        return [to_json(entry) for entry in value.values]
    if isinstance(value, float):
        return None if math.isnan(value) else int(value) if value.is_integer() else value
    return value


def write(name, message, **settings):
    frame = {
        "name": name,
        "direction": "device-to-hub",
        "hex": cbor2.dumps(walk(message, to_wire), **settings).hex(),
        "value": walk(message, to_json),
    }
    path = pathlib.Path(__file__).with_name(name + ".json")
    path.write_text(json.dumps(frame, indent=2, ensure_ascii=False) + "\n")


HELLO = {
    "type": "hello", "device": "shed", "spool": 8_423_177_305_001, "first": 1, "next": 1, "clock": "unix",
    "now": T0 + 0.25, "title": "Schuppen ☀", "model": None, "x-later": [1, {"deep": [None, True]}],
    "channels": [
        {"name": "temp", "unit": "Cel", "kind": "gauge", "period_ms": 1000.0, "x": 1.5},
        {"name": "door", "kind": "state", "states": ["closed", "open"]},
    ],
}
ROWS = [[0, 0, 21.0], [0, 100, 21.5], [0, 200.5, 0.1], [1, -3.0, 48], [2, 0, "open"], [2, 1, False], [0, 300, None],
        [0, 400, math.nan], [0, 500, -21.5], [4, 0, 4_294_967_296], [4, 1, -4_294_967_297]]

write("cbor2-hello", HELLO)
write("cbor2-hello-canonical", HELLO, canonical=True)
write("cbor2-hello-indefinite", HELLO, indefinite_containers=True)
write("cbor2-rows", [7, T0, ROWS])
write("cbor2-rows-canonical-half-floats", [7, T0, ROWS], canonical=True)
write("cbor2-rows-indefinite", [7, T0, ROWS], indefinite_containers=True)
write("cbor2-rows-float-time", [7.0, T0 + 0.5, [[0.0, 0.0, 1.0]]])
write("cbor2-rows-canonical-float-seq", [7.0, T0 + 0.5, [[0.0, 0.0, 1.0]]], canonical=True)
write("cbor2-columns-plain", [8, T0, [[0, [0, 10.5, 20], [21.5, None, math.nan]], [2, [0, 1], ["open", True]]]])
write("cbor2-columns-indefinite", [8, T0, [[0, [0, 10.5, 20], [21.5, None, 1]]]], indefinite_containers=True)
write("cbor2-columns-typed", [9, T0, [
    [0, Typed("B", 0, 1, 255), Typed("f", 21.5, math.nan, -0.25)],
    [1, Typed("H", 0, 65535), Typed("d", 48.3, 1e300)],
    [3, Typed("i", -1000, 0), Typed("b", -128, 127)],
    [4, Typed("I", 0, 4_294_967_295), Typed("h", -32768, 32767)],
]])
write("cbor2-columns-typed-beside-plain", [9, T0, [[0, Typed("I", 0, 1000), [21.5, 22]]]])
write("cbor2-fixed-rate", [10, T0, [[3, -10, 2.5, Typed("h", -981, 0, 981)], [0, 0, 1000, [21.5, None, 21]]]])
write("cbor2-fixed-rate-canonical", [10, T0, [[3, 0, 0.5, [1, 2.5, 3]]]], canonical=True)
write("cbor2-empty-columns", [11, T0, [[0, [], []], [0, 0, 1, Typed("h")]]])
write("cbor2-gap", {"type": "gap", "from": 3.0, "to": 9, "reason": "the card was full"}, canonical=True)
write("cbor2-result", {"type": "result", "id": "c-1", "ok": True, "value": 21.5})
write("cbor2-bye", {"type": "bye"}, indefinite_containers=True)
