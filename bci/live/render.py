"""The render program: draws the latents that an experiment will show, ahead of time, with the bundle's own generator.

It stands beside the line: neither the window nor the engine waits for it longer than the time that the engine gives it.
The generator runs as in the live decoder (see `bci.decoder.renderer.Artist`), so a latent that was read and is shown
again is the same picture.
"""

import numpy as np

from bci.decoder.bundle import Bundle, take_over
from bci.decoder.cuda import CardSettings
from bci.decoder.renderer import Artist
from bci.errors import Overrun
from bci.memory.program import Program
from bci.memory.trial_parts import write_drawn

#: Latents of zeros drawn before the first request: the first runs of a session are slow.
WARM_UP = 5


def main(program: Program) -> None:
    """Answer the requests of role ``requests`` in the ring of role ``drawn``, in order, each once.

    A latent of which the generator makes no picture, because a value is not finite, is answered too, without one.
    Started in the place of one that died, it goes on behind the newest request that was answered.

    Spec: ``bundle`` (folder), ``provider`` (``cpu`` or ``cuda``); optional ``second_bundle`` (folder), whose generator
    draws the latents of requests that say so; ``tried``, as for decode.

    Report: ``drawn``, ``undrawn``, ``missed``.

    Raises
    ------
    BundleError
        If the bundle has no generator of its own.
    ProviderError
        If the provider is not there.
    """
    spec, row = program.spec, program.row
    requests, drawn = program.ring("requests"), program.ring("drawn")
    take_over(spec.get("tried", {}))
    bundles = [Bundle.load(path) for key in ("bundle", "second_bundle") if (path := spec.get(key))]
    card = CardSettings(**spec.get("card", {}))
    precision = spec.get("precision", "float32")
    artists = [Artist(bundle, spec["provider"], card, precision) for bundle in bundles]
    for bundle, artist in zip(bundles, artists, strict=True):
        for _ in range(WARM_UP):
            artist.draw(np.zeros(bundle.latent_size, np.float32))
    at = 0
    if drawn.count:
        at = int(drawn.read(drawn.count - 1, drawn.count)["request"][0]["request"]) + 1
    program.ready(environment=artists[0].environment)
    while program.tick():
        requests.wait(at + 1, slot=program.slot("requests"))
        while at < requests.count:
            try:
                place = requests.read(at, at + 1)
            except Overrun as overrun:
                row["missed"] += overrun.lost
                program.log.error("drawing fell behind: %d latents were never drawn", overrun.lost)
                at = overrun.first + overrun.lost
                continue
            which = int(place["request"][0]["generator"])
            image = artists[which].draw(place["latent"][0][: bundles[which].latent_size])
            if image is None:
                program.log.error("trial %d: its latent gives no picture", place["request"][0]["trial"])
            write_drawn(drawn, place["request"][0], image)
            at += 1
            row["drawn" if image is not None else "undrawn"] += 1
            if not program.tick():
                break
    program.report(drawn=int(row["drawn"]), undrawn=int(row["undrawn"]), missed=int(row["missed"]))
