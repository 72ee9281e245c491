"""`bci new`: a commented file to begin with, made from what is seen on the network."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bci.cli.output import Output, use
from bci.cli.run import Json, has_screen
from bci.errors import BciError, BundleError, ConfigError, StreamNotFound
from bci.io.files.folder import safe_name, write_whole
from bci.io.files.regular import require_regular

if TYPE_CHECKING:
    from bci.io.lsl.metadata import StreamInfo
    from bci.signal.types import Signal

#: The bundle of templates without a stream.
_BUNDLE = "alpha"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(new)


def new(
    kind: Annotated[
        Literal["session", "experiment", "training", "record"], typer.Argument(help="What the file is for.")
    ],
    file: Annotated[
        Path | None, typer.Argument(help="Where to write it; by default KIND.toml. Nothing is overwritten.")
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option(help="Which stream, by source id, where several signals are seen; else the first."),
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, max=60, help="Seconds to listen for streams; 0 looks for none.")
    ] = 2.0,
    json: Json = False,
) -> None:
    """Write a commented file to begin with, for the streams that are seen on the network.

    A session decodes a stream and shows what is read; an experiment shows stimuli too; a training file makes a decoder
    for the stream's channels and rate; a record file lists all streams. Without a stream that fits, the file takes the
    shipped simulator, and says why in comments. Above each key stands what it means. `bci check` takes the file as it
    is.
    """
    output = use(json)
    path = file or Path(f"{kind}.toml")
    name = safe_name(path.stem, "the file's name")
    if path.exists():
        raise ConfigError(f"{path} is there already and is not overwritten: name another file")
    infos = _seen(wait)
    if stream is not None and not any(info.source_id == stream for info in infos):
        seen = ", ".join(sorted(repr(info.source_id) for info in infos)) or "none"
        raise StreamNotFound(
            f"--stream {stream!r}: expected a stream that is on the network, seen are: {seen}"
        )
    text, about = _write(kind, name, path, infos, stream)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}. Name another place.") from None
    write_whole(path, text)
    for sentence in about:
        output.say(sentence)
    _say_next(kind, path, output)
    output.result(
        {"file": str(path), "kind": kind, "streams": [info.source_id for info in infos], "about": about}
    )


def _seen(wait: float) -> "list[StreamInfo]":
    if not wait:
        return []
    from bci.io.lsl.source import visible

    return visible(wait)


def _write(
    kind: str, name: str, path: Path, infos: "Sequence[StreamInfo]", wanted: str | None
) -> tuple[str, list[str]]:
    """Return the text of the file, and what is to be said of it."""
    from bci.cli import templates, training_templates
    from bci.io.lsl.address import Address

    if kind == "record":
        streams = [(str(Address.telling(info, infos)), _what(info)) for info in infos]
        said = (
            [f"{len(streams)} streams"]
            if streams
            else ["no stream was seen: it records all that are there then"]
        )
        return templates.record(name, streams, str(path)), said
    signals = [
        i for i in infos if i.signal.rate and i.signal.dtype != "str" and wanted in (None, i.source_id)
    ]
    info = signals[0] if signals else None
    if info is None:
        about = ["no signal was seen on the network: the shipped simulator makes it"]
        if kind == "training":
            return training_templates.in_silico(name, str(path), []), about
        make = templates.session if kind == "session" else templates.experiment
        display = "window" if has_screen() else "headless"
        return make(name, stream=None, bundle=_BUNDLE, kind=display, file=str(path)), about
    address = Address.telling(info, infos)
    about = [f"{address}: {_what(info)}"]
    if kind == "training":
        if not info.signal.channels:
            why = f"{address} is there and does not name its channels, which a decoder is trained by: {_what(info)}."
            return training_templates.in_silico(name, str(path), [why]), [*about, why]
        return training_templates.states(name, info.signal, str(address), str(path)), about
    bundle, reasons = _bundle_for(info.signal)
    make = templates.session if kind == "session" else templates.experiment
    display = "window" if has_screen() else "headless"
    if bundle is None:
        unfit = [
            f"{address} is there: {_what(info)}. No bundle here was made for it, so the shipped simulator stands in. "
            "Make one (bci new training, bci calibrate), then take this in place of [source]:",
            *(f"    {line}" for line in ("[stream]", *_lines(address))),
            *reasons,
        ]
        text = make(name, stream=None, bundle=_BUNDLE, kind=display, unfit=unfit, file=str(path))
        return text, [*about, "no bundle here fits it: the simulator stands in, and the file says why"]
    return make(name, stream=_keys(address), bundle=bundle, kind=display, file=str(path)), [
        *about,
        f"bundle {bundle} fits it",
    ]


def _what(info: "StreamInfo") -> str:
    signal = info.signal
    labels = ", ".join(signal.channels[:4]) + (" …" if len(signal.channels) > 4 else "")
    if signal.dtype == "str":
        return f"{info.kind or 'markers'}, text, from {info.host}"
    return (
        f"{info.kind or 'signal'}, {signal.shape[0]} channels ({labels or 'not named'}) at {signal.rate:g} Hz in "
        f"{signal.unit or 'no unit'}, from {info.host}"
    )


def _keys(address: Any) -> dict[str, str]:
    """Return an address as the keys of a [stream]."""
    named = {
        "source_id": address.source_id, "name": address.name, "type": address.kind, "host": address.host,
    }  # fmt: skip
    return {key: text for key, text in named.items() if text}


def _lines(address: Any) -> list[str]:
    from bci.cli.templates import toml

    return [f"{key} = {toml(text)}" for key, text in _keys(address).items()]


def _bundle_for(signal: "Signal") -> tuple[str | None, list[str]]:
    """Return the name of a bundle that a stream fits, beside the file or shipped; else why each of them does not."""
    from bci.decoder.matching import check
    from bci.decoder.spec import DESCRIPTION, BundleSpec
    from bci.io.shipped import SHIPPED

    reasons = []
    for above in (Path(), Path("bundles"), SHIPPED["bundles"]):
        for described in sorted(above.glob(f"*/{DESCRIPTION}")) if above.is_dir() else ():
            folder = described.parent
            try:
                require_regular(described, BundleError)
                spec = BundleSpec.from_json(described.read_bytes(), str(described))
                if spec.scores.get("simulated"):
                    continue  # it decodes a simulated participant, and no other stream
                check(spec.signal.signal(), signal, spec.name)
            except (BciError, OSError) as error:
                reasons.append(f"{folder.name}: " + " ".join(str(error).split("\n  ")[1:2] or [str(error)]))
                continue
            return (folder.name if above == SHIPPED["bundles"] else folder.as_posix()), []
    return None, reasons[:6]


def _say_next(kind: str, path: Path, output: Output) -> None:
    does = {"training": f"bci train {path} --out bundles/{path.stem}", "record": f"bci record {path}"}
    output.say(f"written: {path}   try it: bci check {path}   then: {does.get(kind, f'bci run {path}')}")
