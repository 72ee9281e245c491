"""A trial loads and runs the graphs of a bundle or a generator once, in a child that `bci.decoder.probe` starts.

``python -m bci.decoder.sandbox`` answers one request (see `bci.io.files.capped`). It imports as little as it can, for
its start is what loading a bundle costs.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bci.decoder.wire import GraphFacts, nan_weights, read_facts
from bci.errors import BundleError
from bci.io.files.capped import answer, printable


@dataclass(frozen=True, slots=True)
class Chain:
    """The graphs of one precision and the sizes of what goes through them.

    Attributes
    ----------
    graphs : sequence of (role, file name, SHA-256)
        In the order in which they run.
    window : sequence of int
        Shape of one window of the pipeline's output, samples first.
    latent : int
        Size of the latent space; of a ``signal`` graph, which makes a window of noise, the values of that noise.
    image : sequence of int
        Height and width of the pictures.
    confidence : bool
        Whether the first graph must give one.
    values : str
        The readout's output: ``latent``, or ``probabilities`` or ``value`` of a result that is no picture.
    values_shape : sequence of int, optional
        Its shape; (1, latent) where it is left out.
    free_batch : int
        0 where the graphs take one at a time, as a bundle's do. Where they leave that open, as a generator's package
        does: how many at once they are tried with.
    novelty : bool
        Whether the first graph must say how unlike its training data the window is.
    levels : (float, float), optional
        The values that mean black and full brightness, where the last graph makes bytes of its image itself: beside
        ``image`` it gives ``pixels``, (1, height, width, 3) uint8, and ``finite``, (1,), which is no finite number
        where a value of the image is none.
    """

    graphs: Sequence[tuple[str, str, str]]
    window: Sequence[int]
    latent: int
    image: Sequence[int]
    confidence: bool
    values: str = "latent"
    values_shape: Sequence[int] | None = None
    free_batch: int = 0
    novelty: bool = False
    levels: Sequence[float] | None = None

    @property
    def taken(self) -> str:
        """What the first graph takes: ``window``, or of a generator alone ``latent``."""
        return self.input_of(self.graphs[0][0])

    def input_of(self, role: str) -> str:
        """Return what a graph of `role` takes; a drawing takes what the readout gives."""
        return self.values if role == "drawing" else _INPUT[role]

    def sizes(self) -> dict[str, list[int]]:
        """Return the shape of every tensor that the graphs take or give when they are tried."""
        batch = self.free_batch or 1
        return {
            "window": [batch, *self.window],
            self.values: list(self.values_shape or (batch, self.latent)),
            "confidence": [batch],
            "novelty": [batch],
            "image": [batch, 3, *self.image],
            "noise": [batch, self.latent],
            "samples": [batch, *self.window],
            "pixels": [batch, *self.image, 3],
            "finite": [batch],
        }

    @staticmethod
    def kind(name: str) -> str:
        """Return the type of a tensor's numbers: ``uint8`` of pixels, else ``float32``."""
        return "uint8" if name == "pixels" else "float32"

    def outputs(self, role: str) -> list[str]:
        """Return what a graph of `role` must give."""
        picture = ["image"] if self.levels is None else ["pixels", "finite"]
        named = {"readout": [self.values], "whole": ["latent", *picture], "signal": ["samples"]}
        names = named.get(role, picture)
        if role in ("generator", "drawing", "signal"):
            return names
        beside = {"confidence": self.confidence, "novelty": self.novelty}
        return [*names, *(name for name, wanted in beside.items() if wanted)]


#: What a graph of each role takes, whatever the result is.
_INPUT: Mapping[str, str] = {
    "readout": "window",
    "whole": "window",
    "generator": "latent",
    "signal": "noise",
}


def run(chain: Chain, folder: Path) -> dict[str, GraphFacts]:
    """Load the chain's graphs, compare their inputs and outputs with the stated sizes, and run them.

    Raises
    ------
    BundleError
        If anything is not as stated, or the same window gives another result the second time.
    """
    import numpy as np
    import onnxruntime

    sizes = chain.sizes()
    facts: dict[str, GraphFacts] = {}
    sessions: list[tuple[str, str, Any]] = []
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    for role, name, digest in chain.graphs:
        model = (folder / name).read_bytes()
        if hashlib.sha256(model).hexdigest() != digest:
            raise BundleError(f"{name}: it changed while it was read. Load the bundle again.")
        facts[name] = read_facts(model, name)
        if facts[name].external:
            raise BundleError(
                f"{name}: expected all tensors inside the file, came external data. "
                "Export the model with its weights in one file."
            )
        if nan := nan_weights(model):
            raise BundleError(
                f"{name}: expected weights that are numbers, came NaN in {nan[:100]!r}: nothing that it gives would be "
                "a number. Its training has failed; train again, or export an earlier state."
            )
        with _Refusal(f"{name}: expected a graph that ONNX Runtime {onnxruntime.__version__} loads"):
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        del model
        _check_interface(name, role, chain, session)
        sessions.append((role, name, session))

    def decode(first: Any) -> dict[str, Any]:
        tensors = {chain.taken: first}
        for role, name, session in sessions:
            wanted = _all_outputs(chain, role)
            with _Refusal(f"{name}: expected a graph that runs"):
                given = session.run(wanted, {chain.input_of(role): tensors[chain.input_of(role)]})
            for output, array in zip(wanted, given, strict=True):
                if list(array.shape) != sizes[output]:
                    raise BundleError(
                        f"{name}: expected {output!r} of shape {sizes[output]}, came {list(array.shape)}. "
                        "Correct the sizes in the description, or export the graph again."
                    )
                tensors[output] = array
        return tensors

    first = np.random.default_rng(0).standard_normal(sizes[chain.taken], np.float32)
    once = decode(first)
    decode(np.zeros_like(first))
    again = decode(first)
    for name, array in once.items():
        if array.tobytes() != again[name].tobytes():
            raise BundleError(
                f"expected graphs that give the same for the same {chain.taken}, but {name!r} differs the second "
                "time. "
                "Remove random operators and state from the graphs."
            )
    if chain.levels is not None:
        _check_pixels(chain, once)
    return facts


def _all_outputs(chain: Chain, role: str) -> list[str]:
    """Return what a graph of `role` must give, also what only other tools ask for: the image that pixels are of."""
    names = chain.outputs(role)
    return [*names, "image"] if "pixels" in names else names


def _check_pixels(chain: Chain, found: Mapping[str, Any]) -> None:
    """Compare pixels with what the decoder itself would make of the image."""
    from bci.decoder.quantiser import Quantiser, Range

    assert chain.levels is not None
    expected = Quantiser(Range(*chain.image, *chain.levels))(found["image"][0])
    if expected is None:
        return  # no picture: whether the graph says so is seen at every window
    came = found["pixels"][0]
    if expected.tobytes() != came.tobytes():
        raise BundleError(
            f"expected pixels that are the image's levels between {chain.levels[0]:g} and {chain.levels[1]:g}, came "
            f"{(expected != came).sum()} others of {came.size}. Correct the range in the description, or export again."
        )


def _check_interface(name: str, role: str, chain: Chain, session: Any) -> None:
    """Compare a graph's declared inputs and outputs with the stated sizes."""
    sizes = chain.sizes()
    taken = {i.name: (i.type, list(i.shape)) for i in session.get_inputs()}
    taken_by = chain.input_of(role)
    wanted = {taken_by: ("tensor(float)", sizes[taken_by])}
    if chain.free_batch:
        taken, wanted = ({n: (k, s[1:]) for n, (k, s) in both.items()} for both in (taken, wanted))
    if taken != wanted:
        after = ", after the batch," if chain.free_batch else ""
        raise BundleError(
            f"{name}: expected{after} as {role} the input {_show(wanted)}, came {_show(taken)}. "
            "Freeze the sizes at export, or correct those in the description."
        )
    given = {o.name: o.type for o in session.get_outputs()}
    kinds = {"float32": "tensor(float)", "uint8": "tensor(uint8)"}
    outputs = _all_outputs(chain, role)
    if any(given.get(output) != kinds[chain.kind(output)] for output in outputs):
        bytes_too = " (pixels uint8)" if "pixels" in outputs else ""
        raise BundleError(
            f"{name}: expected as {role} the float32 outputs {', '.join(outputs)}{bytes_too}, came "
            f"{', '.join(f'{o}: {kind}' for o, kind in given.items())}. Name the outputs so at export."
        )


def _show(tensors: Mapping[str, tuple[str, list[Any]]]) -> str:
    return ", ".join(f"{name}: {kind} {shape}" for name, (kind, shape) in tensors.items()) or "none"


class _Refusal:
    """Turns whatever ONNX Runtime raises about a graph into a refusal in the house's words."""

    def __init__(self, expected: str) -> None:
        self._expected = expected

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # Its exceptions share no base below Exception; every one of them here is about the graph.
        if isinstance(error, Exception):
            raise BundleError(f"{self._expected}, came: {printable(error)}. Export it again.") from error


def handle(request: dict[str, Any]) -> dict[str, Any]:
    """Try every chain of a request; return what each file says about itself."""
    facts: dict[str, GraphFacts] = {}
    for asked in request["chains"]:
        facts |= run(Chain(**asked), Path(request["folder"]))
    return {"facts": {name: known.plain() for name, known in facts.items()}}


if __name__ == "__main__":
    answer(handle)
