"""The publish program: offers every reconstruction to other tools as a Lab Streaming Layer stream.

It reads the frame ring beside the display and is never waited for. One sample a reconstruction, double precision,
irregular rate; the channels are the latent (or the values of a result that is no picture), then confidence,
provenance, and of how many trials' mean it was read. Pixels go out on a second stream when the session asks for them.
"""

import numpy as np

from bci.errors import Overrun
from bci.io.lsl.source import LslOutlet
from bci.live.copies import PublishedCopies
from bci.memory.program import Program
from bci.signal.types import STAGES, Signal

#: Channels behind the latent.
FACTS = ("confidence", "valid", "frame", "first", "last_sample", "skipped", *STAGES[:5], "repeats")


def main(program: Program) -> None:
    """Publish the ring of role ``frames``.

    Spec: ``source_id`` (of the latent stream; pixels add ``-pixels``), ``pixels`` (bool), ``values`` (what each value
    of the latent is called: see `bci.decoder.spec.BundleSpec.value_names`); optional ``copies`` (what is copied, from
    streams of roles ``copy-NAME``, and what their descriptions say; see `bci.live.copies`).
    """
    spec = program.spec
    frames = program.ring("frames")
    columns = {column.name: column for column in frames.columns}
    d = columns["latent"].shape[0]
    labels = (*spec["values"], *FACTS)
    latent_signal = Signal("reconstruction", 0.0, (len(labels),), labels, "", "float64")
    latents = LslOutlet(latent_signal, spec["source_id"], kind="Latent")
    pixels = None
    if spec["pixels"]:
        shape = columns["image"].shape
        flat = Signal("reconstruction-pixels", 0.0, (int(np.prod(shape)),), (), "", "int16")
        extra = {"shape": "x".join(map(str, shape))}
        pixels = LslOutlet(flat, spec["source_id"] + "-pixels", kind="Image", extra=extra)
    row = np.empty((1, len(labels)))
    copies = PublishedCopies(program, spec["source_id"], spec.get("copies", {}))
    program.ready()
    # A successor goes on behind what was published; what the ring no longer holds is counted.
    at, missed = program.inherited["published"], program.inherited["lost"]
    while True:
        frames.wait(at + 1, slot=program.slot("frames"))
        going = program.tick()
        while at < frames.count:
            try:
                place = frames.read(at, at + 1)
            except Overrun as overrun:
                missed += overrun.lost
                at = overrun.first + overrun.lost
                continue
            info = place["info"][0]
            facts = [
                info["confidence"],
                info["valid"],
                at,
                info["first"],
                info["last_sample"],
                info["skipped"],
            ]
            row[0, :d] = place["latent"][0]
            row[0, d:] = [*facts, *info["stamps"][:5], info["repeats"]]
            when = np.array([info["stamps"][0]])
            latents.push(row, when)
            if pixels is not None:
                pixels.push(place["image"].reshape(1, -1).astype(np.int16), when)
            at += 1
            program.row["published"], program.row["lost"] = at, missed
        program.row["lost"] = missed + copies.send()
        if not going or (frames.finished and at >= frames.count):
            break
    copies.close()
    program.report(published=at - missed, unpublished=missed)
