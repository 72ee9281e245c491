"""The render program draws latents with the bundle's generator, in order, each once, as the decoder would."""

import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_bundle import tiny_bundle

from bci.control.posts import COUNTERS
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.renderer import Artist
from bci.errors import BundleError
from bci.live import render
from bci.memory.board import Board
from bci.memory.orders import STOP, Order
from bci.memory.program import Launch, Program
from bci.memory.trial_parts import create_drawn, create_requests, write_request
from bci.signal.clock import ManualClock
from bci.signal.types import Window


class Bench:
    """Rings, a board, and a program that is told to stop once every request is answered."""

    def __init__(self, key: str, folder: Path) -> None:
        self.folder = folder
        self.bundle = tiny_bundle(folder / "bundle", latent=3)
        self.requests = create_requests(key + "q", 3)
        self.drawn = create_drawn(key + "g", *self.bundle.image_size)
        self.board = Board.private({"render": COUNTERS["render"]})

    def run(self, bundle: str = "bundle", second: Path | None = None) -> dict[str, Any]:
        pipe, far_end = multiprocessing.Pipe()
        rings = {"requests": self.requests.handle, "drawn": self.drawn.handle}
        spec = {"bundle": str(self.folder / bundle), "provider": "cpu"}
        if second is not None:
            spec["second_bundle"] = str(second)
        launch = Launch(
            "render", "bci.live.render", spec, str(self.folder), "", rings=rings, slots={"requests": 0}
        )

        class Clock(ManualClock):
            stopped = False

            def now(clock) -> float:
                # Once: every order is acknowledged into a pipe that is read when the program has ended.
                if self.drawn.count == self.requests.count and not clock.stopped:
                    clock.stopped = True
                    pipe.send(Order(STOP))
                clock.advance(0.03)
                return super().now()

        program = Program(launch, far_end, self.board, Clock())
        facts: dict[str, Any] = {}
        try:
            render.main(program)
            while pipe.poll():
                kind, values = pipe.recv()
                if kind in ("ready", "report"):
                    facts |= values
        finally:
            program.close()
            pipe.close()
            far_end.close()
        return facts

    def answers(self) -> dict[str, Any]:
        return self.drawn.read(0, self.drawn.count)

    def close(self) -> None:
        for one in (self.requests, self.drawn, self.board):
            one.close()


@pytest.fixture
def bench(segment_name: str, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(segment_name, tmp_path)
    yield made
    made.close()


LATENTS = np.array([[0.5, -0.25, 1.0], [0.0, 0.75, -1.0], [0.25, 0.25, 0.25]], np.float32)


def test_every_latent_is_drawn_once_in_order_also_by_a_successor(bench: Bench) -> None:
    for trial in (0, 1):
        write_request(bench.requests, LATENTS[trial], trial=trial, stimulus=10 + trial)
    assert bench.run()["drawn"] == 2
    write_request(bench.requests, LATENTS[2], trial=2, stimulus=12)
    bench.run()
    answers = bench.answers()
    assert answers["request"][["request", "trial", "stimulus", "drawn"]].tolist() == [
        (0, 0, 10, 1), (1, 1, 11, 1), (2, 2, 12, 1)
    ]  # fmt: skip
    np.testing.assert_array_equal(answers["image"], Artist(bench.bundle)(LATENTS))
    assert len({image.tobytes() for image in answers["image"]}) == 3


def test_a_latent_that_was_read_is_drawn_as_the_decoder_drew_it(bench: Bench) -> None:
    bundle = bench.bundle
    samples = np.random.default_rng(2).standard_normal(bundle.window_shape).astype(np.float32)
    bad = np.zeros((bundle.length, 3), bool)
    window = Window(bundle.output, 0, samples, np.arange(bundle.length) / 100, bad, bundle.length - 1)
    decoded = OnnxDecoder(bundle, clock=ManualClock()).decode(window)
    write_request(bench.requests, decoded.latent, trial=0, stimulus=0)
    bench.run()
    assert bench.answers()["image"][0].tobytes() == decoded.image.tobytes()


def test_a_latent_that_is_no_number_is_answered_without_a_picture(bench: Bench) -> None:
    write_request(bench.requests, np.array([0.5, np.nan, 0.0], np.float32), trial=0, stimulus=0)
    facts = bench.run()
    assert (facts["drawn"], facts["undrawn"]) == (0, 1)
    assert bench.answers()["request"]["drawn"].tolist() == [0]


def test_a_bundle_without_a_generator_of_its_own_cannot_draw(bench: Bench) -> None:
    tiny_bundle(bench.folder / "whole", latent=3, one_graph=True)
    with pytest.raises(BundleError, match="with a generator"):
        bench.run("whole")


def test_two_generators_draw_in_turn_each_of_its_own_space(bench: Bench, tmp_path: Path) -> None:
    second = tiny_bundle(tmp_path / "second", latent=2, low=-3.0)
    small = np.array([0.4, -0.7], np.float32)
    write_request(bench.requests, LATENTS[0], trial=0, stimulus=0)
    write_request(bench.requests, small, trial=1, stimulus=1, generator=1)
    write_request(bench.requests, LATENTS[1], trial=2, stimulus=2)
    bench.run(second=second.folder)
    places = bench.drawn.read(0, 3)
    first, other = Artist(bench.bundle), Artist(second)
    for image, expected in zip(
        places["image"], (first.draw(LATENTS[0]), other.draw(small), first.draw(LATENTS[1])), strict=True
    ):
        assert np.array_equal(image, expected)
    assert places["request"]["generator"].tolist() == [0, 1, 0]
    assert not np.array_equal(places["image"][1], first.draw(np.append(small, 0).astype(np.float32)))
