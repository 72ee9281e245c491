"""README says what is so: its links, commands, options and figures are those of the code and of the bundles."""

import json
import re
import shlex
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest
from commands import call
from proofs import is_there
from readme_proofs import PROVEN
from sentences import Row, blocks, sentences

from bci.cli import demos
from bci.config.display import DisplaySettings
from bci.config.programs import DecoderSettings
from bci.control.conclusion import EXIT_STATUS
from bci.decoder.bundle import Bundle
from bci.sim.participant import DEFAULT_SNR
from models.readouts.family import FAMILY

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

#: Whole sentences, however the lines are broken.
WORDS = " ".join(README.split())

#: Code between backquotes, and the lines of fenced blocks.
FENCES = re.findall(r"```\n(.*?)```", README, re.S)
CODE = re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", re.sub(r"```.*?```", "", README, flags=re.S))
LINES = [" ".join(code.split()) for code in CODE] + [
    line.split("#")[0].strip() for fence in FENCES for line in fence.splitlines()
]
VERBS = sorted({match[1] for line in LINES if (match := re.match(r"(?:\.venv/bin/)?bci ([\w-]+)", line))})
SHIPPED = sorted(path.parent for path in (ROOT / "models" / "bundles").glob("*/bundle.json"))


def test_every_link_leads_to_a_file_of_the_project():
    links = re.findall(r"\]\(([^)#\s]+)\)", README)
    assert len(links) > 15
    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_is_one_and_takes_the_options_that_stand_behind_it(verb):
    """An option in the table of commands belongs to the verb of its row."""
    done = call(verb, "--help")
    assert done.status == 0, verb
    named = {
        option
        for line in LINES
        if re.match(rf"(?:\.venv/bin/)?bci {verb}\b", line)
        for option in re.findall(r"--[a-z-]+", line)
    }
    for row in README.splitlines():
        if row.startswith(f"| `bci {verb}"):
            named |= set(re.findall(r"`(--[a-z-]+)", row))
    assert {option for option in named if option not in done.words} == set()


def test_every_command_there_is_stands_in_readme():
    listed = set(re.findall(r"^│ ([a-z][a-z-]+) ", call("--help").words, re.M)) - {"help"}
    assert len(listed) > 15
    assert listed <= set(re.findall(r"\bbci ([a-z-]+)", " ".join(LINES)))


def test_exit_statuses_are_those_of_a_session():
    sentence = re.search(r"Exit status: (.*?)\.", WORDS)[1]
    said = re.findall(r"(\d) ([a-z ,]+?)(?=, \d|$)", sentence)
    assert [number for number, _ in said] == ["0", "2", "3", "4"]
    words = dict(said)
    assert set(EXIT_STATUS.values()) == {0, 3, 4}
    three = {status for status, number in EXIT_STATUS.items() if number == 3}
    in_words = {"safe": "safe state", "lost": "lost its source", "empty": "decoded or recorded nothing"}
    assert all(words_of in words["3"] for words_of in in_words.values())
    assert three <= set(in_words) | {
        "failed"
    }  # of a recording whose program was given up: a check that failed


def test_options_that_stand_alone_are_those_of_the_demo():
    sentences = WORDS.partition("## What it promises")[0]
    options = set(re.findall(r"`(--[a-z]+)[ `]", sentences))
    assert {"--snr"} <= options
    assert {option for option in options if option not in call("demo", "--help").words} == set()


def test_every_configuration_that_is_named_is_there():
    named = {word for line in LINES for word in re.findall(r"configs/[\w-]+\.toml", line)}
    assert len(named) > 8
    assert {name for name in named if not (ROOT / name).is_file()} == set()


def test_every_benchmark_is_a_module_and_takes_the_options_that_stand_behind_it():
    figures = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    there = LINES + re.findall(r"`([^`\n]+)`", figures)
    lines = [line for line in there if line.startswith("python -m benchmarks.")]
    assert len(lines) > 30
    for line in lines:
        _, _, module, *rest = shlex.split(line)
        spec = find_spec(module)
        assert spec is not None, module
        assert spec.origin is not None, module
        source = Path(spec.origin).read_text(encoding="utf-8")
        assert [word for word in rest if word.startswith("--") and f'"{word}"' not in source] == [], line


def test_the_keys_for_a_screen_and_a_card_are_those_of_a_session_file():
    screen = re.search(r"\*\*With your screen\.\*\*(.*?)\n\n", README, re.S)[1]
    keys = set(re.findall(r"`([a-z_]+)`", screen))
    assert keys <= set(DisplaySettings.model_fields)
    assert {"monitor", "full_screen", "viewing_distance_cm", "screen_width_cm"} <= keys
    assert "cuda" in get_args(DecoderSettings.model_fields["provider"].annotation)
    assert 'set `provider = "cuda"`' in WORDS


def test_what_python_and_which_licence_is_so():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    assert "Python 3.11 or newer" in WORDS
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("BSD 3-Clause License")
    assert "Licence: BSD-3-Clause." in WORDS
    extras = set(re.findall(r"pip install -e '\.\[([a-z,]+)\]'|installs `\.\[([a-z]+)\]`", WORDS))
    named = {extra for pair in extras for extra in ",".join(filter(None, pair)).split(",")}
    assert named
    assert named <= set(project["optional-dependencies"])


def test_relative_alpha_power_alone_does_as_well():
    alone = scores_of("alpha")["auc"]["one_band_without_fit"]
    assert f"relative alpha power alone does as well ({alone:.4f})".replace("0.", ".") in WORDS


def test_the_demo_is_four_times_as_clear_as_the_participant_is_by_default():
    assert pytest.approx(4 * DEFAULT_SNR["eeg"]) == demos.SNR == 0.4
    assert "That ratio is four times the participant's own default of 0.1" in WORDS


def test_the_bundles_that_draw_what_was_seen_are_three_and_of_a_simulated_subject():
    epochs = [bundle for bundle in map(Bundle.load, SHIPPED) if bundle.cut.needs_markers]
    drawing = [bundle for bundle in epochs if bundle.spec.result.kind == "picture"]
    assert len(drawing) == 3
    assert all(bundle.spec.scores["simulated"] for bundle in drawing)
    assert (
        "The bundles of that sort that come with it, the three of the closed loop, were trained on one simulated "
        "subject" in WORDS
    )


def test_the_score_of_the_flashes_is_that_in_its_bundle():
    scores, row = scores_of("p300"), row_of("python -m benchmarks.p300")
    short = {name: f"{value:.3f}".removeprefix("0") for name, value in (
        ("auc", scores["auc"]), ("low", scores["shuffled"][0]), ("high", scores["shuffled"][2]),
        ("three", scores["averaged"]["3"]["auc"]),
    )}  # fmt: skip
    assert f"AUC {short['auc']} (shuffled {short['low']}–{short['high']}" in row
    assert f"mean of three flashes {short['three']}" in row


def test_what_the_bundle_that_reads_people_wants_is_said():
    signal = Bundle.load(ROOT / "models" / "bundles" / "alpha").signal
    *channels, last = signal.channels
    assert f"wants {', '.join(channels)} and {last} at {signal.rate:g} Hz" in WORDS
    assert len(signal.channels) == 8
    assert "From eight occipital electrodes" in WORDS


def test_the_readouts_are_counted():
    others = len(FAMILY) - 1
    assert f"Empirical-Bayes inverted encoder, and {others} other readouts of latents" in WORDS


def scores_of(name):
    return json.loads((ROOT / "models" / "bundles" / name / "bundle.json").read_text())["scores"]


def row_of(command):
    (row,) = [
        line for line in README.splitlines() if line.startswith("| ") and line.endswith(f"`{command}` |")
    ]
    return row


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("hyper-insilico", "bci evaluate models/bundles/hyper-insilico"),
        (
            "hyper-insilico-fmri",
            "bci train configs/hyper-insilico-fmri-train.toml --out models/bundles/hyper-insilico-fmri",
        ),
        ("fmri-hyper", "bci train configs/fmri-hyper-train.toml --out models/bundles/fmri-hyper"),
    ],
)
def test_the_scores_of_the_closed_loop_are_those_in_its_bundles(name, command):
    scores, row = scores_of(name), row_of(command)
    for share in (scores["two_way"], scores["n_way"]):
        assert f"{share:.1%}".replace("%", " %") in row
    assert f"{scores['trials']} single trials" in row
    chance = [float(end) for end in re.search(r"chance ([\d.]+)–([\d.]+)", row).groups()]
    # `bci evaluate` exchanges the pictures in other orders than training does.
    assert chance == pytest.approx([100 * end for end in scores["two_way_chance"]], abs=0.3)
    assert f"cosine {scores['cosine']:.2f}".replace("0.", ".") in row


def test_the_score_of_the_eyes_is_that_in_its_bundle():
    auc, row = scores_of("alpha")["auc"], row_of("bci evaluate models/bundles/alpha")
    assert f"AUC {auc['value']:.4f}".replace("0.", ".") in row
    assert f"shuffled {auc['shuffled_mean']:.3f}".replace("0.", ".") in row


def test_the_distances_of_the_generators_are_those_on_their_cards():
    row = row_of("bci train configs/dcgan-faces.toml --out …")
    for name in ("faces", "characters"):
        folder = ROOT / "models" / "bundles" / f"dcgan-{name}"
        found = json.loads((folder / "generator.json").read_text())["scores"]["frechet"]
        drawn, real, linear = (round(found[k]) for k in ("drawn", "other_real_pictures", "linear_generator"))
        assert re.search(rf"card\.md\) {drawn} \((real ones )?{real}, (a linear generator )?{linear}\)", row)


STATED = [sentence for block in blocks(README) if isinstance(block, str) for sentence in sentences(block)]


def rests_on(sentence):
    """Return the proofs of a sentence; those of the longest beginning count."""
    return PROVEN.get(max((words for words in PROVEN if sentence.startswith(words)), key=len, default=""), ())


def test_every_sentence_rests_on_a_test_or_on_a_command_that_stands_there():
    assert len(STATED) > 60
    without = [sentence for sentence in STATED if not rests_on(sentence)]
    assert without == [], "say in tests/readme_proofs.py what each of these rests on"
    gone = [words for words in PROVEN if not any(sentence.startswith(words) for sentence in STATED)]
    assert gone == [], "these sentences of tests/readme_proofs.py are no longer in README"


@pytest.mark.parametrize("words", PROVEN)
def test_what_a_sentence_rests_on_is_there(words):
    commands = [proof.removeprefix("$ ") for proof in PROVEN[words] if proof.startswith("$ ")]
    there = [line.removeprefix(".venv/bin/") for line in LINES]
    assert [command for command in commands if not any(line.startswith(command) for line in there)] == []
    assert [proof for proof in PROVEN[words] if not proof.startswith("$ ") and not is_there(proof)] == []


@pytest.mark.parametrize(("page", "many"), [("README.md", 40), ("docs/figures.md", 30)])
def test_every_row_of_a_table_has_a_command(page, many):
    """It stands in the row, in the one above ("the same"), or in the paragraph above the table."""
    held, rows = "", 0
    for block in blocks((ROOT / page).read_text(encoding="utf-8")):
        if isinstance(block, Row):
            rows += 1
            cell = block.cells.get("command")
            if cell is not None and cell != "the same":
                held = cell
            assert re.search(r"`bci [a-z]|`python -m benchmarks\.", held), block
        else:
            held = block
    assert rows > many


def test_what_is_said_of_the_table_of_latencies_stands_in_it():
    """Which of its targets are met, line by line; the medians are rounded, so nothing is asked of their last digit."""
    rows = [block.cells for block in blocks(README) if isinstance(block, Row) and "floor" in block.cells]
    assert len(rows) == 4
    ratios = [
        [float(median) for median in re.findall(r"([\d.]+) \(", row["ours ÷ floor: p50 · p99"])]
        for row in rows
    ]
    cpu = [float(row["CPU ÷ floor: ours · mne-lsl · ezmsg · leaky"].split(" · ")[0]) for row in rows]
    p99 = [[float(re.findall(r"\(([\d.]+)\)", row[of])[0]) for of in ("floor", "ours")] for row in rows]
    (sentence,) = [sentence for sentence in STATED if sentence.startswith("The targets set for this table")]
    assert "p50 within 1.25 × the floor" in sentence
    assert "p99 within 2 × or 0.5 ms of it, CPU within 1.5 ×, are met in all four lines" in sentence
    assert all(p50 <= 1.25 for p50, _ in ratios)
    assert all(cost <= 1.5 for cost in cpu)
    assert all(cut <= 2 or ours - floor <= 0.5 for (_, cut), (floor, ours) in zip(ratios, p99, strict=True))
    assert "p99 of single samples only by its distance, 0.40 ms" in sentence
    assert [cut > 2 for _, cut in ratios] == [False, True, False, False]
    assert round(p99[1][1] - p99[1][0], 2) == 0.40


def test_no_program_of_the_line_asks_whether_what_it_gets_is_simulated():
    line = [*(ROOT / "stimuli" / "display").glob("*.py"), *(ROOT / "bci" / "live" / f"{name}.py" for name in (
        "acquire", "decode", "record", "recorder", "render", "publish", "sides",
    ))]  # fmt: skip
    assert len(line) > 12
    asks = [path for path in line if re.search(r"simulated|bci\.sim\b", path.read_text(encoding="utf-8"))]
    assert asks == []


def test_without_sample_recordings_tests_are_skipped_loudly(tmp_path, monkeypatch, request):
    (shared,) = [
        plugin
        for plugin in request.config.pluginmanager.get_plugins()
        if getattr(plugin, "__file__", None) == str(ROOT / "tests" / "conftest.py")
    ]
    (beside := tmp_path / "shared" / "data").mkdir(parents=True)
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(shared, "ROOT", tmp_path / "checkout")
    monkeypatch.delenv("BCI_DATA", raising=False)
    assert shared.find_data() is None
    monkeypatch.setattr(shared, "find_data", lambda: None)
    with pytest.raises(pytest.skip.Exception, match="SAMPLE RECORDINGS MISSING"):
        shared.data.__wrapped__()
    monkeypatch.undo()
    monkeypatch.setattr(shared, "ROOT", tmp_path / "checkout")
    monkeypatch.setenv("BCI_DATA", str(elsewhere))
    for folder in (beside, elsewhere):
        (folder / "SHA256SUMS").touch()
        assert shared.find_data() == folder


def test_the_bundles_say_on_which_recordings_they_were_trained():
    of = {
        name: set(Bundle.load(ROOT / "models" / "bundles" / name).spec.provenance.data)
        for name in ("alpha", "p300")
    }
    assert all(path.startswith("eegmmidb_S001/") for path in of["alpha"])
    assert all(path.startswith("p300_bi2012/") for path in of["p300"])
    for name, words in (("alpha", "ODC-By 1.0"), ("p300", "CC-BY-4.0")):
        assert words in (ROOT / "configs" / f"{name}-train.toml").read_text(encoding="utf-8")
        assert words.replace("1.0", "")[:6] in WORDS
