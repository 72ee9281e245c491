"""Training: features of pictures decoded from a simulated participant, latents sought by gradient, and distilled.

The participant looks at pictures that a generator drew (as in `models.systems.hyper`), and never shows a latent. Of
pictures that were not trained on, both ways are scored: reconstruction by gradient, the reference, and the distilled
network, which is what the bundle holds. Nothing that comes of it is a measurement of a brain.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from bci.decoder.bundle import require_place
from bci.decoder.spec import NoveltySpec
from bci.errors import ConfigError
from bci.io.files.folder import plain
from bci.io.files.replacing import replaced
from models.generators.package import GeneratorPackage
from models.insilico.trials import HELD_OUT, TRAINING, answers, design, participant_of
from models.metrics.identification import headline
from models.networks.weights import identity
from models.provenance import processor, versions
from models.readouts.distilled import Distilled
from models.systems.gradient.settings import GradientConfig, load_gradient
from models.systems.gradient.ways import SLOW, TestTrials, find_both_ways, score_both_ways, slow_file
from models.systems.hyper.bundle import bundle_of, require_stimuli_place, write_stimuli
from models.systems.hyper.train import fit_readout, score_trials, size_of
from models.systems.saving import TRAINING as RECORD
from models.systems.saving import save_decoder
from models.systems.system import Progress, check_worth

_PACKAGES = ("numpy", "scipy", "onnx", "onnxruntime", "torch")


def train_gradient(path: Path, out: Path, progress: Progress, even_at_chance: bool = False) -> dict[str, Any]:
    """Train a file and write its bundle; see `models.systems.system.Train`."""
    config = load_gradient(path)
    require_place(out)
    require_stimuli_place(config.stimuli)
    _require_rows(config)
    package = GeneratorPackage.load(config.generator)
    random = np.random.default_rng(config.seed)
    plan = design(config, package.spec.latent, random)
    latents, pictures = plan.latents, package.draw(plan.latents)
    reference = pictures[plan.reference]
    progress(0.05, "the participant looks at the training pictures")
    participant = participant_of(config, reference, TRAINING)
    fitted = answers(config, participant, pictures[plan.train], latents[plan.train])
    progress(0.2, "the participant looks at other pictures")
    other = participant_of(config, reference, HELD_OUT)
    held = answers(config, other, pictures[plan.shown], latents[plan.shown])
    progress(0.3, "decoding features, distilling")
    mask, readout = fit_readout(config, fitted, package)
    assert isinstance(readout, Distilled)  # the settings have no other
    brain = mask(held.brain) if mask else held.brain
    size, sizes = size_of(config, readout, package)
    progress(0.75, "scoring the distilled network, and seeking pictures by gradient")
    scores, claim = score_trials(config, readout, size, brain, held.latents, random)
    worth = headline(scores)
    scores |= check_worth(worth["informed"], worth["headline"], even_at_chance)
    place = {latent.tobytes(): k for k, latent in enumerate(latents[plan.test])}
    which = np.array([place[row.tobytes()] for row in held.latents])
    if len(np.unique(which)) < len(plan.test):
        raise ConfigError(
            f"expected trials of all {len(plan.test)} test pictures after the filters have settled, came "
            f"{len(np.unique(which))}. Give [trials] a longer lead_in_s."
        )
    trials = TestTrials(brain, which, pictures[plan.test])
    found = find_both_ways(readout, size, trials)
    scores |= {
        "size": size.kind,
        "sizes": sizes,
        "network": f"{readout.network.architecture.name}, {readout.network.origin}",
        "ways": score_both_ways(package, found, trials.pictures),
        "explained": layers_explained(readout),
    }
    progress(0.95, "exporting")
    novelty = NoveltySpec(
        calibrated_on=f"held-out runs of the {len(fitted.brain)} training trials",
        flagged=float(readout.frozen(1).unlike(brain).mean()),
    )
    spec, files = bundle_of(config, package, participant.signal, readout, mask, size, scores, claim, novelty)
    network = f"network {readout.network.architecture.name}"
    origin = {**spec.provenance.data, network: identity(readout.network)}
    spec = spec.model_copy(update={"provenance": spec.provenance.model_copy(update={"data": origin})})
    files[SLOW] = slow_file(found)
    files[RECORD] = record(config, scores)
    with replaced(config.stimuli) as stimuli:
        write_stimuli(stimuli, pictures[plan.test], latents[plan.test], reference)
        scores["hash"] = save_decoder(out, spec, files, held.brain).hash
    progress(1.0, "done")
    return scores


def layers_explained(readout: Distilled) -> dict[str, float]:
    """Return by layer the mean squared correlation of decoded units with true ones, on held-out training trials."""
    space, decoder = readout.parts_.space, readout.parts_.decoder
    return {
        name: float(decoder.explained[space.layer == number].mean())
        for number, name in enumerate(space.names)
    }


def record(config: GradientConfig, scores: dict[str, Any]) -> str:
    """Return what training leaves beside the graphs."""
    left = {
        "config": config.model_dump(mode="json", exclude={"generator", "stimuli", "scan"}),
        "seeds": {"all": config.seed},
        "versions": versions(_PACKAGES),
        "processor": processor(),
        "scores": scores,
    }
    return json.dumps(plain(left), indent=1, ensure_ascii=False) + "\n"


def _require_rows(config: GradientConfig) -> None:
    if config.participant.scanner is not None:
        raise ConfigError(
            "kind = 'gradient': expected a participant who answers in rows of voxels or electrodes, came one in a "
            "scanner. Take [participant.scanner] out, or train kind = 'hyper-insilico' with the readout 'distilled'."
        )
