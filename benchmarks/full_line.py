"""The full line: a whole session on a benchmark's feed, started by the supervisor as `bci run` starts it.

Everything is on: acquisition, a band-pass, a small ONNX decoder, the headless display, the recorder. The figure
is the same as for the other contenders, from the push of a window's newest sample to the window in the decoder's
hands, taken from the stamps that the session recorded; how long the later stages took stands in its facts.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.config.control import ControlSettings
from bci.config.display import DisplaySettings
from bci.config.page import PageSettings
from bci.config.programs import DecoderSettings, SupervisionSettings
from bci.config.session import SessionConfig
from bci.config.stream import StreamSettings
from bci.control.session_plan import SessionPlan
from bci.control.supervisor import Supervisor
from bci.decoder.bundle import save_bundle
from bci.decoder.providers import Provider
from bci.decoder.spec import BundleSpec, GraphSpec, ImageSpec, SignalSpec, WindowSpec
from bci.errors import ProgramError
from bci.io.lsl.source import describe
from bci.session.recorded import RecordedSession
from bci.signal.pipeline import Pipeline
from bci.signal.steps.filters import BandPass
from bci.signal.types import Signal
from benchmarks.contenders.line import source_post
from benchmarks.measurement import Measurement, Stage, cpu_seconds
from benchmarks.source import SETTLE, Feed

_SIDE = 64
_READY_LIMIT = 60.0


def _undisturbed(supervisor: Supervisor, now: float) -> None:
    """Leave the session undisturbed: the default of `disturb`."""


def _nothing(session: Path, name: str) -> dict[str, Any]:
    return {}


def measure_line(
    feed: Feed,
    *,
    warm_up: float,
    seconds: float,
    recorder: str = "bci.live.record",
    supervision: SupervisionSettings | None = None,
    control: ControlSettings | None = None,
    page: PageSettings | None = None,
    make: Callable[[Path, Signal, Feed], None] | None = None,
    provider: Provider = "cpu",
    disturb: Callable[[Supervisor, float], None] = _undisturbed,
    inspect: Callable[[Path, str], Mapping[str, Any]] = _nothing,
) -> Measurement:
    """Run one session on one feed.

    Parameters
    ----------
    feed : Feed
        What is published and how it is cut.
    warm_up, seconds : float
        Stream seconds that are not measured, and that are.
    recorder : str
        Module of the record program.
    supervision : SupervisionSettings, optional
        Other rules for which program counts as hung.
    control : ControlSettings, optional
        How the session can be commanded.
    page : PageSettings, optional
        Where its page is served; without it there is none.
    make : callable, optional
        Writes the bundle of a folder, for a signal and a feed, in place of `make_bundle`.
    provider : str
        Where it is decoded.
    disturb : callable
        Called about ten times a second with the supervisor and the seconds since the measured span began.
    inspect : callable
        Given the session's folder and the stream's name before the folder is removed; what it returns is added to
        `Measurement.facts`, which hold what the session's summary says, and in ``when`` the seconds since the
        measured span began at which each window of `Measurement.latency` was in hand.

    Raises
    ------
    BciError
        If a program fails.
    """
    with Stage() as stage:
        total = warm_up + seconds + 0.2
        spec = {"source_id": stage.key, "feed": asdict(feed), "seconds": total}
        stage.take([source_post(spec)])
        stage.start()
        source = stage.children["source"]
        bundle = stage.folder / "bundle"
        (make or make_bundle)(bundle, describe(stage.key).signal, feed)
        config = SessionConfig(
            name="line",
            seconds=SETTLE + total + 0.5,
            stream=StreamSettings(source_id=stage.key, timeout_s=30),  # a busy machine serves the source late
            decoder=DecoderSettings(bundle=bundle, provider=provider),
            display=DisplaySettings(kind="headless"),
            supervision=supervision or SupervisionSettings(),
            control=control or ControlSettings(),
            page=page,
        )
        meter = _Meter(stage, warm_up, seconds, disturb)
        plan = SessionPlan(config)
        plan.line = plan.line.changed("record", module=recorder)
        with own_log():
            summary = Supervisor(plan, stage.folder, observe=meter).run()
        # The source has sent all that it had before the session ends: only that silence is no fault.
        if summary["failures"] or summary["restarts"] or summary["status"] not in ("done", "safe"):
            why = "; ".join(summary["failures"]) or f"restarts {summary['restarts']}"
            raise ProgramError(f"the session ended as {summary['status']}: {why} ({summary['ended_by']})")
        stage.until(lambda: "pushed" in source.facts, _READY_LIMIT, "the last sample")
        pushed = np.load(stage.folder / "source.npy")
        session = Path(summary["session"])
        run = _evaluate(feed, pushed, _frames(session), meter, seconds, summary, source.facts)
        return replace(run, facts={**run.facts, **inspect(session, stage.key)})


class _Meter:
    """A _Meter reads the CPU clocks of source, acquire, decode and record at the ends of the measured span.

    The supervisor calls it about ten times a second, so it divides by the span that it saw.
    """

    def __init__(
        self, stage: Stage, warm_up: float, seconds: float, disturb: Callable[[Supervisor, float], None]
    ) -> None:
        self._stage, self._warm_up, self._seconds = stage, warm_up, seconds
        self._disturb = disturb
        self.began = float("nan")
        self._at: list[tuple[float, dict[str, float]]] = []

    def __call__(self, supervisor: Supervisor) -> None:
        source = self._stage.children["source"]
        source.listen()
        if "started" not in source.facts:
            return
        self.began = source.facts["started"] + self._warm_up
        now = supervisor.clock.now()
        self._disturb(supervisor, now - self.began)
        if len(self._at) < 2 and now >= self.began + len(self._at) * self._seconds:
            children = {
                "source": source,
                **{n: supervisor.children[n] for n in ("acquire", "decode", "record")},
            }
            pids = {name: child.process.pid for name, child in children.items()}
            self._at.append((now, {name: cpu_seconds(pid) for name, pid in pids.items() if pid}))

    @property
    def cpu(self) -> dict[str, float]:
        """CPU seconds per stream second of each program."""
        (start, before), (end, after) = self._at
        return {name: (after[name] - before[name]) / (end - start) for name in before}


_TITLE = "Brightness by the power between 8 and 30 Hz; made for a benchmark."


def make_bundle(folder: Path, signal: Signal, feed: Feed, *, title: str = _TITLE) -> None:
    """Write a bundle for the feed: 8 to 30 Hz, then one graph from the windows' power to a brightness."""
    pipeline = Pipeline([BandPass(8.0, 30.0)])
    spec = BundleSpec(
        name="full-line",
        title=title,
        signal=SignalSpec(
            name=signal.name, rate=signal.rate, shape=signal.shape, channels=signal.channels, unit=signal.unit
        ),
        pipeline=tuple(pipeline.to_json()),
        window=WindowSpec(length=feed.length, hop=feed.hop),
        latent=1,
        image=ImageSpec(height=_SIDE, width=_SIDE),
        graphs=(GraphSpec(file="whole.onnx", role="whole"),),
    )
    save_bundle(folder, spec, {"whole.onnx": _graph((1, feed.length, *signal.shape))})


def _graph(window: tuple[int, ...]) -> bytes:
    """Return a graph: latent = mean of the window's squares, image = tanh(latent) over a ramp."""
    from onnx import TensorProto, checker, helper, numpy_helper

    ramp = np.broadcast_to(np.linspace(-1, 1, _SIDE, dtype=np.float32), (1, 3, _SIDE, _SIDE)).copy()
    float32 = TensorProto.FLOAT
    nodes = [
        helper.make_node("Mul", ["window", "window"], ["squares"]),
        helper.make_node("ReduceMean", ["squares", "axes"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "one"], ["latent"]),
        helper.make_node("Tanh", ["latent"], ["level"]),
        helper.make_node("Mul", ["level", "ramp"], ["image"]),
    ]
    constants = {
        "axes": np.arange(1, len(window)),
        "one": np.array([1, 1]),
        "ramp": ramp,
    }
    graph = helper.make_graph(
        nodes,
        "whole",
        [helper.make_tensor_value_info("window", float32, window)],
        [
            helper.make_tensor_value_info("latent", float32, (1, 1)),
            helper.make_tensor_value_info("image", float32, (1, 3, _SIDE, _SIDE)),
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    checker.check_model(model)
    return bytes(model.SerializeToString())


@contextmanager
def own_log() -> Iterator[None]:
    """Remove afterwards the handlers that the supervisor adds to this process' logging."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(before):
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)


def _frames(session: Path) -> NDArray[np.float64]:
    """Read (last_sample, skipped, cut) of every frame that was recorded: (n, 3)."""
    rows = RecordedSession.read(session).table("frames")
    return np.array([(row["last_sample"], row["skipped"], row["cut"]) for row in rows], float).reshape(-1, 3)


def _evaluate(
    feed: Feed,
    pushed: NDArray[np.float64],
    frames: NDArray[np.float64],
    meter: _Meter,
    seconds: float,
    summary: dict[str, Any],
    source: dict[str, Any],
) -> Measurement:
    newest, skipped, cut = frames[:, 0].astype(int), frames[:, 1].astype(int), frames[:, 2]
    age = cut - pushed[newest // feed.chunk]
    inside = (cut >= meter.began) & (cut < meter.began + seconds)
    charged = [
        cut[i] - pushed[(newest[i] - np.arange(1, skipped[i] + 1) * feed.hop) // feed.chunk]
        for i in np.flatnonzero(inside & (skipped > 0))
    ]
    counted = summary["windows"] == summary["reconstructions"] + summary["skipped"]
    total = len(pushed) * feed.chunk
    cpu = meter.cpu
    return Measurement(
        contender="line",
        feed=feed,
        latency=np.concatenate([age[inside], *charged]),
        decoded_age=np.empty(0),
        ages=np.column_stack([cut - meter.began, age])[inside],
        cpu=cpu["acquire"] + cpu["decode"],
        programs_cpu=cpu,
        windows=int(inside.sum()),
        passed_over=int(skipped[inside].sum()),
        broken=int(not counted) + int(summary["windows"] != (total - feed.length) // feed.hop + 1),
        lost=summary["samples_lost"] + total - summary["samples"],
        facts={
            "source": source,
            "record": summary["programs"]["record"],
            "when": np.concatenate([cut[inside], np.repeat(cut[inside], skipped[inside])]) - meter.began,
            **{key: summary[key] for key in ("latency_ms", "flips", "dropped_flips", "invalid")},
        },
    )
