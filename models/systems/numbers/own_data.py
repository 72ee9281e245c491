"""A training file of a number, with its sessions written out one by one, so that new sessions change no old decoder."""

from pathlib import Path

from models.datasets.sessions import find_sessions
from models.settings import find_data_root
from models.systems.numbers.settings import NumbersConfig, load_numbers


def open_numbers(path: Path, data_root: Path | None) -> tuple[NumbersConfig, Path]:
    """Read a training file; return it with its sessions written out, and the data root.

    Raises
    ------
    ConfigError
        If the file or the data root cannot be used.
    RecordingError
        If a session is not there.
    """
    config = load_numbers(path)
    root = root_of(config, data_root)
    if config.data is None or config.data.arrays is not None:
        return config, root
    data = config.data.model_copy(update={"sessions": tuple(find_sessions(config.data, root))})
    return config.model_copy(update={"data": data}), root


def root_of(config: NumbersConfig, data_root: Path | None) -> Path:
    """Return the data root; only recordings need that it is there."""
    return find_data_root(data_root, needed=bool(config.recordings) or data_root is not None)
