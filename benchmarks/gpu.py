"""All checks that need an NVIDIA GPU: the provider really used, CPU–GPU parity, and latency against raw runs.

::

    python -m benchmarks.gpu [--quick] [--json]

Without a GPU it says so, and ends with status 3 and ``{"gpu": false}``. With one it judges what a card must reach
line by line (`benchmarks.card_lines`), and ends with status 0 when every line holds, else with 1: also where a line
was not measured, as some are not with ``--quick``. Two lines take whole sessions (`benchmarks.card_session`). Another
result than the CPU's or than a moment ago fails, and a graph that is not wholly on the GPU is reported. Windows come
back to back, then at the spacing of hops and volumes, where clocks fall. The floor is the same graphs in sessions of
the benchmark's own, with pinned memory, copies and graphs queued on one stream, and one wait; the order of runs is
drawn anew for every window. "plain run" lets ONNX Runtime copy, "without CUDA graph" is the decoder with the graph
switched off.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.cuda import describe_card, require_cuda
from bci.decoder.cuda_stream import CudaStream
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.parity import compare
from bci.decoder.quantiser import Quantiser
from bci.errors import BciError, ProviderError
from bci.memory.lsl_clock import LslClock
from bci.signal.clock import Clock
from benchmarks.card_lines import (
    FRAMES,
    NO_CARD,
    SPACINGS_S,
    Line,
    clocks,
    judge_decode,
    judge_frames,
    judge_restarts,
    judge_session,
    status,
    time_spaced,
)
from benchmarks.card_session import context_s, restarts, sample_to_frame
from benchmarks.decode_latency import DEMO, make_windows
from benchmarks.fresh_bundle import fresh_bundle
from benchmarks.generator_latency import FACES, bundle_of
from benchmarks.report import (
    machine_facts,
    percentiles,
    print_last_line,
    print_machine,
    print_table,
    progress,
)
from models.generators.package import GeneratorPackage

ROUNDS = 5

Run = Callable[[NDArray[np.float32]], object]


def _cuda_session(model: bytes, *, graph: bool, strict: bool = False, stream: int | None = None) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    if strict:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    settings = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC", "enable_cuda_graph": str(int(graph))}
    if stream is not None:
        settings["user_compute_stream"] = str(stream)
    return onnxruntime.InferenceSession(
        model, options, providers=[("CUDAExecutionProvider", settings)], enable_fallback=0
    )


class BoundFloor:
    """A BoundFloor does for one window what must be done on a card, and nothing else.

    A copy from pinned memory, the graphs (CUDA graphs where the decoder has them), a copy of latent and picture to
    pinned memory, all queued on one stream; one wait.
    """

    def __init__(self, bundle: Bundle, *, graph: bool) -> None:
        import onnxruntime

        chain, stream = bundle.chain(), CudaStream(0)
        models = [bundle.read(name) for _, name, _ in chain.graphs]
        sessions = [_cuda_session(model, graph=graph, stream=stream.handle) for model in models]
        wanted = ["latent", "pixels", "finite"] if bundle.spec.pixels else ["latent", "image"]
        names, sizes = [chain.taken, *wanted], chain.sizes()
        kinds = {name: np.dtype(chain.kind(name)).type for name in names}
        on_card = {
            name: onnxruntime.OrtValue.ortvalue_from_shape_and_type(sizes[name], kinds[name], "cuda", 0)
            for name in names
        }
        self._held, self._stream = on_card, stream
        self._taken = (stream.pinned(sizes[chain.taken], np.float32), on_card[chain.taken].data_ptr())
        self._given = [(on_card[n].data_ptr(), stream.pinned(sizes[n], kinds[n])) for n in wanted]
        self._options = onnxruntime.RunOptions()
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        self._steps = []
        for (role, _, _), session in zip(chain.graphs, sessions, strict=True):
            binding = session.io_binding()
            binding.bind_ortvalue_input(chain.input_of(role), on_card[chain.input_of(role)])
            for name in chain.outputs(role):
                binding.bind_ortvalue_output(name, on_card[name])
            self._steps.append((session, binding))

    def __call__(self, window: NDArray[np.float32]) -> object:
        """Queue one window, and wait for its latent and picture."""
        here, there = self._taken
        np.copyto(here, window)
        self._stream.to_card(here, there)
        for session, binding in self._steps:
            session.run_with_iobinding(binding, self._options)
        for place, pinned in self._given:
            self._stream.from_card(place, pinned)
        self._stream.wait()
        return self._given


class PlainFloor:
    """A PlainFloor runs the chain by `session.run`: ONNX Runtime copies to and from the device at every graph."""

    def __init__(self, bundle: Bundle) -> None:
        chain = bundle.chain()
        self._steps = [
            (_cuda_session(bundle.read(name), graph=False), chain.input_of(role), chain.outputs(role))
            for role, name, _ in chain.graphs
        ]

    def __call__(self, window: NDArray[np.float32]) -> object:
        """Run the chain."""
        found: dict[str, Any] = {"window": window}
        for session, taken, given in self._steps:
            found |= zip(given, session.run(given, {taken: found[taken]}), strict=True)
        return found


def wholly_on_gpu(bundle: Bundle) -> dict[str, bool]:
    """Return for each graph whether every node runs on the GPU: it loads where the CPU may not help."""
    found = {}
    for _, name, _ in bundle.chain().graphs:
        try:
            _cuda_session(bundle.read(name), graph=False, strict=True)
        except Exception as error:  # ONNX Runtime's exceptions share no base below Exception
            progress(f"{name} is not wholly on the GPU: {str(error).splitlines()[0][:200]}")
            found[name] = False
        else:
            found[name] = True
    return found


def repeats(decoder: OnnxDecoder, windows: list[NDArray[np.float32]]) -> bool:
    """Whether every window gives the same bits when all are decoded again, in reverse order."""
    once = [decoder.raw(window) for window in windows]
    again = [decoder.raw(window) for window in reversed(windows)][::-1]
    return all(a[name].tobytes() == b[name].tobytes() for a, b in zip(once, again, strict=True) for name in a)


def without_cuda_graph(bundle: Bundle) -> Bundle:
    """Return the bundle with the CUDA graph switched off."""
    options = bundle.spec.options
    off = options.model_copy(update={"cuda": options.cuda.model_copy(update={"graph": False})})
    return replace(bundle, spec=bundle.spec.model_copy(update={"options": off}))


def time_runs(
    runs: Mapping[str, Run], windows: list[NDArray[np.float32]], n: int, clock: Clock
) -> dict[str, Any]:
    """Time every run on `n` windows in each round, in turn; return latencies, (rounds, n) milliseconds."""
    taken = {name: np.empty((ROUNDS, n)) for name in runs}
    names = list(runs)
    random = np.random.default_rng(0)
    for run in runs.values():
        for window in windows[:20]:
            run(window)
    for round_ in range(ROUNDS):
        for i in range(n):
            # Any order is as likely: in a rotated one each run follows the same other run, and finds its caches.
            for name in random.permutation(names).tolist():
                window = windows[i % len(windows)]
                began = clock.now()
                runs[name](window)
                taken[name][round_, i] = 1e3 * (clock.now() - began)
    return taken


def examine(bundle: Bundle, n: int, clock: Clock) -> dict[str, Any]:
    """Make every check on one bundle."""
    windows = make_windows(bundle, 64)
    samples = [window.samples for window in windows]
    on_cpu = OnnxDecoder(bundle, clock=clock)
    began = clock.now()
    on_gpu = OnnxDecoder(bundle, clock=clock, provider="cuda")
    on_gpu.warm_up()
    ready_s = clock.now() - began
    parity = compare(
        [on_cpu.raw(s) for s in samples], [on_gpu.raw(s) for s in samples], Quantiser(bundle.spec.image)
    )
    captured = [options["enable_cuda_graph"] == "1" for options in on_gpu.environment["options"]]
    plain_decoder = OnnxDecoder(without_cuda_graph(bundle), clock=clock, provider="cuda")
    by_samples = {id(window.samples): window for window in windows}
    floor, plain = BoundFloor(bundle, graph=all(captured)), PlainFloor(bundle)
    runs: dict[str, Run] = {
        "floor: one stream, one wait": lambda s: floor(s[None]),
        "plain run": lambda s: plain(s[None]),
        "decoder on the GPU": lambda s: on_gpu.decode(by_samples[id(s)]),
        "decoder without CUDA graph": lambda s: plain_decoder.decode(by_samples[id(s)]),
        "decoder on the CPU": lambda s: on_cpu.decode(by_samples[id(s)]),
    }
    half: dict[str, Any] | None = None
    if any(graph.precision == "float16" for graph in bundle.spec.graphs):
        try:
            in_half = OnnxDecoder(bundle, clock=clock, provider="cuda", precision="float16", parity=samples)
        except ProviderError as refusal:
            half = {"accepted": False, "reason": str(refusal)}
        else:
            half = {"accepted": True}
            runs["decoder in float16"] = lambda s: in_half.decode(by_samples[id(s)])
    taken = time_runs(runs, samples, n, clock)
    medians = {name: np.median(values, axis=1) for name, values in taken.items()}
    ratios = medians["decoder on the GPU"] / medians["floor: one stream, one wait"]
    name, held, steady = bundle.name, parity.holds, repeats(on_gpu, samples)
    lines = [
        judge_decode(name, taken["decoder on the GPU"], taken["floor: one stream, one wait"]),
        judge_frames(name, on_gpu.raw, samples, FRAMES if n >= ROUNDS * 20 else 10 * len(samples)),
        Line(f"{name}: the CPU's results", held, f"latent {parity.latent:.2g}, pixels {parity.pixels:.5f}"),
        Line(f"{name}: the same in reverse order", steady, "equal" if steady else "not equal"),
    ]
    return {
        "lines": lines,
        "spaced_ms": spaced(runs["decoder on the GPU"], samples, n, clock),
        "provider": on_gpu.environment["provider"],
        "wholly_on_gpu": wholly_on_gpu(bundle),
        "cuda_graph": captured,
        "parity": {"latent": parity.latent, "pixels": parity.pixels, "holds": parity.holds},
        "repeats": steady,
        "float16": half,
        "ready_s": ready_s,
        "latency_ms": {name: percentiles(values.ravel()) for name, values in taken.items()},
        "ratio": {
            "median": float(np.median(ratios)),
            "low": float(ratios.min()),
            "high": float(ratios.max()),
        },
        "environment": on_gpu.environment,
    }


def spaced(run: Run, windows: list[NDArray[np.float32]], n: int, clock: Clock) -> dict[str, Any]:
    """Time a run at each spacing; return latencies and the card's clocks right after, by seconds."""
    found = {}
    for seconds in SPACINGS_S:
        # Pauses of a volume's length are few: half a minute in all.
        taken = time_spaced(run, windows, seconds, min(n, max(5, round(30 / seconds))), clock)
        found[f"{seconds:g}"] = {**percentiles(taken), "clocks": clocks()}
    return found


def whole_sessions(*, quick: bool) -> list[Line]:
    """Judge what needs a session of its own on the card; one that fails is a line that does not hold."""
    lines = []
    for what, run in (
        ("a session", lambda: judge_session(sample_to_frame("cuda", 5 if quick else 30))),
        ("restarts", lambda: judge_restarts(restarts("cuda", 1 if quick else 5), context_s())),
    ):
        progress(what)
        try:
            lines.append(run())
        except BciError as error:
            lines.append(Line(what, False, str(error).splitlines()[0]))
    return lines


def print_lines(lines: list[Line]) -> None:
    """Print every line with its verdict."""
    words = {True: "holds", False: "FAILS", None: "not measured"}
    print()
    print_table(["line", "", "came"], [[line.name, words[line.holds], line.came] for line in lines])


def print_findings(name: str, found: Mapping[str, Any]) -> None:
    """Print the results for one bundle."""
    parity = found["parity"]
    print(
        f"\n{name}: {found['provider']}, CUDA graph {found['cuda_graph']}, wholly on it {found['wholly_on_gpu']}"
    )
    print(
        f"parity with the CPU: latent {parity['latent']:.2g}, {100 * parity['pixels']:.3f} % of pixels within one level"
        f" ({'holds' if parity['holds'] else 'FAILS'}); repeats bit for bit: {found['repeats']}; "
        f"ready after {found['ready_s']:.2f} s"
    )
    if found["float16"] is not None:
        print(f"float16: {'accepted' if found['float16']['accepted'] else found['float16']['reason']}")
    print_table(
        ["", "p50 ms", "p95 ms", "p99 ms", "n"],
        [
            [name, *(f"{row[point]:.3f}" for point in ("p50", "p95", "p99")), str(row["n"])]
            for name, row in found["latency_ms"].items()
        ],
    )
    print_table(
        ["seconds between windows", "p50 ms", "p99 ms", "n", "clocks after"],
        [
            [
                space,
                f"{row['p50']:.3f}",
                f"{row['p99']:.3f}",
                str(row["n"]),
                ", ".join(row["clocks"].values()),
            ]
            for space, row in found["spaced_ms"].items()
        ],
    )
    ratio = found["ratio"]
    print(f"decoder on the GPU / floor: {ratio['median']:.2f} ({ratio['low']:.2f}–{ratio['high']:.2f})")


def main() -> None:
    """Check and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--bundle", type=Path, default=DEMO, help="a bundle to run beside the untrained ones")
    parser.add_argument(
        "--quick", action="store_true", help="fewer windows; some lines are then not measured"
    )
    parser.add_argument("--json", action="store_true", help="print one machine-readable last line")
    arguments = parser.parse_args()
    facts = machine_facts(["onnxruntime", "onnxruntime-gpu"])
    try:
        require_cuda()
    except ProviderError as reason:
        print(f"no GPU: {reason}")
        if arguments.json:
            print_last_line({"benchmark": "gpu", "gpu": False, "reason": str(reason), "machine": facts})
        raise SystemExit(NO_CARD) from None
    print_machine(facts)
    print(", ".join(describe_card().values()) or "nvidia-smi does not answer")
    clock = LslClock()
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        bundles = [
            fresh_bundle(Path(scratch) / "small", float16=True),
            fresh_bundle(Path(scratch) / "large", size=256, width=512, latent=64, channels=64, float16=True),
            fresh_bundle(Path(scratch) / "huge", size=1024, width=512, latent=64, channels=64, float16=True),
        ]
        if arguments.bundle.is_dir():
            bundles.append(Bundle.load(arguments.bundle))
        if FACES.is_dir():
            bundles.append(bundle_of(GeneratorPackage.load(FACES), Path(scratch) / "faces"))
        for bundle in bundles:
            progress(bundle.name)
            found[bundle.name] = examine(bundle, 20 if arguments.quick else 200, clock)
            print_findings(bundle.name, found[bundle.name])
    lines = [line for f in found.values() for line in f.pop("lines")]
    lines += whole_sessions(quick=arguments.quick)
    print_lines(lines)
    ended = status(lines)
    if arguments.json:
        told = [asdict(line) for line in lines]
        print_last_line({"benchmark": "gpu", "gpu": True, "lines": told, "machine": facts, "bundles": found})
    raise SystemExit(ended)


if __name__ == "__main__":
    main()
