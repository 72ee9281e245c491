"""A trial of an unknown generator, in a capped child: what its graph takes and gives, and pictures of given latents.

``python -m models.generators.imported.trial`` answers one request (see `bci.io.files.capped`). It takes the graph
as it is, under its own names: nothing of it is known yet.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bci.decoder.wire import nan_weights, read_facts
from bci.errors import BundleError
from bci.io.files.capped import answer, printable

#: What the child leaves in the folder that it is given: the outputs of each run, (runs, …).
DRAWN = "drawn.npy"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A Tensor is an input or an output as the graph declares it.

    Attributes
    ----------
    name : str
        Its name.
    kind : str
        Type of its values: ``float``, ``float16``, ``double``, ``int64``, ``uint8`` …
    shape : tuple
        A size for each axis, or None where it is left open.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        """Show name, type and sizes: ``z: float (?, 512)``."""
        return f"{self.name}: {self.kind} ({', '.join('?' if n is None else str(n) for n in self.shape)})"


def handle(request: dict[str, Any]) -> dict[str, Any]:
    """Load a graph; without ``feeds`` say what it takes and gives, else run it on each of them twice.

    Raises
    ------
    BundleError
        If it is damaged, keeps tensors elsewhere, has control flow or weights that are no numbers, does not run, or
        gives another picture the second time.
    """
    import onnxruntime

    path = Path(request["file"])
    model = path.read_bytes()
    if hashlib.sha256(model).hexdigest() != request["sha256"]:
        raise BundleError(f"{path.name}: it changed while it was read. Import it again.")
    facts = read_facts(model, path.name)
    if facts.external:
        raise BundleError(
            f"{path.name}: expected all tensors inside the file, came external data. Export the model with its "
            "weights in one file."
        )
    if facts.control_flow:
        raise BundleError(
            f"{path.name}: expected a graph without control flow, came {', '.join(facts.control_flow)}. Export it with "
            "its loops unrolled and its branches decided."
        )
    if nan := nan_weights(model):
        raise BundleError(
            f"{path.name}: expected weights that are numbers, came NaN in {nan[:100]!r}. Export another state of it."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base below Exception
        raise BundleError(
            f"{path.name}: expected a graph that ONNX Runtime {onnxruntime.__version__} loads, came: "
            f"{printable(error)}. Export it again."
        ) from error
    del model
    if "feeds" not in request:
        return {
            "inputs": [asdict(_declared(tensor)) for tensor in session.get_inputs()],
            "outputs": [asdict(_declared(tensor)) for tensor in session.get_outputs()],
        }
    return _draw(session, request, path.name)


def _declared(tensor: Any) -> Tensor:
    kind = str(tensor.type).removeprefix("tensor(").removesuffix(")")
    return Tensor(tensor.name, kind, tuple(n if isinstance(n, int) and n > 0 else None for n in tensor.shape))


def _draw(session: Any, request: dict[str, Any], name: str) -> dict[str, Any]:
    """Run the graph on every set of inputs, twice each; leave the outputs in the folder named."""
    import numpy as np

    folder, drawn = Path(request["folder"]), []
    for k in range(request["feeds"]):
        with np.load(folder / f"feed-{k}.npz", allow_pickle=False) as file:
            feed = {key: file[key] for key in file.files}
        try:
            once, again = (session.run([request["output"]], feed)[0] for _ in range(2))
        except Exception as error:  # ONNX Runtime again: about this graph and these inputs alone
            if request.get("may_fail"):
                return {"failed": printable(error)}
            raise BundleError(
                f"{name}: expected a graph that runs with the inputs stated, came: {printable(error)}. Correct them, "
                "or export it again."
            ) from error
        if once.tobytes() != again.tobytes():
            raise BundleError(
                f"{name}: expected the same picture for the same latent, came another the second time. Export it with "
                "its noise held constant (StyleGAN: noise_mode='const')."
            )
        drawn.append(once)
    np.save(folder / DRAWN, np.stack(drawn))
    return {"failed": ""}


if __name__ == "__main__":
    answer(handle)
