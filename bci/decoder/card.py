"""A bundle's card says to people what its description says to programs."""

from pydantic import JsonValue

from bci.decoder.spec import AT_CHANCE, ONLY_EVALUATED, BundleSpec
from bci.signal.foreign import visible

#: A list of more numbers, a number for each voxel say, is counted and not written out.
_MOST_NUMBERS = 300

#: What a card says where `bci.decoder.recorded` keeps windows.
HOLDS_WINDOWS = """
## Recorded windows

The file recorded.npy holds some of the windows that were recorded: before a graphics card computes in another
precision, it is compared with float32 on them. They go wherever the bundle goes.
"""


def write_card(spec: BundleSpec) -> str:
    """Return card.md for a bundle, Markdown."""
    signal = spec.signal
    rate = f"{signal.rate:g} Hz" if signal.rate else "irregular rate"
    claim = spec.confidence
    confidence = "none" if claim.kind == "none" else f"{claim.kind}, calibrated on {claim.calibrated_on}"
    labels = ", ".join(signal.channels) or "not named"
    steps = [f"{i}. {_step(step)}" for i, step in enumerate(spec.pipeline, 1)] or ["None: raw samples."]
    sections = [
        f"# {spec.name}",
        spec.title,
        f"**{AT_CHANCE[0].upper()}{AT_CHANCE[1:]}** on what it was not trained on: its pictures say nothing."
        if spec.at_chance
        else "",
        ""
        if spec.live
        else f"**{ONLY_EVALUATED[0].upper()}{ONLY_EVALUATED[1:]}**: no stream's rate is known.",
        "## What goes in",
        f"- {rate}, sample of shape {_shape(signal.shape)}, {signal.unit or 'no unit'}\n- Channels: {labels}\n"
        f"- {spec.window}\n"
        f"- Invalid when more than {100 * spec.masked_limit:g} % of a window is masked",
        "## Pipeline",
        "\n".join(steps),
        "## What comes out",
        f"- {_result(spec)}\n- Confidence: {confidence}\n- {guard(spec)}",
        "## Scores",
        "\n".join(f"- {name}: {_value(value)}" for name, value in spec.scores.items()) or "None were given.",
        "## Where it comes from",
        "\n".join(
            [
                *(f"- Data: {name} ({digest})" for name, digest in spec.provenance.data.items()),
                *(f"- Seed: {name} {seed}" for name, seed in spec.provenance.seeds.items()),
                *(f"- Made with: {name} {version}" for name, version in spec.provenance.versions.items()),
            ]
        )
        or "Not stated.",
    ]
    return visible("\n\n".join(section for section in sections if section)) + "\n"


def guard(spec: BundleSpec) -> str:
    """Return in words what becomes of input that is unlike the training data."""
    if spec.novelty is None and not spec.provenance.data:
        return "Not guarded: it names no data that it was trained on, so that no input is unlike them"
    if spec.novelty is None:
        return (
            "Not guarded: input unlike the training data is not told, and may be decoded at a high confidence; "
            "train the bundle again with this release"
        )
    return (
        f"Input unlike the training data is invalid: limits drawn on {spec.novelty.calibrated_on}; "
        f"{spec.novelty.flagged:.1%} of the scored trials lie beyond them"
    )


def _result(spec: BundleSpec) -> str:
    size = f"{spec.image.width} × {spec.image.height}"
    if spec.result.kind == "picture":
        return f"A latent of {spec.latent} and a picture of {size}"
    result = str(spec.result)
    by = " by a generator that they lead" if spec.graph("drawing") is not None else ""
    return f"{result[0].upper()}{result[1:]}; drawn as a picture of {size}{by}"


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(str(n) for n in shape)


def _step(step: dict[str, JsonValue]) -> str:
    settings = ", ".join(f"{key} {_value(value)}" for key, value in step.items() if key != "step")
    return f"{step.get('step', '?')}" + (f" ({settings})" if settings else "")


def _value(value: JsonValue) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(item)}" for key, item in value.items())
    if isinstance(value, list):
        if len(value) > _MOST_NUMBERS and all(isinstance(item, int | float) for item in value):
            return f"{len(value)} numbers"
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return str(value)
