"""Python's websockets listens to a feed that encodes each message once."""
import asyncio
import json
import os
import re

from websockets.legacy.client import connect

from common import Suite, expect

FEED = os.environ.get("FEED", "examples/websocket_broadcast")
LISTENERS = 20
TICKS = 50

suite = Suite("websockets feed")


async def ticks(url, compression):
    """TICKS of them, as sequence number and text."""
    got = {}
    async with connect(url, compression=compression,
                       ping_interval=None) as ws:
        used = [e.name for e in ws.extensions]
        expect("extensions",
               ["permessage-deflate"] if compression else [], used)
        while len(got) < TICKS:
            text = await ws.recv()
            got[json.loads(text)["seq"]] = text
    numbers = sorted(got)
    expect("sequence", list(range(numbers[0], numbers[0] + TICKS)), numbers)
    return got


async def same_for_all(url):
    kinds = [None if i % 2 else "deflate" for i in range(LISTENERS)]
    heard = await asyncio.gather(*(ticks(url, k) for k in kinds))
    for other in heard[1:]:
        both = set(heard[0]) & set(other)
        assert both, "they never listened at once"
        for seq in both:
            expect("tick %d" % seq, heard[0][seq], other[seq])


async def main():
    proc = await asyncio.create_subprocess_exec(
        FEED, "127.0.0.1:0", stdout=asyncio.subprocess.PIPE)
    line = (await proc.stdout.readline()).decode()
    url = re.search(r"ws://\S+", line).group(0)
    await suite.acase("alone, plain", ticks(url, None))
    await suite.acase("alone, compressed", ticks(url, "deflate"))
    await suite.acase("twenty at once hear the same", same_for_all(url))
    proc.kill()
    await proc.wait()

asyncio.run(main())
suite.end()
