"""The encoding model of a bundle that was trained before bundles had one, added without training the bundle again.

::

    python -m models.systems.hyper.expecting BUNDLE TRAINING_FILE

The training trials of HYPER in silico are made again and compared by their hash with those that the bundle was fitted
to; the encoding model is fitted to them, and the bundle's own readout, as it lies in its graph, reads the dreams
(`models.encoding.expecting`). Graphs, pipeline and scores stay to the byte.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle, save_bundle
from bci.errors import BciError, BundleError, ConfigError
from bci.io.files.encoding import ENCODING, encoding_part
from models.encoding.dreams import dream
from models.encoding.expecting import dreamed_readings, foretold, from_dreams
from models.encoding.features import features_of
from models.encoding.white import WhiteEncoding
from models.generators.package import GeneratorPackage
from models.insilico.trials import HELD_OUT, TRAINING, answers, design, participant_of
from models.readouts.dreamed import Dreamed
from models.readouts.family import build_readout
from models.readouts.scaling import Standard
from models.systems.hyper.settings import HyperConfig, load_hyper
from models.systems.saving import TRAINING as RECORD

Floats = NDArray[np.float64]


def add_encoding(folder: Path, training: Path) -> float:
    """Add the encoding model to a bundle; return the share of what is read of held-out pictures that it foretells.

    Parameters
    ----------
    folder : Path
        The bundle's; it is replaced by one with the part more.
    training : Path
        The training file that it was made by.

    Raises
    ------
    ConfigError
        If the file is another, chooses voxels, runs in a scanner or names a readout that does not dream.
    BundleError
        If the bundle was fitted to other trials, or took ridge.
    """
    bundle, config = Bundle.load(folder), load_hyper(training)
    package = GeneratorPackage.load(config.generator)
    readout = _dreaming(bundle, config, package)
    plan = design(config, package.spec.latent, np.random.default_rng(config.seed))
    reference = package.draw(plan.latents[plan.reference])
    fitted, held = (
        answers(config, participant_of(config, reference, session), package.draw(latents), latents)
        for session, latents in ((TRAINING, plan.latents[plan.train]), (HELD_OUT, plan.latents[plan.shown]))
    )
    then = json.loads(bundle.read(RECORD))["data"]["training_trials_sha256"]
    if fitted.digest != then:
        raise BundleError(
            f"{folder}: expected training trials of the hash {then[:12]}…, came {fitted.digest[:12]}…: this machine or "
            "this release makes others. Train the bundle again."
        )
    voxels, reads = Standard.of(fitted.brain), _reading(bundle)
    features = features_of(package.draw(fitted.latents), readout.banks)
    white = WhiteEncoding.fit(
        voxels.forward(fitted.brain.astype(np.float64)), features, np.unique(fitted.runs, return_inverse=True)[1],
        components=readout.components, axes=readout.axes,
    )  # fmt: skip
    dreams = dream(package, readout.dreams, readout.seed, readout.banks)
    read = dreamed_readings(white, dreams.features, lambda x: reads(voxels.back(x)), readout.seed)
    encoding = from_dreams(tuple(readout.banks), bundle.image_size, dreams.features, read, features)
    recipe, content = encoding_part(encoding)
    files = {name: bundle.read(name) for name in bundle.spec.files}
    save_bundle(folder, bundle.spec.model_copy(update={"encoding": recipe}), {**files, ENCODING: content})
    return foretold(encoding, package.draw(held.latents), reads(held.brain))


def _dreaming(bundle: Bundle, config: HyperConfig, package: GeneratorPackage) -> Dreamed:
    """Return the readout as the training file describes it, not fitted; refuse what the bundle's is not."""
    # That the trials are the same their hash says.
    readout = build_readout(config.readout.name, generator=package, **config.readout.options)
    same = bundle.spec.provenance.config.get("readout") == config.readout.model_dump(mode="json")
    if not same or config.voxels is not None or config.participant.scanner is not None:
        raise ConfigError(
            f"expected the training file of bundle {bundle.name!r}, of whole epochs outside a scanner, came one "
            f"{'with voxels or a scanner' if same else 'with another readout'}. Train the bundle again."
        )
    if not isinstance(readout, Dreamed) or isinstance(readout.banks, str):
        raise ConfigError(f"expected a readout that dreams with stated banks, came {config.readout.name!r}.")
    if str(bundle.spec.scores.get("choice", "direct")).startswith("direct"):
        raise BundleError(
            f"bundle {bundle.name!r} took ridge, which did not dream: it has no encoding model."
        )
    return readout


def _reading(bundle: Bundle) -> Callable[[NDArray[Any]], Floats]:
    """Return what the readout's graph makes of epochs, laid out in a row each: (n, values) to (n, latent)."""
    session = onnxruntime.InferenceSession(bundle.read("readout.onnx"), providers=["CPUExecutionProvider"])

    def reads(brain: NDArray[Any]) -> Floats:
        windows = brain.astype(np.float32).reshape(-1, 1, *bundle.window_shape)
        return np.concatenate([session.run(["latent"], {"window": one})[0] for one in windows]).astype(float)

    return reads


def main(words: Sequence[str] | None = None) -> int:
    """Run it from the command line; 2 where it cannot be done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("training", type=Path, help="the training file that it was made by")
    asked = parser.parse_args(words)
    try:
        share = add_encoding(asked.bundle, asked.training)
    except BciError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(
        f"{asked.bundle}: {share:.1%} of what is read of held-out pictures is foretold of the pictures\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
