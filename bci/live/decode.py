"""The decode program: every sample through the pipeline once, the newest window or each epoch through the decoder."""

import dataclasses

import numpy as np

from bci.decoder.bundle import Bundle, take_over
from bci.decoder.cuda import CardSettings
from bci.decoder.cut import LiveRings
from bci.decoder.marker_names import MarkerNames
from bci.decoder.onnx import OnnxDecoder
from bci.errors import BundleMismatch
from bci.live.adapting import Changes
from bci.live.copies import Copies
from bci.live.heads import LostHeads
from bci.live.physiology import LivePhysiology, UnheardVolumes
from bci.live.resumption import resume, retrace
from bci.live.sides import Sides
from bci.live.swap import Swap, last_bundle
from bci.memory.frames import window_digest, write_frame
from bci.memory.marks import write_mark
from bci.memory.program import Program
from bci.memory.stream import follow
from bci.memory.turns import take_short_turns
from bci.signal.pipeline import RunningPipeline
from bci.signal.types import MarkKind, Window


def main(program: Program) -> None:
    """Decode the stream of role ``stream`` into the ring of role ``frames``.

    A bundle that decodes epochs takes their events from the ring of role ``markers``, and the trials of an experiment's
    flips from the ring of role ``shown`` where there is one; one that hears physiology, from the stream of that role.
    What steps say beside the samples goes to streams of roles ``side-NAME``, each change of an adaptation to
    ``side-adaptation``, what is copied for other tools to ``copy-NAME`` (`bci.live.copies`). Resets, overruns, epochs
    and passed-over windows go to the ring of role ``decode_marks``. What the session fixes beyond the bundle is read
    from its folder.
    Started in the place of one that died, it goes on with the first sample that its predecessor had not used
    (`bci.live.resumption`), and with the bundle that it ran last (`bci.live.swap`).

    Spec: ``bundle`` (folder), ``provider`` (``cpu`` or ``cuda``), ``audit`` (hash every decoded window), ``unlike``
    (what becomes of input unlike the training data), ``repeats`` (``mean`` where epochs of a stimulus are averaged),
    ``events`` (see `bci.decoder.marker_names`); optional ``card`` and ``precision`` of a card, ``tried`` (bundles that
    need no trial any more, see `bci.decoder.bundle.take_over`) and, where physiology is heard, ``speed`` (how many
    times as fast as a scanner's the volumes come).
    """
    take_short_turns()
    spec, clock, row = program.spec, program.clock, program.row
    stream = program.stream("stream")
    frames, marks = program.ring("frames"), program.ring("decode_marks")
    index, path, identity = last_bundle(program, frames) if program.restart else (0, "", "")
    take_over(spec.get("tried", {}))
    bundle = Bundle.load(path or spec["bundle"]).reading(spec.get("repeats", "single"))
    if identity and bundle.hash != identity:
        raise BundleMismatch(
            f"the decoder that died ran bundle {identity[:12]}, {path} holds {bundle.hash[:12]} now. Put it back."
        )
    changes = Changes(program)
    decoder = OnnxDecoder(
        bundle,
        provider=spec["provider"],
        card=CardSettings(**spec.get("card", {})),
        precision=spec.get("precision", "float32"),
        lends=True,
        unlike=spec.get("unlike", "refuse"),
        adaptation=changes.adaptation,
        clock=clock,
    )
    decoder.warm_up()
    heard = LivePhysiology.of(program) if program.has("physiology") else None
    learns = bundle.pipeline.start(bundle.signal).recalls > 0
    place = resume(
        program, stream, frames, marks, learns=learns, beside=None if heard is None else heard.recalls
    )
    rings = LiveRings(
        marks=marks,
        events=program.ring("markers") if bundle.cut.needs_markers else None,
        shown=program.ring("shown") if program.has("shown") else None,
        since=place.since(stream),
        handled=int(row["windows"]),
        names=MarkerNames(spec["events"]) if spec.get("events") else None,
    )
    copies = Copies(program)

    def connect(pipeline: RunningPipeline) -> None:
        copies.connect(pipeline)
        if heard is not None:
            heard.connect(pipeline)

    swap = Swap(program, stream, bundle, decoder, rings, frames, index, connect)
    noted = [one(row, marks, clock, program.log) for one in (LostHeads, UnheardVolumes)]

    def note(rows: Window) -> None:
        for one in noted:
            one.hear(rows)

    sides = Sides(program, swap.cutter.pipeline, note)
    # Of volumes no electrode is to be mended: what is not known of one has a counter of its own.
    masked = "unmeasured" if len(stream.signal.shape) == 3 else "masked"
    before = {counter: int(row[counter]) for counter in ("windows", "reconstructions", "skipped", "invalid")}
    invalid = 0
    program.ready(environment=decoder.environment)

    def overrun(first: int, lost: int) -> None:
        row["lost"] += lost
        program.log.error("decoding fell behind: samples %d to %d were never seen", first, first + lost - 1)
        write_mark(marks, MarkKind.OVERRUN, first, count=lost, time=clock.now())

    def count() -> None:
        row["windows"] = before["windows"] + swap.windows
        row["reconstructions"] = before["reconstructions"] + swap.yielded
        row["skipped"] = before["skipped"] + swap.skipped
        row["invalid"] = before["invalid"] + invalid

    reset = retrace(place, program, stream, swap, sides, marks) if place.retraces else place.reset
    slot = program.slot("stream")
    chunks = follow(
        stream,
        bundle.cut.grid,
        program.tick,
        overrun,
        first=place.first,
        reset=reset,
        slot=slot,
        foresee=swap.foresee,
    )
    for chunk in chunks:
        if chunk.reset:
            write_mark(marks, MarkKind.PIPELINE_RESET, chunk.first, time=clock.now(), detail=chunk.reset)
        for window in swap.push(chunk):
            cut = clock.now()
            frame = swap.decoder.decode(window)
            stamps = {
                **frame.stamps,
                "data": float(window.times[-1]),
                "arrived": stream.arrived(window.last_sample),
                "cut": cut,
                "published": clock.now(),
            }
            digest = window_digest(window) if spec["audit"] else b""
            write_frame(frames, dataclasses.replace(frame, stamps=stamps), digest, swap.index)
            invalid += not frame.valid
            copies.beta(window)
            # Only now: the picture is out, and nothing waits for it.
            if decoder.learn(frame):
                changes.write(window)
            row[masked] = 0 if window.bad is None else int(np.count_nonzero(window.bad.any(axis=0)))
            if window.skipped:
                write_mark(marks, MarkKind.SKIPPED, window.last_sample, count=window.skipped, time=cut)
        sides.write(chunk)
        copies.write(chunk)
        swap.decoder.keep_warm()
        row["samples"] = chunk.end
        count()
    swap.finish()
    sides.finish()
    copies.finish()
    changes.finish()
    count()
    frames.finish()
    marks.finish()
    program.report(
        windows=int(row["windows"]),
        reconstructions=int(row["reconstructions"]),
        skipped=int(row["skipped"]),
        invalid=int(row["invalid"]),
        unseen=int(row["lost"]),
        heads_lost=int(row["heads_lost"]),
        unheard=int(row["unheard"]),
    )
