"""A training file of sessions of one's own becomes one whose sessions and classes are written out.

Patterns of paths become the sessions that are there, and the classes that folders or a table say become what markers
are matched by. Written out so it goes into the bundle's provenance, so that new sessions change no old decoder.
"""

import re
from pathlib import Path

from bci.errors import RecordingError
from bci.io.shipped import locate
from models.datasets.arrays import values_of_arrays
from models.datasets.bids import find_bids
from models.datasets.session_settings import FOLDERS, ArraySettings
from models.datasets.sessions import (
    STIMULUS,
    classes_by_folder,
    classes_by_table,
    find_sessions,
    pictures_shown,
)
from models.settings import find_data_root
from models.systems.events.settings import MOST_CLASSES, EventsConfig, load_events, parse_events


def open_events(path: Path, data_root: Path | None) -> tuple[EventsConfig, Path]:
    """Read a training file; return it with its sessions and classes written out, and the data root.

    Raises
    ------
    ConfigError
        If the file or the data root cannot be used.
    RecordingError
        If a session is not there, or the classes of its pictures cannot be told.
    """
    config = load_events(path)
    root = root_of(config, data_root)
    return written_out(config, root), root


def root_of(config: EventsConfig, data_root: Path | None) -> Path:
    """Return the data root; only recordings need that it is there."""
    return find_data_root(data_root, needed=bool(config.recordings) or data_root is not None)


def written_out(config: EventsConfig, root: Path) -> EventsConfig:
    """Return a training file whose sessions are named one by one, and whose classes say what markers they are of."""
    if config.data is None:
        return config
    if config.data.bids is not None:
        files = tuple(find_bids(config.data.bids, root))
        bids = config.data.bids.model_copy(update={"files": files})
        return config.model_copy(update={"data": config.data.model_copy(update={"bids": bids})})
    if config.data.arrays is not None:
        return config if config.classes else _classes_of_arrays(config, config.data.arrays, root)
    data = config.data.model_copy(update={"sessions": tuple(find_sessions(config.data, root))})
    if config.classes:
        return config.model_copy(update={"data": data})
    if not data.kinds:
        data = data.model_copy(update={"kinds": (STIMULUS,)})
    names = pictures_shown(data, root)
    by_folder = data.classes == FOLDERS
    if by_folder:
        of_picture = classes_by_folder(names)
    else:
        places = (root / data.classes, locate(Path(data.classes), Path(), "configs"))
        table = next((place for place in places if place.is_file()), None)
        if table is None:
            raise RecordingError(
                f"[data] classes: expected a table {data.classes!r} below {root} or {Path().resolve()}, and there is "
                "none."
            )
        of_picture = classes_by_table(table, names)
    labels = sorted(set(of_picture.values()))
    if len(labels) < 2:
        raise RecordingError(
            f"expected pictures of at least 2 classes, came {len(labels)}: {', '.join(labels) or 'no picture'}. "
            "Show others too, or give [classes]."
        )
    values = config.model_dump() | {
        "data": data.model_dump(),
        "classes": {
            label: rf"stimulus \d+ {re.escape(label)}/.*" if by_folder else r"stimulus \d+ .*"
            for label in labels
        },
        "pictures": {} if by_folder else of_picture,
    }
    return parse_events(values, f"training file {config.name!r}")


def _classes_of_arrays(config: EventsConfig, arrays: ArraySettings, root: Path) -> EventsConfig:
    """Return a training file of arrays in which each value of ``y`` is a class."""
    values = values_of_arrays(arrays, root)
    if not 2 <= len(values) <= MOST_CLASSES:
        raise RecordingError(
            f"expected 2 to {MOST_CLASSES} classes, came {len(values)} different values of {arrays.y}: "
            f"{', '.join(values[:6])}{' …' if len(values) > 6 else ''}. Say which are of which class ([classes])"
            + ("; or is it a number (kind = 'numbers')?" if len(values) > MOST_CLASSES else ".")
        )
    classes = {value: re.escape(value) for value in values}
    return parse_events(config.model_dump() | {"classes": classes}, f"training file {config.name!r}")
