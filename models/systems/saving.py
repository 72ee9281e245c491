"""What training leaves in a bundle beside its graphs, and what is asked of it later: scores, a card, the settings."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bci.decoder.bundle import Bundle, save_bundle
from bci.decoder.card import write_card
from bci.decoder.spec import CARD, BundleSpec
from bci.errors import BundleError

#: File of a bundle that holds all scores of its training.
TRAINING = "training.json"


def save_trained(
    out: Path, spec: BundleSpec, files: Mapping[str, bytes | str | Path], scores: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the bundle of a trained decoder, with its card and its scores.

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
    bundle = save_bundle(out, spec, {**files, **beside})
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
