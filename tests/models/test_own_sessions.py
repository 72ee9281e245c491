"""Sessions of one's own are training data: classes by folders or tables, what is left out, what is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from planted_collection import collected_session, pictures

from bci.errors import ConfigError, RecordingError
from models.systems.events.folds import folds_of
from models.systems.events.own_data import open_events
from models.systems.events.scoring import predict, score
from models.systems.events.trials import cut_trials
from models.systems.registry import system_of_file

TRAINING = """
kind = "events"
name = "pets"
folds = {folds}
shuffles = 19
{classes}
[data]
sessions = {sessions}
{data}
[signal]
channels = ["O1", "Oz", "O2"]
unit = "uV"
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
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    stimuli = pictures(folder / "pets", each=4)
    for i in range(2):
        collected_session(folder / f"s{i}", stimuli, 32, seed=i, aborted=(3, 9), gap_at=8.0 if i else None)
    return folder


@pytest.fixture
def training(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes a training file."""

    def write(sessions: str = '["s*"]', folds: str = "5", classes: str = "", data: str = "") -> Path:
        path = tmp_path / "train.toml"
        path.write_text(TRAINING.format(sessions=sessions, folds=folds, classes=classes, data=data))
        return path

    return write


def test_pictures_are_of_the_class_of_their_folder(training: Callable[..., Path], root: Path) -> None:
    config, base = open_events(training(), root)
    assert config.data is not None
    assert config.data.sessions == ("s0", "s1")
    assert config.classes == {"cats": r"stimulus \d+ cats/.*", "dogs": r"stimulus \d+ dogs/.*"}
    trials = cut_trials(config, base)
    assert trials.labels == ("cats", "dogs")
    assert sorted(trials.data) == ["s0", "s1"]
    # Two were aborted in each session; of the second, the gap took one or two, and after it filters settle.
    assert trials.left_out["aborted"] == 4
    assert trials.left_out["gap"] in (1, 2)
    assert len(trials) == 64 - sum(trials.left_out.values())
    assert set(trials.left_out) == {"aborted", "gap", "unsettled"}
    assert len(np.unique(trials.shown)) == 8
    predicted = predict(config, trials, list(folds_of(config, trials)))
    assert (predicted.scores.argmax(axis=1) == trials.classes).mean() > 0.9


def test_written_out_again_it_names_the_same_sessions_whatever_was_recorded_since(
    training: Callable[..., Path], root: Path
) -> None:
    from models.systems.events.own_data import written_out
    from models.systems.events.settings import parse_events

    config, base = open_events(training('["s0"]'), root)
    again = parse_events(config.model_dump(mode="json"), "provenance")
    assert again == config == written_out(again, base)


def test_a_table_says_the_classes(training: Callable[..., Path], root: Path) -> None:
    rows = [f"{kind}/{i:02},{'even' if i % 2 == 0 else 'odd'}" for kind in ("cats", "dogs") for i in range(4)]
    (root / "parity.csv").write_text("picture,class\n" + "\n".join(rows) + "\n")
    config, base = open_events(training(data='classes = "parity.csv"'), root)
    trials = cut_trials(config, base)
    assert trials.labels == ("even", "odd")
    assert config.any_class() == r"stimulus \d+ .*"
    (root / "parity.csv").write_text("picture,class\n" + "\n".join(rows[:-1]) + "\n")
    with pytest.raises(
        RecordingError, match=r"class of each of 8 pictures that were shown, came none of dogs/03"
    ):
        open_events(training(data='classes = "parity.csv"'), root)


def test_patterns_of_markers_say_the_classes(training: Callable[..., Path], root: Path) -> None:
    classes = '[classes]\nfirst = "stimulus .*/00"\nothers = "stimulus .*/0[1-3]"'
    config, base = open_events(training(classes=classes), root)
    trials = cut_trials(config, base)
    assert trials.labels == ("first", "others")
    assert (trials.classes == 0).sum() < (trials.classes == 1).sum()


def test_no_picture_is_fitted_on_and_scored(training: Callable[..., Path], root: Path) -> None:
    config, base = open_events(training(folds='"pictures"'), root)
    trials = cut_trials(config, base)
    folds = list(folds_of(config, trials))
    assert len(folds) == 4
    assert sorted(np.concatenate([fold.score for fold in folds])) == list(range(len(trials)))
    for fold in folds:
        assert not set(trials.shown[fold.fit]) & set(trials.shown[fold.score])
        assert set(trials.classes[fold.score]) == {0, 1}
    scores = score(config, trials, folds)
    assert scores["auc"] > 0.9 > scores["shuffled"][1]


def test_what_tells_pictures_but_no_classes_is_at_chance(
    training: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    stimuli = root / "pets"
    random = np.random.default_rng(5)
    names = [f"{kind}/{i:02}" for kind in ("cats", "dogs") for i in range(4)]
    answers = {name: 6 * random.standard_normal(3) for name in names}
    collected_session(tmp_path / "s", stimuli, 48, latents=answers)
    config, base = open_events(training('["s"]', folds='"pictures"'), tmp_path)
    trials = cut_trials(config, base)
    by_picture = score(config, trials, list(folds_of(config, trials)))
    by_time = config.model_copy(update={"folds": 4})
    mixed = score(by_time, trials, list(folds_of(by_time, trials)))
    # Folds in time are fitted on the very pictures that they are scored on.
    assert mixed["auc"] > by_picture["auc"]
    assert by_picture["shuffled"][0] <= by_picture["auc"] <= by_picture["shuffled"][2]


def test_data_says_what_sessions_hold(training: Callable[..., Path], root: Path) -> None:
    path = training()
    found = system_of_file(path).find_data(path, data_root=root)
    assert found.columns == ("session", "cats", "dogs", "trials")
    assert [row[0] for row in found.rows] == ["s0", "s1", "all"]
    assert found.left_out["aborted"] == 4
    assert found.repeats.startswith("8 stimuli, each shown ")


def test_sessions_are_folds_of_their_own(training: Callable[..., Path], root: Path) -> None:
    config, base = open_events(training(folds='"recordings"'), root)
    trials = cut_trials(config, base)
    assert [set(trials.run[fold.score]) for fold in folds_of(config, trials)] == [{0}, {1}]
    one, base = open_events(training('["s0"]', folds='"recordings"'), root)
    with pytest.raises(RecordingError, match="needs at least two recordings or sessions, came one"):
        folds_of(one, cut_trials(one, base))


def refused(training: Callable[..., Path], root: Path, **changes: Any) -> str:
    config, base = open_events(training(**changes), root)
    with pytest.raises(RecordingError) as caught:
        folds_of(config, cut_trials(config, base))
    return str(caught.value)


def test_sessions_of_two_participants_are_refused(
    training: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    for name, subject in (("a", "S01"), ("b", "S02")):
        collected_session(tmp_path / name, root / "pets", 16, subject=subject)
    words = refused(training, tmp_path, sessions='["a", "b"]')
    assert "one participant, came S01 in a and S02 in b" in words


def test_a_copy_of_a_session_is_found_whatever_it_is_called(
    training: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    shutil.copytree(root / "s0", tmp_path / "monday")
    shutil.copytree(root / "s0", tmp_path / "tuesday")
    words = refused(training, tmp_path, sessions='["monday", "tuesday"]')
    assert "tuesday holds the very samples of monday" in words


def test_sessions_of_another_montage_or_unit_are_refused(
    training: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    collected_session(tmp_path / "a", root / "pets", 16, channels=("O1", "Oz", "Pz"))
    with pytest.raises(Exception, match=r"O2.*Pz|Pz.*O2"):
        refused(training, tmp_path, sessions='["a"]')
    collected_session(tmp_path / "b", root / "pets", 16, unit="mV")
    assert "expected a recording in uV, came mV" in refused(training, tmp_path, sessions='["b"]')


def test_values_that_no_brain_gives_in_that_unit_are_refused_and_said_where_they_are_meant(
    training: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    collected_session(tmp_path / "a", root / "pets", 16, unit="V")
    path = training('["a"]')
    path.write_text(path.read_text().replace('unit = "uV"', 'unit = "V"'))
    with pytest.raises(
        RecordingError, match=r"a: channels move by .* V in a second, .* probably another, uV\."
    ):
        system_of_file(path).find_data(path, data_root=tmp_path)
    path.write_text(path.read_text().replace("[signal]", "[signal]\nany_amplitude = true"))
    found = system_of_file(path).find_data(path, data_root=tmp_path)
    assert any("a: " in words and "V" in words for words in found.defects)


def test_too_few_trials_are_refused_with_their_number(
    training: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    collected_session(tmp_path / "a", root / "pets", 8, aborted=range(1, 8))
    with pytest.raises(RecordingError, match="at least 2 classes, came 1"):
        open_events(training('["a"]'), tmp_path)
    collected_session(tmp_path / "b", root / "pets", 8, aborted=range(3, 8))
    config, base = open_events(training('["b"]'), tmp_path)
    with pytest.raises(RecordingError, match=r"at least 2 trials of each class|trials of every class"):
        folds_of(config, cut_trials(config, base))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"sessions": '["nowhere"]'}, RecordingError, "expected a session's folder 'nowhere'"),
        ({"sessions": '["s0", "s*"]'}, RecordingError, "s0 is named twice"),
        ({"sessions": '["pets"]'}, RecordingError, "is not a whole session"),
        ({"sessions": '["../x"]'}, ConfigError, r"without \.\."),
        ({"sessions": "[]"}, ConfigError, "sessions"),
        ({"data": 'classes = "parity.xlsx"'}, ConfigError, "a table"),
        ({"data": 'classes = "none.csv"'}, RecordingError, "expected a table 'none.csv'"),
        ({"classes": '[classes]\none = "x"'}, ConfigError, "at least 2, came 1"),
        (
            {"classes": '[[recordings]]\npath = "x.npy"\n[classes]\na = "1"\nb = "2"'},
            ConfigError,
            r"\[\[recordings\]\], or \[data\] with sessions, bids or arrays, came both",
        ),
    ],
)
def test_files_that_cannot_be_meant_are_refused(
    training: Callable[..., Path], root: Path, changes: dict[str, str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        open_events(training(**changes), root)


def test_markers_that_match_nothing_are_listed(training: Callable[..., Path], root: Path) -> None:
    words = refused(training, root, classes='[classes]\na = "S  1"\nb = "S  2"')
    assert "came 0 of 'a' ('S  1'), 0 of 'b' ('S  2')" in words
    assert "'stimulus 0 cats/00'" in words


def test_pictures_beside_the_folders_have_no_class(training: Callable[..., Path], tmp_path: Path) -> None:
    stimuli = tmp_path / "flat"
    pictures(tmp_path / "made", kinds=("cats",))
    shutil.move(str(tmp_path / "made" / "cats"), stimuli)
    collected_session(tmp_path / "a", stimuli, 8)
    with pytest.raises(RecordingError, match=r"such as cats/0\d, came '0\d' beside them"):
        open_events(training('["a"]'), tmp_path)


def test_a_class_is_drawn_as_a_picture_of_the_user_s(
    training: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    from bci.decoder.bundle import Bundle
    from bci.decoder.renderers import open_renderer

    draw = 'picture = [6, 8]\n[draw.pictures]\ncats = "pets/cats/00.png"\ndogs = "pets/dogs/00.png"'
    path = training(classes=draw)
    system_of_file(path).train(path, tmp_path / "bundle", data_root=root, progress=lambda done, text: None)
    bundle = Bundle.load(tmp_path / "bundle")
    assert bundle.image_size == (6, 8)
    render = open_renderer(bundle.spec.result, bundle.image_size, bundle.read)
    cat, guess = render(np.array([1, 0], np.float32)), render(np.array([0.5, 0.5], np.float32))
    with Image.open(root / "pets" / "cats" / "00.png") as opened:
        # Cut around the middle: eight rows of pixels become six.
        np.testing.assert_array_equal(cat, np.asarray(opened)[1:7])
    assert (guess == guess[0, 0, 0]).all()
    held = system_of_file(path).held_out(bundle, data_root=root, progress=lambda done, text: None)
    np.testing.assert_array_equal(held.seen[0], cat)


@pytest.mark.parametrize(
    ("draw", "error", "words"),
    [
        (
            'cats = "pets/cats/00.png"\nbirds = "x.png"',
            ConfigError,
            "one for each class, cats, dogs; came those of",
        ),
        ('cats = "pets/cats/00.png"\ndogs = "x.png"', ConfigError, r"x\.png"),
        ('cats = "pets/cats/00.png"\ndogs = "s0/trials.csv"', ConfigError, "cannot be read as a picture"),
    ],
)
def test_pictures_of_classes_that_are_none_are_refused(
    training: Callable[..., Path], root: Path, draw: str, error: type[Exception], words: str
) -> None:
    from models.systems.events.drawing import open_drawing

    with pytest.raises(error, match=words):
        open_drawing(*open_events(training(classes=f"[draw.pictures]\n{draw}"), root), root)


def test_of_few_trials_a_bundle_is_written_without_the_averages_that_there_are_not(
    training: Callable[..., Path], tmp_path: Path
) -> None:
    collected_session(tmp_path / "s", pictures(tmp_path / "pets", each=6), 24)
    path = training('["s"]', folds='"pictures"')
    scores = system_of_file(path).train(
        path, tmp_path / "bundle", data_root=tmp_path, progress=lambda done, text: None
    )
    # Five folds of two pictures or so, each seen twice: no five trials of a class in any.
    assert scores["auc"] > scores["shuffled"][2]
    assert "1" in scores["averaged"]
    assert "5" not in scores["averaged"]
