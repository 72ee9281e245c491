"""A network trial loads and runs a file of network weights once, in a capped child: nothing else loads it before.

The file comes from elsewhere, as a bundle does (`bci.decoder.probe`). ``python -m models.metrics.network_trial`` is the
child and answers one request (`bci.io.files.capped`).
"""

from pathlib import Path
from typing import Any

from bci.decoder.probe import BASE_BYTES, PER_BYTE
from bci.decoder.wire import read_facts
from bci.errors import BundleError, ConfigError
from bci.io.files.capped import ChildLimits, answer, ask, printable
from bci.io.files.regular import require_regular

_SECONDS = 120.0


def try_network(path: Path, pictures: int, size: int) -> None:
    """Try a network in a capped child.

    Parameters
    ----------
    path : Path
        One ONNX file.
    pictures : int
        How many inputs it takes, each (1, 3, size, size).
    size : int
        Pixels.

    Raises
    ------
    ConfigError
        If it is no network from so many pictures to features, or wants more memory or time than it may have.
    """
    limits = ChildLimits(
        memory=BASE_BYTES + PER_BYTE * require_regular(path, ConfigError),
        seconds=_SECONDS,
        expected="a network that loads and runs",
        advice="Take the file away, or export a smaller network.",
    )
    request = {"file": str(path.resolve()), "pictures": pictures, "size": size}
    ask("models.metrics.network_trial", request, limits, lambda words: ConfigError(f"{path}: {words}"))


def handle(request: dict[str, Any]) -> dict[str, Any]:
    """Load the file and run it on noise; return the shape of what it gives.

    Raises
    ------
    ConfigError
        If it does not load, does not take the pictures, or gives no features.
    """
    import numpy as np
    import onnxruntime

    path, shape = Path(request["file"]), (1, 3, request["size"], request["size"])
    wanted = f"a network from {shape} to features"
    advice = "Export it for this profile, or take the file away."
    model = path.read_bytes()
    try:
        external = read_facts(model, path.name).external
    except BundleError as error:
        raise ConfigError(f"expected {wanted}, came: {error}") from None
    if external:
        raise ConfigError("expected all tensors inside the file, came external data. Export it in one file.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        names = [given.name for given in session.get_inputs()]
        if len(names) != request["pictures"]:
            raise ConfigError(
                f"expected a network of {request['pictures']} pictures, came a graph of {len(names)} inputs. {advice}"
            )
        noise = np.random.default_rng(0).standard_normal(shape, np.float32)
        features = session.run(None, dict.fromkeys(names, noise))[0]
    except ConfigError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions share no base below Exception
        raise ConfigError(f"expected {wanted}, came: {printable(error)}. {advice}") from error
    if not isinstance(features, np.ndarray) or features.dtype.kind != "f" or features.shape[:1] != (1,):
        came = getattr(features, "shape", type(features).__name__)
        raise ConfigError(f"expected {wanted}, (1, …) floats, came {came}. {advice}")
    return {"shape": list(features.shape)}


if __name__ == "__main__":
    answer(handle)
