"""A class that is read leads a generator between the latents of the classes: by a file, or by what sessions showed."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from planted_collection import collected_session, pictures

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.renderer import Artist
from bci.decoder.result import ClassesResult
from bci.decoder.spec import BundleSpec
from bci.errors import BciError, BundleError, ConfigError, RecordingError
from bci.io.shipped import SHIPPED
from bci.signal.clock import ManualClock
from bci.signal.types import Window
from models.generators.frozen import for_decoder, steered
from models.generators.package import GeneratorPackage
from models.systems.events.drawing import open_drawing
from models.systems.events.own_data import open_events
from models.systems.registry import system_of_file

D = 64  # of the shipped generator of faces
TRAINING = """
kind = "events"
name = "pets"
folds = 5
shuffles = 19
[draw]
generator = "dcgan-faces"
{draw}
[data]
sessions = ["s"]
[signal]
channels = ["O1", "Oz", "O2"]
[[pipeline]]
step = "band_pass"
low = 1.0
high = 30.0
order = 2
[epoch]
start = 0.0
stop = 0.4
[readout]
block = 5
"""


@pytest.fixture(scope="module")
def faces() -> GeneratorPackage:
    return GeneratorPackage.load(SHIPPED["bundles"] / "dcgan-faces")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of cats and dogs whose latents lie beside the pictures, and files of latents."""
    folder = tmp_path_factory.mktemp("steered")
    stimuli = pictures(folder / "pets", each=4)
    names = [f"{kind}/{i:02}" for kind in ("cats", "dogs") for i in range(4)]
    latents = np.random.default_rng(2).standard_normal((8, D)).astype(np.float32)
    rows = dict(zip(names, latents.tolist(), strict=True))
    (stimuli / "latents.json").write_text(json.dumps(rows))
    (folder / "classes.json").write_text(json.dumps({"cats": [1.0] * D, "dogs": [-1.0] * D}))
    (folder / "cats.json").write_text(json.dumps({"cats": [1.0] * D}))
    (folder / "small.json").write_text(json.dumps({"cats": [1.0], "dogs": [0.0]}))
    (folder / "list.json").write_text("[1, 2]")
    collected_session(folder / "s", stimuli, 32)
    return folder


@pytest.fixture
def training(tmp_path: Path) -> Callable[[str], Path]:
    def write(draw: str = "") -> Path:
        path = tmp_path / "train.toml"
        path.write_text(TRAINING.format(draw=draw))
        return path

    return write


def test_a_mix_of_classes_is_drawn_as_the_mix_of_their_latents(faces: GeneratorPackage) -> None:
    import onnxruntime

    latents = np.random.default_rng(0).standard_normal((3, D)).astype(np.float32)
    graph = steered(for_decoder(faces.graph, faces.spec.rule, faces.spec.limit), latents)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for mix in ([1, 0, 0], [0.2, 0.5, 0.3], [1 / 3, 1 / 3, 1 / 3]):
        weights = np.array([mix], np.float32)
        drawn = session.run(["image"], {"probabilities": weights})[0]
        expected = faces.draw(weights @ latents)[0]
        seen = np.clip((drawn[0].transpose(1, 2, 0) - faces.spec.image.low) / 2 * 255, 0, 255)
        assert np.abs(seen - expected).max() <= 1
    with pytest.raises(ValueError, match=rf"\(k, {D}\), came \(3, 2\)"):
        steered(graph=for_decoder(faces.graph, faces.spec.rule), latents=latents[:, :2])


def test_a_decoder_of_classes_draws_with_a_generator_and_still_gives_classes(
    training: Callable[..., Path], root: Path, tmp_path: Path, faces: GeneratorPackage
) -> None:
    path = training()
    system = system_of_file(path)
    system.train(path, tmp_path / "bundle", data_root=root, progress=lambda done, text: None)
    bundle = Bundle.load(tmp_path / "bundle")
    assert bundle.spec.result == ClassesResult(kind="classes", labels=("cats", "dogs"))
    assert [graph.role for graph in bundle.spec.graphs] == ["readout", "drawing"]
    assert bundle.spec.provenance.data["generator dcgan-faces"] == faces.hash
    assert bundle.palette["latent"] == 0  # it draws probabilities, no latents of a protocol
    known = json.loads((root / "pets" / "latents.json").read_text())
    means = [
        np.mean([row for name, row in known.items() if name.startswith(kind)], 0) for kind in ("cats", "dogs")
    ]
    artist = Artist(bundle)
    for mix in (np.array([1, 0]), np.array([0.25, 0.75])):
        expected = faces.draw((mix @ means)[None].astype(np.float32))[0].astype(int)
        drawn = artist.draw(mix.astype(np.float32))
        assert drawn is not None
        assert np.abs(drawn - expected).max() <= 1

    decoder = OnnxDecoder(bundle, clock=ManualClock(100.0))
    samples = np.random.default_rng(1).normal(0, 4, bundle.window_shape).astype(np.float32)
    n = bundle.length
    window = Window(bundle.output, 0, samples, np.arange(n) / 100, np.zeros(n, bool), n - 1)
    frame = decoder.decode(window)
    assert frame.valid, frame.reason
    assert frame.latent.sum() == pytest.approx(1)
    np.testing.assert_array_equal(frame.image, artist.draw(frame.latent))
    held = system.held_out(bundle, data_root=root, progress=lambda done, text: None)
    np.testing.assert_array_equal(held.seen[0], artist.draw(np.array([1, 0], np.float32)))


def test_the_latent_of_a_class_may_stand_in_a_file(
    training: Callable[..., Path], root: Path, faces: GeneratorPackage
) -> None:
    drawing = open_drawing(*open_events(training('latents = "classes.json"'), root), root)
    expected = steered(
        for_decoder(faces.graph, faces.spec.rule, faces.spec.limit), np.array([[1.0] * D, [-1.0] * D])
    )
    assert drawing.files == {"drawing.onnx": expected}
    assert drawing.image == faces.spec.image


@pytest.mark.parametrize(
    ("draw", "error", "words"),
    [
        ('latents = "cats.json"', ConfigError, "expected the latent of class 'dogs', or of pictures of it"),
        ('latents = "small.json"', ConfigError, f"latents of {D} finite values.*others of 'cats'"),
        ('latents = "list.json"', ConfigError, "expected latents by their names"),
        ('latents = "none.json"', ConfigError, "none.json"),
        (
            '[draw.pictures]\ncats = "a.png"\ndogs = "b.png"',
            ConfigError,
            "expected pictures, or a generator, came both",
        ),
    ],
)
def test_latents_that_a_generator_cannot_draw_are_refused(
    training: Callable[..., Path], root: Path, draw: str, error: type[BciError], words: str
) -> None:
    with pytest.raises(error, match=words):
        open_drawing(*open_events(training(draw), root), root)


def test_pictures_without_latents_lead_no_generator(training: Callable[..., Path], tmp_path: Path) -> None:
    collected_session(tmp_path / "s", pictures(tmp_path / "pets", each=4), 32)
    with pytest.raises(
        RecordingError, match=r"expected the latent of picture '(cats|dogs)/0\d' in latents.json"
    ):
        open_drawing(*open_events(training(), tmp_path), tmp_path)


def test_a_drawing_belongs_to_a_result_that_is_no_picture(
    training: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    path = training('latents = "classes.json"')
    system_of_file(path).train(path, tmp_path / "bundle", data_root=root, progress=lambda done, text: None)
    described = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    both = described | {"result": described["result"] | {"pictures": "classes.npy"}}
    with pytest.raises(BundleError, match="by a drawing or as pictures of their own; got both"):
        BundleSpec.from_json(json.dumps(both).encode(), "bundle.json")
    del described["result"]
    with pytest.raises(
        BundleError, match=r"one readout and one generator, or one whole graph.*'drawing', 'readout'"
    ):
        BundleSpec.from_json(json.dumps(described).encode(), "bundle.json")
