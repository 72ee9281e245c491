"""`bci volumes`: a scanner's volumes, from files or from the network, as Lab Streaming Layer streams."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bci.cli.given import find_run
from bci.cli.needing import needing
from bci.cli.output import Output, styled, use
from bci.cli.reference_volume import reference
from bci.cli.run import Json
from bci.cli.volume_mask import mask
from bci.cli.volume_quality import quality
from bci.errors import ConfigError

if TYPE_CHECKING:
    from bci.io.volumes.gate import PlacedVolume
    from bci.live.volumes import VolumeNode
    from bci.memory.lsl_clock import LslClock

volumes = typer.Typer(
    name="volumes",
    help="Volumes of a scanner: watch its folder, receive what it sends, play a run again, see what a run holds. Each "
    "run is published as two Lab Streaming Layer streams, BOLD-raw (volumes) and BOLD-meta (how each came); with "
    "--json each command ends with one machine-readable line.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Tr = Annotated[
    float | None, typer.Option(min=0.01, help="Seconds from volume to volume, in place of what files say.")
]
Patience = Annotated[
    float | None, typer.Option(min=0, help="Seconds that a volume waits for one before it; else half a TR.")
]
Delay = Annotated[
    float | None,
    typer.Option(
        min=0, help="Seconds from the start of a volume's acquisition until it is here; else one TR."
    ),
]
SourceId = Annotated[str, typer.Option(help="What the streams' source ids begin with.")]
Seconds = Annotated[float | None, typer.Option(min=0, help="End after so long; else at Ctrl-C.")]
Wait = Annotated[
    float, typer.Option(min=0, help="Seconds that a run's first volumes wait for a consumer of BOLD-raw.")
]
Series = Annotated[int | None, typer.Option(help="Number of the series, where a folder holds several.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    volumes.command()(watch)
    volumes.command()(replay)
    volumes.command()(receive)
    volumes.command()(send)
    volumes.command()(info)
    volumes.command()(reference)
    volumes.command()(quality)
    volumes.command()(mask)
    app.add_typer(volumes)


def watch(
    folder: Annotated[Path, typer.Argument(help="Where the scanner writes, and its folders in there.")],
    tr: Tr = None,
    patience: Patience = None,
    delay: Delay = None,
    source_id: SourceId = "bci-volumes",
    first_number: Annotated[
        int | None, typer.Option(min=0, help="Number in the name of a run's first NIfTI file; else found.")
    ] = None,
    existing: Annotated[bool, typer.Option("--existing", help="Read what is there already, too.")] = False,
    poll: Annotated[
        bool, typer.Option("--poll", help="Only look; ask the operating system for no notifications.")
    ] = False,
    speed: Annotated[
        float,
        typer.Option(
            min=0.01, max=1000, help="Times real time at which files come, of a run that is replayed."
        ),
    ] = 1.0,
    wait: Wait = 30.0,
    seconds: Seconds = None,
    json: Json = False,
) -> None:
    """Watch a folder into which a scanner writes DICOM or NIfTI, and publish each run as it comes.

    The folder is watched by notification and by looking, for network shares notify no one. Only whole files are read. A
    volume that is late, missing, doubled, cut short or of another series gets that status in BOLD-meta and moves no
    other: sample n of BOLD-raw is place n of the run. A new series becomes a new stream. Needs the `fmri` extra.
    """
    output = use(json)
    with needing("fmri", "reading volumes"):
        from bci.io.volumes.folder import WatchedFolder
        from bci.io.volumes.intake import Intake

    clock = _clock()
    intake = Intake(tr=tr, patience=patience, delay=delay, speed=speed, first_number=first_number)
    with WatchedFolder(folder, clock, notify=not poll, existing=existing) as source:
        how = "notified and looked at" if source.notified else "looked at every tenth of a second"
        output.say(f"watching {folder}, {how}. Ctrl-C ends it.")
        with _node(output, source, intake, clock, source_id, speed, wait) as node:

            def go_on() -> bool:
                source.give_up = intake.patience
                return True

            _run(node, clock, seconds, go_on)
        _report(output, node, {"folder": str(folder), "notified": source.notified})


def replay(
    run: Annotated[Path, typer.Argument(help="A folder of DICOM or NIfTI files, or a 4-D NIfTI file.")],
    tr: Tr = None,
    speed: Annotated[float, typer.Option(min=0.01, max=1000, help="Times real time.")] = 1.0,
    to: Annotated[
        Path | None, typer.Option(help="Write the files into this folder at their pace, instead of a stream.")
    ] = None,
    series: Series = None,
    source_id: SourceId = "bci-volumes",
    wait: Wait = 10.0,
    json: Json = False,
) -> None:
    """Play a run of volumes at the pace of its TR: as streams, or as files that arrive in a folder.

    As streams, playing begins when a consumer of BOLD-raw has connected, or after --wait seconds. With **--to** the
    run's own files are copied into a folder as they are, each at the end of its volume, for `bci volumes watch` on this
    machine or another; a file of all volumes is written as one for each. Needs the `fmri` extra.
    """
    output = use(json)
    with needing("fmri", "reading volumes"):
        from bci.io.volumes.played import PlayedVolumes
        from bci.io.volumes.run_on_disk import volumes_of
    from bci.io.volumes.intake import Intake

    run = find_run(run, "bci volumes replay")
    clock = _clock()
    if to is not None:
        _replay_files(output, run, to, tr, speed, series, clock)
        return
    intake = Intake(tr=tr, speed=speed)
    played = volumes_of(run, series)
    first = next(played, None)
    if first is None:
        raise ConfigError(f"{run} holds no whole volume.")
    pace = _pace(first.series.tr, tr, run) / speed
    source = PlayedVolumes(_behind(first, played), clock, pace)
    with _node(output, source, intake, clock, source_id, speed, wait) as node:
        try:
            if node.announce(first.series if tr is None else _with_tr(first.series, tr)):
                output.say("a consumer is there")
            source.begin()
            node.run(lambda: not source.over)
            node.linger()
        except KeyboardInterrupt:
            pass
    _report(output, node, {"run": str(run), "finished": source.over, "played": source.given})


def receive(
    protocol: Annotated[
        str, typer.Argument(help="dicom (a scanner stores its images here) or tcp (see docs/fmri.md).")
    ],
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Else 11112 of dicom, 15010 of tcp.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 opens it to the network.")
    ] = "127.0.0.1",
    title: Annotated[str, typer.Option(help="Of dicom: this receiver's application entity title.")] = "BCI",
    sender: Annotated[
        list[str] | None,
        typer.Option("--from", help="Of dicom: a title that may send; several times for several."),
    ] = None,
    tr: Tr = None,
    patience: Patience = None,
    delay: Delay = None,
    source_id: SourceId = "bci-volumes",
    wait: Wait = 30.0,
    seconds: Seconds = None,
    json: Json = False,
) -> None:
    """Receive volumes that a scanner sends over the network, and publish each run as it comes.

    **dicom** is a DICOM storage provider: one association may stay open for a whole session, and one that calls another
    title than --title, or whose own is not named by --from, is refused. **tcp** takes the messages that `bci volumes
    send` sends. Both listen on this machine alone unless --host says otherwise; neither is encrypted, so open them
    only to a network of the laboratory's own. Places and statuses are those of `bci volumes watch`. Needs the `fmri`
    extra.
    """
    output = use(json)
    if protocol not in ("dicom", "tcp"):
        raise ConfigError(f"expected dicom or tcp, came {protocol!r}.")
    with needing("fmri", "receiving volumes"):
        from bci.io.volumes import storage, tcp
        from bci.io.volumes.intake import Intake

    clock = _clock()
    intake = Intake(tr=tr, patience=patience, delay=delay)
    source: Any
    if protocol == "dicom":
        source = storage.DicomReceiver(storage.PORT if port is None else port, title, sender or (), host)
    else:
        source = tcp.TcpReceiver(tcp.PORT if port is None else port, host)
    with source:
        output.say(f"listening for {protocol} at {host} port {source.port}. Ctrl-C ends it.")
        with _node(output, source, intake, clock, source_id, 1.0, wait) as node:
            _run(node, clock, seconds, lambda: True)
        _report(output, node, {"protocol": protocol, "port": source.port})


def send(
    run: Annotated[Path, typer.Argument(help="A folder of DICOM or NIfTI files, or one file.")],
    to: Annotated[str, typer.Argument(help="HOST:PORT of `bci volumes receive tcp`.")] = "127.0.0.1:15010",
    tr: Tr = None,
    speed: Annotated[float, typer.Option(min=0.01, max=1000, help="Times real time.")] = 1.0,
    series: Series = None,
    json: Json = False,
) -> None:
    """Push a run over TCP at the pace of its TR: how a scanner's own program hands its volumes over.

    Each volume is a message with its series, affine, TR and place, and is answered; the format is in docs/fmri.md and
    in `bci.io.volumes.wire`, whose `pack_volume` a scanner's program may call. Needs the `fmri` extra.
    """
    output = use(json)
    with needing("fmri", "reading volumes"):
        from bci.io.volumes.played import PlayedVolumes
        from bci.io.volumes.run_on_disk import volumes_of
    from bci.io.volumes.tcp import TcpSender

    host, _, port = to.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"expected HOST:PORT, came {to!r}.")
    run = find_run(run, "bci volumes send")
    played = volumes_of(run, series)
    first = next(played, None)
    if first is None:
        raise ConfigError(f"{run} holds no whole volume.")
    stated = _pace(first.series.tr, tr, run)
    clock = _clock()
    sent = 0
    with TcpSender(host, int(port)) as sender:
        source = PlayedVolumes(_behind(first, played), clock, stated / speed)
        try:
            while not source.over:
                for volume in source.poll():
                    sender.send(_paced(volume, stated / speed))
                    sent += 1
                source.wait(0.05)
        except KeyboardInterrupt:
            pass
    output.say(f"{sent} volumes sent to {to}")
    output.result({"run": str(run), "to": to, "sent": sent, "finished": source.over})


def info(
    run: Annotated[Path, typer.Argument(help="A folder of DICOM or NIfTI files, or one file.")],
    series: Series = None,
    json: Json = False,
) -> None:
    """Read a run of volumes from the first to the last, and print what it is: size, affine, TR, slice times, volumes.

    Missing places, slices that did not come and times that are not a TR apart are named; nothing of a person is read.
    """
    output = use(json)
    with needing("fmri", "reading volumes"):
        from bci.io.volumes.summary import summarise

    run = find_run(run, "bci volumes info")
    facts = summarise(run, series)
    output.facts(
        f"{facts['volumes']} volumes", {key: value for key, value in facts.items() if value not in ([], "")}
    )
    output.result(facts)


# -- what the commands share ---------------------------------------------------------------------------------


def _clock() -> "LslClock":
    from bci.memory.lsl_clock import LslClock

    return LslClock()


@contextmanager
def _node(
    output: Output, source: Any, intake: Any, clock: "LslClock", source_id: str, speed: float, wait: float
) -> "Iterator[VolumeNode]":
    from bci.io.volumes.gate import VolumeStatus
    from bci.live.volumes import VolumeNode

    known: set[str] = set()

    def tell(placed: "PlacedVolume") -> None:
        series = placed.series
        if series is not None and series.uid not in known:
            known.add(series.uid)
            size = "×".join(map(str, series.shape))
            output.say(
                styled("bold", f"series {series.number}"), f": {series.kind}, {size}, TR {series.tr:g} s"
            )
        if placed.status is not VolumeStatus.OK or placed.note:
            note = f": {placed.note}" if placed.note else ""
            output.say(f"volume {placed.index} ", styled("yellow", placed.status.word), note)

    with VolumeNode(
        source, intake, clock, source_id=source_id, speed=speed, consumer_wait=wait, tell=tell
    ) as node:
        yield node


def _run(node: "VolumeNode", clock: "LslClock", seconds: float | None, go_on: Callable[[], bool]) -> None:
    end = float("inf") if seconds is None else clock.now() + seconds
    try:
        node.run(lambda: go_on() and clock.now() < end)
    except KeyboardInterrupt:
        return


def _report(output: Output, node: "VolumeNode", more: dict[str, Any]) -> None:
    from bci.io.volumes.gate import VolumeStatus

    counts = {status.word: node.counts[status] for status in VolumeStatus}
    words = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "no volume"
    output.say(f"{node.runs} run{'s' * (node.runs != 1)}, {node.sent} volumes sent: {words}")
    output.result({**more, "runs": node.runs, "sent": node.sent, "statuses": counts})


def _pace(stated: float, given: float | None, run: Path) -> float:
    if given is not None:
        return given
    if not stated > 0:
        raise ConfigError(f"the files of {run} do not say their TR; expected --tr SECONDS.")
    return stated


def _paced(volume: Any, tr: float) -> Any:
    """Return a volume whose series says the pace at which it is sent."""
    from dataclasses import replace

    return replace(volume, series=_with_tr(volume.series, tr), acquired=float("nan"))


def _with_tr(series: Any, tr: float) -> Any:
    from dataclasses import replace

    return replace(series, tr=tr)


def _behind(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _replay_files(
    output: Output, run: Path, to: Path, tr: float | None, speed: float, series: int | None, clock: "LslClock"
) -> None:
    from bci.io.volumes.played import copy_at_pace, paced_contents

    stated, contents = paced_contents(run, series)
    pace = _pace(stated, tr, run) / speed
    to.mkdir(parents=True, exist_ok=True)
    output.say(f"{len(contents)} files into {to}, a volume every {pace:g} s. Ctrl-C ends it.")
    written = 0
    try:
        for _ in copy_at_pace(contents, to, pace, clock):
            written += 1
    except KeyboardInterrupt:
        pass
    output.say(f"{written} files written")
    output.result({"run": str(run), "to": str(to), "written": written, "finished": written == len(contents)})
