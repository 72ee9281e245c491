"""The decode program: every sample through the pipeline once, the newest window through the decoder."""

import dataclasses
import hashlib

import numpy as np

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.io.frames import write_frame
from bci.io.marks import write_mark
from bci.io.program import Program
from bci.io.stream import Grid, follow
from bci.signal.types import MarkKind, Window
from bci.signal.windows import Windows


def main(program: Program) -> None:
    """Decode the stream of role ``stream`` into the ring of role ``frames``.

    Resets, overruns and passed-over windows go to the ring of role ``decode_marks``.

    Spec: ``bundle`` (folder), ``provider`` (``cpu`` or ``cuda``), ``audit`` (hash every decoded window).
    """
    spec, clock, row = program.spec, program.clock, program.row
    stream = program.stream("stream")
    frames, marks = program.ring("frames"), program.ring("decode_marks")
    bundle = Bundle.load(spec["bundle"])
    decoder = OnnxDecoder(bundle, provider=spec["provider"], clock=clock)
    cutter = Windows(
        stream.signal,
        bundle.adapt(stream.signal),
        length=bundle.length,
        hop=bundle.hop,
        newest=True,
        copy=False,
    )
    decoder.warm_up()
    program.ready(environment=decoder.environment)

    def overrun(first: int, lost: int) -> None:
        row["lost"] += lost
        program.log.error("decoding fell behind: samples %d to %d were never seen", first, first + lost - 1)
        write_mark(marks, MarkKind.OVERRUN, first, count=lost, time=clock.now())

    grid = Grid(cutter.source_start, cutter.source_step)
    for chunk in follow(stream, grid, program.tick, overrun, slot=program.slot("stream")):
        if chunk.reset:
            write_mark(marks, MarkKind.PIPELINE_RESET, chunk.first, time=clock.now(), detail=chunk.reset)
        for window in cutter.push(chunk):
            cut = clock.now()
            frame = decoder.decode(window)
            stamps = {
                **frame.stamps,
                "data": float(window.times[-1]),
                "arrived": stream.arrived(window.last_sample),
                "cut": cut,
                "published": clock.now(),
            }
            digest = window_digest(window) if spec["audit"] else b""
            write_frame(frames, dataclasses.replace(frame, stamps=stamps), digest)
            row["invalid"] += not frame.valid
            if window.skipped:
                write_mark(marks, MarkKind.SKIPPED, window.last_sample, count=window.skipped, time=cut)
        row["samples"] = chunk.end
        row["windows"], row["reconstructions"] = cutter.windows, cutter.yielded
        row["skipped"] = cutter.skipped
    frames.finish()
    marks.finish()
    program.report(
        windows=cutter.windows,
        reconstructions=cutter.yielded,
        skipped=cutter.skipped,
        invalid=int(row["invalid"]),
        unseen=int(row["lost"]),
    )


def window_digest(window: Window) -> bytes:
    """Return 16 bytes that change with any sample, mask or position of a window (BLAKE2b)."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(np.array([window.first, window.last_sample, window.settled], np.int64).tobytes())
    digest.update(np.ascontiguousarray(window.samples).tobytes())
    digest.update(np.ascontiguousarray(window.bad).tobytes())
    return digest.digest()
