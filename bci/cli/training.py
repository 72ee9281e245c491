"""`bci train` and `bci evaluate`: the offline half."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from bci.cli.given import find_given
from bci.cli.needing import needing
from bci.cli.output import Output, styled, use
from bci.cli.run import SAFE, Json
from bci.errors import AtChance, BciError, ConfigError
from bci.io.files.folder import path_name
from bci.io.files.kinds import BUNDLE, SESSION, TRAINING_FILE

if TYPE_CHECKING:
    from rich.progress import Progress

DataRoot = Annotated[
    Path | None, typer.Option("--data", help="Folder that the recordings' paths start from; else $BCI_DATA.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(train)
    app.command()(evaluate)


class Followed:
    """Followed shows how far a training is: a bar, and above it a line for each warning, which stays.

    Parameters
    ----------
    progress : Progress
        The bar.
    name : str
        What it says until the training says more.
    output : Output
        Where warnings are printed.

    Attributes
    ----------
    warnings : list of str
        So far.
    """

    def __init__(self, progress: "Progress", name: str, output: Output) -> None:
        self._progress, self._task, self._output = progress, progress.add_task(name, total=1.0), output
        self.warnings: list[str] = []

    def __call__(self, done: float, text: str) -> None:
        """Take the share done, 0 to 1, and a line of text."""
        from models.progress import WARNING

        if text.startswith(WARNING):
            self.warnings.append(text.removeprefix(WARNING))
            self._output.say(styled("bold yellow", WARNING), self.warnings[-1])
        else:
            self._progress.update(self._task, completed=done, description=text)


def train(
    config: Annotated[Path, typer.Argument(help="Training file (TOML); configs/ holds an example.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
    data: DataRoot = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Generators: folder of checkpoint, samples and TensorBoard's files; else runs/<name>."
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Generators: do not go on from a checkpoint.")
    ] = False,
    even_at_chance: Annotated[
        bool,
        typer.Option(
            "--even-at-chance",
            help="Decoders: write the bundle though it is no better than chance; it says so.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Train what the file describes, a decoder or a generator, and export it as a bundle.

    Everything that is fitted (scaling, regularisation, calibration) is fitted on the training part; the scores
    written into the bundle come from the held-out part. The training of a generator that was cut off goes on from
    its last checkpoint, with the same result. Needs the `train` extra (torch).
    """
    output = use(json)
    from models.generators.kind import GeneratorKind
    from models.trainers import trainer_of

    config = find_given(config, "bci train", TRAINING_FILE)
    trainer = trainer_of(config)
    options: dict[str, Any] = {"data_root": data}
    if isinstance(trainer, GeneratorKind):
        options |= {"run_folder": run, "fresh": fresh}
        if even_at_chance:
            raise ConfigError(
                f"{config} describes a generator, which decodes nothing: leave out --even-at-chance"
            )
    elif run or fresh:
        raise ConfigError(
            f"{config} describes a decoder, which is trained in one go: --run and --fresh are for generators"
        )
    else:
        options |= {"even_at_chance": even_at_chance}
    with output.progress() as progress, needing(trainer.extra, "training"):
        followed = Followed(progress, "training", output)
        try:
            scores = trainer.train(config, out, progress=followed, **options)
        except AtChance as error:
            progress.stop()
            _give_up(error, followed.warnings, output)
    if not scores:
        return  # one of several processes that train together; the first reports
    output.say(f"bundle written: {out}")
    if scores.get("beats_chance") is False:
        from bci.decoder.spec import AT_CHANCE

        output.say(styled("bold red", AT_CHANCE), ": the bundle says so wherever it is used")
    output.facts("Scores", scores)
    output.result({**scores, "warnings": followed.warnings})


def _give_up(error: AtChance, warnings: Sequence[str], output: Output) -> NoReturn:
    """Print why no bundle was made, and end with status 3."""
    output.say(styled("bold red", "no bundle: "), str(error))
    output.result({"written": False, "reason": str(error), "warnings": warnings})
    raise typer.Exit(SAFE)


def evaluate(
    bundle: Annotated[
        Path, typer.Argument(help="Folder of a bundle or a session, a shipped bundle's name, or last.")
    ],
    data: DataRoot = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for index.html and report.json; else runs/<bundle>-report, or <session>/report."
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Folder of networks (ONNX) that some metrics need; nothing is downloaded."),
    ] = None,
    responses: Annotated[
        Path | None,
        typer.Option(
            help="Of a bundle that reads one sample at a time: also write the held-out responses here (.npy), one a "
            "sample, to be played live by a session's source of kind replay."
        ),
    ] = None,
    scramble_markers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Of a session: a null run. Throw its markers to times that this seed draws, and decode what is there.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Score a bundle on what it was not trained on, or a session of known stimuli, and write a report.

    Runs the same windows and the same decoder as a live session. Every score stands beside its baselines; controls
    exchange whole pictures, or whole blocks of time, because trials of one picture and neighbouring windows are not
    independent. Says whether the bundle's confidence falls as the error grows. A bundle whose participant is simulated
    is scored on its held-out trials, made again from its seeds, beside the oracle; a session beside that, and beside
    what its recording gives when it is decoded again.
    """
    output = use(json)
    bundle = find_given(bundle, "bci evaluate", BUNDLE, SESSION)
    if scramble_markers is not None:
        from bci.cli.session_score import say_score, score_scrambled

        scores = score_scrambled(bundle, scramble_markers)
        say_score(scores, output)
        output.result(scores)
        return
    of_session = (bundle / "summary.json").is_file()
    if of_session and responses is not None:
        raise ConfigError(
            f"--responses: expected a bundle, came the session {bundle}. Its recording plays as it is."
        )
    with output.progress() as progress:
        task = progress.add_task("evaluating", total=1.0)

        def step(done: float, text: str) -> None:
            progress.update(task, completed=done, description=text)

        if of_session:
            report = _session(bundle, out, weights, step)
        else:
            report = _bundle(bundle, data, out, weights, responses, step)
    if "headline" in report:
        from bci.cli.session_score import say_score

        test = report.get("test")
        of_pictures = (
            {**test, **report["identification"][test.get("read_of", "single trials")]} if test else {}
        )
        say_score({**report, **of_pictures}, output)
        if report["simulated"]:
            output.say("The participant is simulated: nothing here is a measurement of a brain.")
    else:
        output.facts("Scores", report)
    if "page" in report:
        output.say(f"report written: {report['page']}")
    output.result(report)


def _session(
    folder: Path, out: Path | None, weights: Path | None, step: Callable[[float, str], None]
) -> dict[str, Any]:
    """Score a session, beside what its recording gives when it is decoded again."""
    from bci.session.recorded import RecordedSession
    from bci.session.reproduce import reproduce
    from models.sessions.evaluate import evaluate_session
    from models.sessions.evolution import evaluate_evolution

    session = RecordedSession.read(folder)
    session.require_read()
    experiment = session.config.get("experiment") or {}
    if experiment.get("protocol") == "evolution":
        evolved: dict[str, Any] = evaluate_evolution(folder, out)
        return evolved
    step(0.0, "decoding the recording again")
    try:
        again = reproduce(folder)
    except BciError as error:
        again = {"trouble": str(error)}
    if session.sole_bundle(session.driver).spec.result.kind == "classes":
        from models.sessions.classes import evaluate_classes

        read: dict[str, Any] = evaluate_classes(folder, out, reproduced=again)
        return read
    report: dict[str, Any] = evaluate_session(folder, out, reproduced=again, weights=weights, progress=step)
    return report


def _bundle(
    folder: Path,
    data: Path | None,
    out: Path | None,
    weights: Path | None,
    responses: Path | None,
    step: Callable[[float, str], None],
) -> dict[str, Any]:
    """Score a bundle on what it was not trained on, by the system that trained it."""
    from bci.decoder.bundle import Bundle
    from models.systems.registry import system_of_bundle

    bundle = Bundle.load(folder)
    if bundle.spec.result.kind != "picture" and "kind" not in bundle.spec.provenance.config:
        raise ConfigError(
            f"bundle {bundle.name!r} gives {bundle.spec.result}, and no system here scores that: its readings are in "
            "frames.csv of a session (bci run), and what its makers found is in its card."
        )
    system = system_of_bundle(bundle)
    with needing(system.extra, f"evaluating a bundle of kind {system.kind!r}"):
        written = {}
        if responses is not None:
            from models.reports.responses import require_rows, write_responses

            require_rows(bundle, responses)  # before trials are made again
            decoded = system.held_out(bundle, data_root=data, progress=lambda done, text: None)
            written = {"responses": write_responses(bundle, decoded, responses)}
        report: dict[str, Any] = system.report(
            bundle,
            out or Path("runs") / f"{path_name(bundle.name)}-report",
            data_root=data,
            weights=weights,
            progress=step,
        )
    return report | written
