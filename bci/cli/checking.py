"""What `bci check` tries of files that are no session files: that what they name is there and fits."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bci.cli.needing import needing
from bci.cli.output import Output, styled
from bci.config.toml import read_toml
from bci.errors import ConfigError
from bci.io.files.kinds import (
    CALIBRATION_FILE,
    CLUSTER_FILE,
    COMPARISON_FILE,
    RECORD_FILE,
    TRAINING_FILE,
    Kind,
)


def check_file(path: Path, kind: Kind, output: Output) -> dict[str, Any]:
    """Open all that a file names, print what is found, and return it.

    Raises
    ------
    BciError
        At the first thing that cannot be used.
    """
    return _CHECKS[kind](path, output)


def _training(path: Path, output: Output) -> dict[str, Any]:
    from models.trainers import trainer_of

    trainer = trainer_of(path)
    with needing(trainer.extra, "checking a training file"):
        missing = trainer.check(path, data_root=None)
    output.say(f"training  {trainer.about}")
    for what in missing:
        output.say("          ", styled("yellow", "still to come:"), f" {what}")
    output.say(
        styled("bold green", "This file can be trained.")
        if not missing
        else styled("bold yellow", "This file is sound; what it names is not all there yet.")
    )
    return {"ready": not missing, "missing": missing}


def _calibration(path: Path, output: Output) -> dict[str, Any]:
    from bci.cli.calibrate import find_stream, tools
    from bci.decoder.bundle import Bundle
    from bci.io.lsl.network import join

    _, loaded, calibrating = tools(path)
    base = Bundle.load(loaded.base)
    output.say(f"base      {base.name}, sound, hash {base.hash[:12]}")
    join(loaded.network, f"bci-{os.getpid()}", [loaded.stream.address])
    info = find_stream(loaded, calibrating, base)
    address = loaded.stream.address
    output.say(f"stream    {address}: {info.signal.shape} at {info.signal.rate:g} Hz on {info.host}")
    if loaded.screen is not None:
        from bci.io.files.picture import read_picture
        from stimuli.display.monitors import require_monitor

        monitor = require_monitor(loaded.screen.monitor)
        pictures = [state.picture for state in loaded.states if state.picture is not None]
        for picture in pictures:
            read_picture(picture, ConfigError)
        output.say(f"screen    {monitor}, {len(pictures)} pictures")
    output.say(styled("bold green", "This calibration can be done."))
    return {"base": base.hash, "stream": str(address)}


def _comparison(path: Path, output: Output) -> dict[str, Any]:
    from models.systems.registry import system_of_file

    with needing("train", "checking a comparison"):
        from models.comparison.settings import load_comparison
        from models.readouts.family import build_readout
    if read_toml(path, "comparison").get("kind") == "comparison-of-systems":
        return _systems(path, output)
    config = load_comparison(path)
    system = system_of_file(config.data)
    if system.comparable is None:
        raise ConfigError(
            f"{path}: expected as data the training file of a system whose trials can be compared, came {config.data} "
            f"({system.about}). Name another."
        )
    missing = system.check(config.data, data_root=None)
    for entry in config.readouts:
        build_readout(entry.name, **dict(entry.options))
    output.say(f"data      {config.data}: {system.about}")
    output.say(f"readouts  {', '.join(entry.title or entry.name for entry in config.readouts)}")
    for what in missing:
        output.say("          ", styled("yellow", "still to come:"), f" {what}")
    output.say(styled("bold green", "This comparison can be made."))
    return {"readouts": len(config.readouts), "missing": missing}


def _systems(path: Path, output: Output) -> dict[str, Any]:
    from models.comparison.systems import chosen_readers, shown_by
    from models.comparison.systems_settings import load_systems

    config = load_systems(path)
    readers, missing = chosen_readers(path, config), list[str]()
    for one in config.sets:
        missing += shown_by(one).check(one.data, data_root=None)
        output.say(f"set       {one.title}: {one.data}")
    output.say(f"readers   {', '.join(readers)}")
    for what in missing:
        output.say("          ", styled("yellow", "still to come:"), f" {what}")
    output.say(styled("bold green", "This comparison can be made."))
    return {"readers": list(readers), "missing": missing}


def _cluster(path: Path, output: Output) -> dict[str, Any]:
    with needing("cluster", "checking a cluster file"):
        from models.clusters import job_script, load_cluster
    config = load_cluster(path)
    script = job_script(path, config)
    output.say(f"jobs      {config.jobs} of {config.jobqueue}, each:")
    for line in script.strip().splitlines():
        output.say(f"          {line}")
    output.say(styled("bold green", "These jobs can be submitted."))
    return {"jobqueue": config.jobqueue, "jobs": config.jobs, "script": script}


def _record(path: Path, output: Output) -> dict[str, Any]:
    from bci.config.record import load_record
    from bci.io.lsl.address import Address
    from bci.io.lsl.roll_call import roll_call
    from bci.io.lsl.source import visible
    from bci.memory.lsl_clock import LslClock

    config = load_record(path)
    if config.streams:
        asked = [Address.parse(text) for text in config.streams]
        found = [info for _, info in roll_call(asked, config.timeout_s, LslClock())]
        for info in found:
            output.say(
                f"stream    {info.signal.name}, {info.source_id}: {info.kind or 'no type'}, on {info.host}"
            )
    else:
        found = visible(2.0)
        output.say(f"streams   all that are there when it starts; now: {len(found)}")
    output.say(styled("bold green", "This can be recorded."))
    return {"streams": [info.source_id for info in found]}


_CHECKS: Mapping[Kind, Callable[[Path, Output], dict[str, Any]]] = {
    TRAINING_FILE: _training,
    CALIBRATION_FILE: _calibration,
    COMPARISON_FILE: _comparison,
    CLUSTER_FILE: _cluster,
    RECORD_FILE: _record,
}
