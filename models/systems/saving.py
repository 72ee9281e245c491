"""What training leaves in a bundle beside its graphs, and what is asked of it later: scores, a card, the settings."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle, save_bundle
from bci.decoder.card import HOLDS_WINDOWS, write_card
from bci.decoder.recorded import RECORDED, recorded_file
from bci.decoder.spec import CARD, BundleSpec
from bci.errors import BundleError
from bci.io.files.encoding import ENCODING, encoding_part
from bci.io.files.hashed_folder import as_bytes
from bci.signal.picture_encoding import PictureEncoding
from bci.signal.pipeline import Pipeline

#: File of a bundle that holds all scores of its training.
TRAINING = "training.json"

#: Roles of the graphs that give pictures.
_DRAW = ("generator", "drawing", "whole")


def save_decoder(
    out: Path,
    spec: BundleSpec,
    files: Mapping[str, bytes | str | Path],
    windows: NDArray[np.floating[Any]] | None = None,
    *,
    encoding: PictureEncoding | None = None,
    as_given: bool = False,
) -> Bundle:
    """Write the bundle of a decoder whose graphs make the bytes of its pictures themselves, where they make pictures.

    Parameters
    ----------
    out : Path
        Folder of the bundle; one that is there is replaced.
    spec, files : BundleSpec, mapping
        As `bci.decoder.bundle.save_bundle` takes them.
    windows : (n, …) float, optional
        Recorded windows as its readout gets them, or their means: some are kept, see `bci.decoder.recorded`, unless the
        training file in `spec` says ``keep_windows = false``.
    encoding : PictureEncoding, optional
        What the decoder is expected to read of pictures, where its training knows.
    as_given : bool
        Whether the graphs that draw are another bundle's, and stay as they are.

    Raises
    ------
    BundleError
        If `out` holds something else than a bundle, or what was written does not load.
    """
    from models.export import with_pixels  # a machine that only asks what a bundle was trained on has no onnx

    drawing = [graph.file for graph in spec.graphs if graph.role in _DRAW and not as_given]
    made = {name: with_pixels(as_bytes(files[name]), spec.image) for name in drawing}
    drawn = {name: graph for name, graph in made.items() if graph is not None}
    pixels = spec.pixels if as_given else 0 < len(drawn) == len(made)  # all of them, or none
    beside: dict[str, bytes] = {}
    keeps = windows is not None and spec.provenance.config.get("keep_windows", True) is not False
    kept = recorded_file(windows, _window_shape(spec)) if windows is not None and keeps else None
    recipe, numbers = (None, b"") if encoding is None else encoding_part(encoding)
    beside |= {} if recipe is None else {ENCODING: numbers}
    spec = spec.model_copy(
        update={"pixels": pixels, "recorded": None if kept is None else RECORDED, "encoding": recipe}
    )
    if kept is not None:
        card = as_bytes(files[CARD]).decode() if CARD in files else write_card(spec)
        beside |= {RECORDED: kept, CARD: (card + HOLDS_WINDOWS).encode()}
    return save_bundle(out, spec, {**files, **beside, **(drawn if pixels else {})})


def _window_shape(spec: BundleSpec) -> tuple[int, ...]:
    output = Pipeline.from_json([dict(step) for step in spec.pipeline]).output(spec.signal.signal())
    return (spec.window.samples(output.rate), *output.shape)


def save_trained(
    out: Path,
    spec: BundleSpec,
    files: Mapping[str, bytes | str | Path],
    scores: Mapping[str, Any],
    windows: NDArray[np.floating[Any]] | None = None,
) -> dict[str, Any]:
    """Write the bundle of a trained decoder, with its card, its scores, and `windows` as `save_decoder`.

    Returns
    -------
    dict
        The scores, and ``bundle`` and ``hash``.

    Raises
    ------
    BundleError
        If `out` holds something else than a bundle.
    """
    beside = {CARD: write_card(spec), TRAINING: json.dumps(scores, indent=1, ensure_ascii=False) + "\n"}
    bundle = save_decoder(out, spec, {**files, **beside}, windows)
    return {**scores, "bundle": bundle.name, "hash": bundle.hash}


def settings_of(bundle: Bundle, kind: str) -> tuple[dict[str, Any], str]:
    """Return the training file that a bundle was made by, and what to call it in an error.

    Raises
    ------
    BundleError
        If the bundle does not say that it is of this kind.
    """
    config = dict(bundle.spec.provenance.config)
    if config.get("kind") != kind:
        raise BundleError(f"bundle {bundle.name!r} does not say how it was trained: expected kind {kind!r}")
    return config, f"the provenance of bundle {bundle.name!r}"
