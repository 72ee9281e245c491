"""A decoder that takes a dead one's place goes on with the first sample that one had not used."""

from pathlib import Path

import numpy as np
from tiny_bundle import tiny_bundle

from bci.io.board import Board
from bci.io.frames import frame_columns
from bci.io.marks import create_marks, read_marks
from bci.io.program import Launch, Program
from bci.io.stream import Stream
from bci.live import decode
from bci.signal.clock import LslClock
from bci.signal.ring import _CLOSED, Ring
from bci.signal.types import MarkKind

N = 600


def test_a_successor_decodes_what_the_dead_one_had_not_and_counts_what_it_had_not_counted(
    segment_name: str, tmp_path: Path
) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    signal = bundle.signal
    columns = frame_columns(*bundle.image_size, bundle.latent_size)
    with (
        Stream.create(segment_name, signal, 60.0) as stream,
        Ring.create(segment_name + "f", columns, 256, 64) as frames,
        create_marks(segment_name + "d", 1) as marks,
        Board.create(segment_name + "b", ["decode"]) as board,
    ):
        row = board.row("decode")

        def run(restart: int) -> None:
            samples = np.ones((N, *signal.shape), np.float32)
            at = stream.samples.count
            stamps = np.repeat((at + np.arange(N))[:, None] / signal.rate, 3, axis=1)
            stream.samples.write(samples=samples, stamps=stamps)
            stream.samples.finish()
            launch = Launch(
                "decode", "bci.live.decode",
                {"bundle": str(bundle.folder), "provider": "cpu", "audit": False},
                str(tmp_path), segment_name + "b", {"stream": stream.handle},
                {"frames": frames.handle, "decode_marks": marks.handle}, {"stream": 0}, restart,
            )  # fmt: skip
            program = Program(launch, None, board, LslClock())
            decode.main(program)
            program.close()
            stream.samples._words[_CLOSED] = 0

        run(0)
        made = frames.count
        assert (row["samples"], row["reconstructions"]) == (N, made)
        assert row["windows"] == row["reconstructions"] + row["skipped"]
        windows = int(row["windows"])
        # It died after its last frame was published, before it counted anything.
        for counter in ("samples", "windows", "reconstructions", "skipped"):
            row[counter] = 0
        run(1)
        assert row["lost"] == 0
        assert row["samples"] == 2 * N
        assert row["reconstructions"] == frames.count > made
        assert row["windows"] == row["reconstructions"] + row["skipped"] > windows
        later = frames.read(made, frames.count)["info"]
        last = int(frames.read(made - 1, made)["info"]["last_sample"][0])
        assert (later["first"] > last).all()
        resets, _ = read_marks(marks, 0)
        resets = resets[resets["kind"] == MarkKind.PIPELINE_RESET]
        assert [(int(m["first"]), m["detail"]) for m in resets] == [(0, b"start"), (last + 1, b"restart")]
