"""An amplifier's program streams from its start until it is killed, with or without consumers."""

import pylsl

from bci.memory.lsl_clock import LslClock
from bci.memory.program import Program
from benchmarks.source import BUFFER, Feed, describe_feed


def main(program: Program) -> None:
    """Publish noise at the feed's rate.

    Spec: ``source_id`` (also the stream's name), ``feed``. Ready fact: ``back``, when it was on the network.
    """
    feed, clock = Feed(**program.spec["feed"]), LslClock()
    block = feed.noise().reshape(-1, feed.chunk, feed.channels)
    outlet = pylsl.StreamOutlet(describe_feed(feed, program.spec["source_id"]), max_buffered=BUFFER)
    start, pushed = clock.now(), 0
    program.ready(back=start)
    while program.tick():
        clock.sleep_until(start + (pushed + 1) * feed.chunk / feed.rate)
        outlet.push_chunk(block[pushed % len(block)], clock.now())
        pushed += 1
