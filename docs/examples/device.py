#!/usr/bin/env python3
"""A Highwater device in Python: measures a sine ten times a second and loses nothing while the hub is away.

python3 -m venv hub-venv && hub-venv/bin/pip install "websockets>=14,<18" "cbor2>=5.6,<7"
hub-venv/bin/python device.py [ws://127.0.0.1:8080 [COUNT]]    HUB_TOKEN=... for a hub that wants one
"""
import asyncio, math, os, random, sys, time
import cbor2, websockets

url = (sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8080").replace("http", "ws", 1).rstrip("/") + "/ws/device"
count = int(sys.argv[2]) if len(sys.argv) > 2 else None
headers = {"Authorization": "Bearer " + os.environ["HUB_TOKEN"]} if "HUB_TOKEN" in os.environ else {}
hello = {"type": "hello", "device": "python-sine", "spool": random.randint(1, 2**53 - 1), "clock": "unix",
         "channels": [{"name": "sine", "unit": "V", "period_ms": 100}]}
waiting, newest = {}, 0  # seq -> message, until the hub has it on disk

async def measure():
    global newest
    while newest != count:
        now_ms, newest = time.time() * 1000, newest + 1
        waiting[newest] = cbor2.dumps([newest, now_ms, [[0, 0, math.sin(now_ms / 5000)]]])
        if len(waiting) > 10_000:
            del waiting[min(waiting)]  # memory is bounded: the oldest go, and the hub is told below
        await asyncio.sleep(0.1)

async def talk(hub):
    first = min(waiting, default=newest + 1)
    await hub.send(cbor2.dumps(hello | {"first": first, "next": newest + 1, "now": time.time() * 1000}))
    acked, allowed, sent = -1, 0, 0
    while acked != count:
        try:
            said = cbor2.loads(await asyncio.wait_for(hub.recv(), 0.1))
            print(said)
            if said["type"] in ("welcome", "ack"):
                acked, allowed = said["acked"], said["acked"] + said["credit"]
                for seq in [seq for seq in waiting if seq <= acked]:
                    del waiting[seq]
                sent = max(sent, acked)
            if said["type"] == "welcome" and first > acked + 1:
                await hub.send(cbor2.dumps({"type": "gap", "from": acked + 1, "to": first - 1, "reason": "memory full"}))
        except TimeoutError:
            pass
        for seq in [seq for seq in waiting if sent < seq <= allowed]:
            await hub.send(waiting[seq])
            sent = seq
    await hub.send(cbor2.dumps({"type": "bye"}))

async def main():
    measuring, wait = asyncio.create_task(measure()), 0.25
    while True:
        try:
            async with websockets.connect(url, subprotocols=["highwater.device.v1"], additional_headers=headers) as hub:
                wait = 0.25
                return await talk(hub)
        except (OSError, websockets.WebSocketException) as error:
            taken_over = getattr(getattr(error, "rcvd", None), "code", 0) == 4001
            print("not connected:", error, file=sys.stderr)
            await asyncio.sleep(60 if taken_over else random.uniform(0, wait))
            wait = min(2 * wait, 30)

asyncio.run(main())
