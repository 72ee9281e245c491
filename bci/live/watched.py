"""The watched program: a scanner's folder becomes the streams ``BOLD-raw`` and ``BOLD-meta`` of a session.

It is `bci volumes watch` as a program of the line: the same folder, gate and streams. What a simulated scanner will
write is known, so that its streams are on the network before its first volume.
"""

from dataclasses import asdict, replace

from bci.io.volumes.folder import WatchedFolder
from bci.io.volumes.gate import VolumeStatus
from bci.io.volumes.intake import Intake
from bci.live.insilico import read_spec
from bci.live.scanner import folder_of, scanner_of, series_of
from bci.live.volumes import WAIT_S, VolumeNode
from bci.memory.program import Program
from bci.sim.participant import DEFAULT_SNR


def main(program: Program) -> None:
    """Watch and publish until the supervisor says stop.

    Spec: `bci.config.sources.InSilicoSpec` with a ``scanner``.

    Ready facts, as of any source: ``signal``, ``source_id``, ``speed``, ``simulated`` (always True), ``recording`` (who
    it is), ``defects``, ``expected_samples``. Report at the end: ``sent`` (volumes), ``statuses`` (how many had which).

    Raises
    ------
    ConfigError
        If the spec is no scanned participant's.
    """
    spec = read_spec(program.spec)
    series = replace(series_of(spec), kind="simulated scanner")
    folder = folder_of(scanner_of(spec), program.folder)
    snr = DEFAULT_SNR[spec.modality] if spec.snr is None else spec.snr
    intake = Intake(speed=spec.speed)
    with (
        WatchedFolder(folder, program.clock) as source,
        VolumeNode(
            source, intake, program.clock, source_id=spec.source_id, exact_id=True, speed=spec.speed,
            consumer_wait=spec.consumer_timeout,
        ) as node,
    ):  # fmt: skip
        outlet = node.open(series)
        program.ready(
            signal=asdict(outlet.signal),
            source_id=outlet.source_id,
            marker_source_id=None,
            speed=spec.speed,
            simulated=True,
            recording=f"participant in silico, subject {spec.subject}, SNR {snr:g}, in a simulated scanner",
            defects=[],
            expected_samples=None,
            left_out_markers=0,
        )
        while program.tick():
            source.give_up = intake.patience
            node.step()
            program.row["samples"] = node.sent
            source.wait(WAIT_S)
        statuses = {status.word: node.counts[status] for status in VolumeStatus}
        program.report(sent=node.sent, statuses=statuses)
