"""A bundle need not make a picture: probabilities, a number and a word are results too, drawn by small renderers."""

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from tiny_bundle import readout, tiny_bundle, weights
from typer.testing import CliRunner

from bci.cli.app import app
from bci.decoder.bundle import Bundle, save_bundle
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.renderers import open_renderer
from bci.decoder.renderers.blend import Blend, class_pictures_file, read_class_pictures
from bci.decoder.renderers.paper import FRAME, INK, PAPER
from bci.decoder.result import ClassesResult, NumberResult, PictureResult, RhythmResult, TextResult
from bci.decoder.spec import BundleSpec, GraphSpec
from bci.errors import BundleError, ConfigError
from bci.signal.clock import ManualClock
from bci.signal.types import Window

Make = Callable[..., Bundle]
BUNDLES = Path(__file__).resolve().parents[2] / "models" / "bundles"

CLASSES = ClassesResult(kind="classes", labels=("left", "right", "rest"))
NUMBER = NumberResult(kind="number", name="arousal", unit="a.u.", low=-2.0, high=2.0)
WORDS = TextResult(kind="text", words=("yes", "no"))


def window(bundle: Bundle, samples: Any) -> Window:
    n = bundle.length
    values = np.broadcast_to(np.asarray(samples, np.float32), bundle.window_shape)
    bad = np.zeros((n, bundle.output.shape[0]), bool)
    return Window(bundle.output, 0, np.ascontiguousarray(values), np.arange(n) / 100, bad, n - 1)


def decode(bundle: Bundle, samples: Any) -> Any:
    return OnnxDecoder(bundle, clock=ManualClock()).decode(window(bundle, samples))


def test_class_probabilities_are_the_latent_and_their_bars_the_picture(make_bundle: Make) -> None:
    bundle = make_bundle(result=CLASSES, confidence="classifier", height=64, width=96)
    frame = decode(bundle, [0.5, -0.25, 1.0])
    scores = np.array([0.5, -0.25, 1.0]) @ weights(3, 3)
    planted = np.exp(scores) / np.exp(scores).sum()
    assert frame.valid
    np.testing.assert_allclose(frame.latent, planted, atol=1e-6)
    assert frame.confidence == pytest.approx(planted.max(), abs=1e-6)
    # Each third of the picture: how much of its column is ink.
    for k, probability in enumerate(planted):
        column = frame.image[:, 32 * k + 16, 0].astype(float)
        assert (column - FRAME).sum() / (64 * (INK - FRAME)) == pytest.approx(probability, abs=0.002)
    np.testing.assert_array_equal(frame.image, open_renderer(CLASSES, (64, 96))(frame.latent))


def test_a_number_is_kept_as_it_is_and_drawn_within_its_range(make_bundle: Make) -> None:
    bundle = make_bundle(result=NUMBER, height=40, width=40)
    samples = [1.0, 0.5, -0.75]
    frame = decode(bundle, samples)
    planted = float((np.array(samples) @ weights(3, 1)).item())
    assert frame.latent.tolist() == [planted]
    share = (frame.image[:, 20, 0].astype(float) - FRAME).sum() / (40 * (INK - FRAME))
    assert share == pytest.approx((planted + 2) / 4, abs=0.002)
    beyond = decode(bundle, np.multiply(samples, -100))
    assert beyond.latent.tolist() == pytest.approx([-100 * planted])
    assert (beyond.image[:, 20] == INK).all()


def test_the_area_of_a_disc_is_the_number() -> None:
    disc = open_renderer(NumberResult(kind="number", name="load", shape="disc"), (63, 63))
    areas = [
        float((disc(np.array([value], np.float32)).astype(float)[:, :, 0] > (FRAME + INK) / 2).sum())
        for value in (0.0, 0.25, 0.5, 1.0)
    ]
    assert areas[0] == 0
    assert [area / areas[-1] for area in areas[1:]] == pytest.approx([0.25, 0.5, 1.0], abs=0.02)
    assert areas[-1] == pytest.approx(np.pi * 31.5**2, rel=0.02)


def test_a_word_is_the_most_probable_one(make_bundle: Make) -> None:
    bundle = make_bundle(result=WORDS, height=48, width=96)
    draw = open_renderer(WORDS, (48, 96))
    yes, no = (draw(np.array(p, np.float32)) for p in ([0.9, 0.1], [0.1, 0.9]))
    assert (yes != no).any()
    for samples in (1.0, -1.0):
        frame = decode(bundle, samples)
        expected = yes if frame.latent[0] > frame.latent[1] else no
        np.testing.assert_array_equal(frame.image, expected)


@pytest.mark.parametrize("result", [CLASSES, NUMBER, WORDS], ids=["classes", "number", "text"])
def test_the_same_window_gives_the_same_bytes_and_large_pictures_have_labels(
    make_bundle: Make, result: Any
) -> None:
    for size in (8, 96):
        bundle = make_bundle(result=result, height=size, width=size)
        first, other, again = (decode(bundle, samples) for samples in (0.5, -0.25, 0.5))
        assert first.image.tobytes() == again.image.tobytes()
        assert first.image.tobytes() != other.image.tobytes() or result is WORDS
        below = first.image[size - size // 8 :]
        if size == 96 and result is not WORDS:
            assert below.max() > 200 > PAPER
            assert (below == PAPER).any()


def test_a_small_change_of_a_value_changes_pixels_by_a_little() -> None:
    """Another machine's last bits must not move an edge by a whole pixel."""
    for result, values in ((CLASSES, [0.3, 0.6, 0.1]), (NUMBER, [0.7])):
        draw = open_renderer(result, (64, 64))
        exact = np.array(values, np.float32)
        one, other = draw(exact).astype(int), draw(exact * np.float32(1 + 1e-5)).astype(int)
        assert np.abs(one - other).max() <= 1


def test_probabilities_that_are_none_are_invalid_with_the_reason(make_bundle: Make) -> None:
    good = make_bundle(result=CLASSES)
    assert decode(good, 1.0).valid
    # The same readout without its softmax: any numbers under the name of probabilities.
    model = onnx.load_from_string(readout(good.window_shape, 3))
    model.graph.node[-1].output[0] = model.graph.output[0].name = "probabilities"
    bundle = make_bundle(result=CLASSES, replace={"readout.onnx": model.SerializeToString()})
    frame = decode(bundle, 1.0)
    assert (frame.valid, frame.reason) == (False, "probabilities not in 0–1 with sum 1")
    assert np.isnan(frame.latent).all()
    assert not frame.image.any()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"latent": 5}, "how many values the result has, 3 for"),
    ({"graphs": (GraphSpec(file="whole.onnx", role="whole"),)}, "one readout alone"),
]


@pytest.mark.parametrize(("change", "words"), WRONG)
def test_a_description_that_does_not_fit_its_result_is_refused(
    make_bundle: Make, change: dict[str, Any], words: str
) -> None:
    spec = make_bundle(result=CLASSES).spec
    with pytest.raises(ValidationError, match=words):
        BundleSpec(**spec.model_dump() | change)


def test_labels_that_are_the_same_and_an_empty_range_are_refused() -> None:
    with pytest.raises(ValidationError, match="names one thing"):
        ClassesResult(kind="classes", labels=("left", "left"))
    with pytest.raises(ValidationError, match="from low to high"):
        NumberResult(kind="number", name="a", low=1.0, high=1.0)


def test_a_rhythm_goes_round_its_dial() -> None:
    result = RhythmResult(kind="rhythm", name="theta", low=4, high=12, unit="mV²", full=4.0)
    assert (result.describe([math.pi / 2, 1.0]), result.value_names(2)) == (
        "theta +90°, 1 mV²",
        ("phase (rad)", "power (mV²)"),
    )
    dial = open_renderer(result, (63, 63))

    def place(phase: float, power: float) -> tuple[float, float]:
        rows, columns = np.nonzero(dial(np.array([phase, power], np.float32))[:, :, 0] > 200)
        return float(columns.mean()) - 31, 31 - float(rows.mean())

    at_rim = place(0.0, 4.0)[0]
    for phase in (0.0, 1.0, -2.5, math.pi):
        for power, share in ((4.0, 1.0), (1.0, 0.5), (400.0, 1.0), (0.0, 0.0)):
            expected = at_rim * share * np.array([math.cos(phase), math.sin(phase)])
            np.testing.assert_allclose(place(phase, power), expected, atol=0.6)
    with pytest.raises(ValidationError, match="band goes from low to high"):
        RhythmResult(kind="rhythm", name="theta", low=12, high=4)


def test_a_readout_without_the_output_that_its_result_needs_is_refused(make_bundle: Make) -> None:
    shape = make_bundle(result=CLASSES).window_shape
    with pytest.raises(BundleError, match="probabilities"):
        make_bundle(result=CLASSES, replace={"readout.onnx": readout(shape, 3)})


def test_a_picture_is_described_as_it_always_was(make_bundle: Make, tmp_path: Path) -> None:
    bundle = make_bundle()
    assert "result" not in json.loads((bundle.folder / "bundle.json").read_text())
    assert bundle.spec.value_names == ("latent-0", "latent-1")
    shipped = [folder for folder in sorted(BUNDLES.iterdir()) if (folder / "bundle.json").is_file()]
    specs = {folder: Bundle.load(folder).spec for folder in shipped}
    others = {
        folder.name: spec.result.kind for folder, spec in specs.items() if spec.result.kind != "picture"
    }
    assert others == {"p300": "classes", "rates": "number"}
    assert len(specs) - len(others) >= 3
    for folder, spec in specs.items():
        described = json.loads((folder / "bundle.json").read_text())
        assert ("result" in described) == (folder.name in others)
        again = save_bundle(tmp_path / folder.name, spec, {name: folder / name for name in spec.files})
        assert (again.folder / "bundle.json").read_bytes() == (folder / "bundle.json").read_bytes()


def test_values_are_named_for_other_programs(make_bundle: Make) -> None:
    assert make_bundle(result=CLASSES).spec.value_names == tuple(f"probability-{x}" for x in CLASSES.labels)
    assert make_bundle(result=NUMBER).spec.value_names == ("value-arousal (a.u.)",)


def test_the_operator_reads_the_result_in_words() -> None:
    assert CLASSES.describe([0.25, 0.625, 0.125]) == "right 62%"
    assert WORDS.describe([0.9, 0.1]) == "yes 90%"
    assert NUMBER.describe([-0.5]) == "arousal -0.5 a.u."
    assert [PictureResult().describe(latent) for latent in ([0.5], [1.0, 2.0])] == [
        "latent +0.50",
        "2 latents",
    ]


@pytest.mark.parametrize("result", [CLASSES, NUMBER, WORDS], ids=["classes", "number", "text"])
def test_the_command_line_and_the_card_say_what_the_result_is(make_bundle: Make, result: Any) -> None:
    bundle = make_bundle(result=result)
    card = (bundle.folder / "card.md").read_text(encoding="utf-8")
    said = str(result)
    assert f"{said[0].upper()}{said[1:]}; drawn as a picture of 8 × 6" in card
    done = CliRunner().invoke(app, ["info", str(bundle.folder), "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    assert json.loads(done.stdout.strip().splitlines()[-1])["result"]["kind"] == result.kind
    scored = CliRunner().invoke(app, ["evaluate", str(bundle.folder), "--json"])
    assert isinstance(scored.exception, ConfigError)
    assert "no system here scores that" in str(scored.exception)


def test_float16_readouts_are_compared_by_their_values(tmp_path: Path) -> None:
    from tiny_bundle import result_readout

    shape = (20, 3)
    twin = GraphSpec(file="readout16.onnx", role="readout", precision="float16")
    exact = GraphSpec(file="readout.onnx", role="readout")
    bundle = tiny_bundle(
        tmp_path / "bundle",
        result=CLASSES,
        graphs=(exact, twin),
        replace={"readout16.onnx": result_readout(shape, CLASSES, 3)},
    )
    windows: list[NDArray[np.float32]] = [np.full(shape, value, np.float32) for value in (0.5, -1.0)]
    decoder = OnnxDecoder(bundle, clock=ManualClock(), precision="float16", parity=windows)
    assert decoder.decode(window(bundle, 0.5)).valid


def test_classes_drawn_as_pictures_are_the_pictures_where_certain_and_grey_where_guessed() -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (3, 4, 5, 3), np.uint8)
    draw = Blend(read_class_pictures(class_pictures_file(pictures), 3, (4, 5)))
    for place in range(3):
        np.testing.assert_array_equal(draw(np.eye(3, dtype=np.float32)[place]), pictures[place])
    guess = draw(np.full(3, 1 / 3, np.float32))
    assert (guess == guess[0, 0, 0]).all()
    # Nothing jumps where another class becomes the most probable.
    steps = [draw(np.array([p, 1 - p, 0], np.float32)).astype(int) for p in np.linspace(0, 1, 101)]
    assert max(np.abs(a - b).max() for a, b in itertools.pairwise(steps)) <= 5


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"\x93NUMPY nonsense", class_pictures_file(np.zeros((2, 4, 5, 3), np.uint8))],
)
def test_pictures_of_classes_that_do_not_fit_are_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="expected the pictures of 3 classes"):
        read_class_pictures(content, 3, (4, 5))
