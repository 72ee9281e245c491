"""An exchange puts one bundle in the place of another while the session runs; here is which one may take which place.

What the rest of the line was built for must stay: the size of a picture and of a latent (rings), the kind of result and
the names of its values (published streams), the grid that windows end on (what the decoder is woken for, how long a
picture is fresh), the events and samples that epochs are cut around (how many are to come, where they were put). Free
are the pipeline between, the readout, the generator, the confidence and what is said of them.
"""

from bci.decoder.bundle import Bundle
from bci.decoder.spec import EpochSpec
from bci.errors import BundleMismatch


def require_exchangeable(running: Bundle, new: Bundle) -> None:
    """Refuse a bundle that cannot take the place of the one that runs.

    Raises
    ------
    BundleMismatch
        Naming every difference, and both sides of it.
    """
    faults = [
        f"{what}: {one} runs, {other} came"
        for what, one, other in (
            ("the cut", _cut(running), _cut(new)),
            ("samples a second that the pipeline gives", _rate(running), _rate(new)),
            ("grid of windows, source samples", _grid(running), _grid(new)),
            ("size of pictures", _by(running.image_size), _by(new.image_size)),
            ("size of the latent", running.latent_size, new.latent_size),
            ("kind of result", running.spec.result.kind, new.spec.result.kind),
            ("values", ", ".join(running.spec.value_names), ", ".join(new.spec.value_names)),
            ("streams beside the samples", _sides(running), _sides(new)),
        )
        if one != other
    ]
    if _sides(running) != "none":
        faults.append("steps of the running bundle write streams of their own, which can have one writer")
    if faults:
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise BundleMismatch(
            f"bundle {new.name!r} cannot take the place of {running.name!r} while the session runs:\n{lines}\n"
            "End the session and begin one with the other bundle, or train one that fits."
        )


def _cut(bundle: Bundle) -> str:
    window = bundle.spec.window
    if isinstance(window, EpochSpec):
        return f"epochs from {window.start:g} to {window.stop:g} s around {window.markers!r}"
    return "sliding windows"


def _rate(bundle: Bundle) -> str:
    # Epochs are recorded by counts of it. Of sliding windows the grid says what has to be equal.
    rate = bundle.pipeline.start(bundle.signal).output.rate
    return f"{rate:g}" if bundle.cut.needs_markers else "any"


def _grid(bundle: Bundle) -> str:
    grid = bundle.cut.grid
    return f"the first ends at {grid.start}, then every {grid.step}"


def _by(size: tuple[int, int]) -> str:
    return f"{size[1]} × {size[0]}"


def _sides(bundle: Bundle) -> str:
    return ", ".join(signal.name for signal in bundle.pipeline.start(bundle.signal).sides) or "none"
