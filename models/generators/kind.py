"""A GeneratorKind is one architecture of generators: its network, its training file, how it learns, its export.

Each is described by a module of `models.generators.kinds`, under the name ``KIND``; `models.generators.registry` finds
it. A description imports no torch: that is left to the functions that need it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pydantic import BaseModel

    from models.generators.adversarial.replicas import Replicas
    from models.generators.interface import ImageGenerator
    from models.generators.settings import GeneratorFile
    from models.generators.sources import Source

#: Takes the share done, 0 to 1, and a line of text.
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """A Learned is the result of training a generator.

    Attributes
    ----------
    generator : ImageGenerator
        In evaluation mode.
    history : list of dict
        Measurements during training, for ``training.json``.
    files : mapping of str to str
        Further files of the package.
    """

    generator: ImageGenerator
    history: list[dict[str, Any]]
    files: dict[str, bytes | str] = field(default_factory=dict)


class Learn(Protocol):
    """A Learn trains a generator of one kind."""

    def __call__(
        self, config: Any, source: Source, folder: Path, replicas: Replicas, progress: Progress
    ) -> Learned:
        """Learn from the pictures of `source`; a run that was cut off goes on from what `folder` holds."""
        ...


def draw_graph(generator: ImageGenerator, *, half: bool, for_card: bool = False) -> bytes:
    """Export as `models.generators.graphs.draw_graph` does, whatever the architecture."""
    from models.generators import graphs

    return graphs.draw_graph(generator, half=half, for_card=for_card)


@dataclass(frozen=True, slots=True)
class GeneratorKind:
    """A GeneratorKind describes one kind of generator.

    Attributes
    ----------
    kind : str
        Name of the kind in training files, checkpoints and packages.
    about : str
        Description in a few words.
    network : callable
        Returns its class; the class is built from `models.generators.interface.ImageGenerator.settings`.
    settings : callable, optional
        Returns the model of its training file, a `models.generators.settings.GeneratorFile`; None where it has none,
        because a system trains it.
    learn : Learn, optional
        How it is trained; None where a system does.
    export : callable
        Takes a generator in evaluation mode, ``half`` and, where the training file asks for it, ``for_card``; returns
        its ONNX graph.
    extra : str
        The extra of this distribution that training needs.
    """

    kind: str
    about: str
    network: Callable[[], type[ImageGenerator]]
    settings: Callable[[], type[BaseModel]] | None = None
    learn: Learn | None = None
    export: Callable[..., bytes] = draw_graph
    extra: str = "train"

    def train(
        self,
        path: Path,
        out: Path,
        *,
        data_root: Path | None,
        progress: Progress,
        run_folder: Path | None = None,
        fresh: bool = False,
    ) -> dict[str, Any]:
        """Train a file of this kind; see `models.generators.training.train_generator`."""
        from models.generators.training import train_generator

        return train_generator(path, out, data_root, progress, run_folder=run_folder, fresh=fresh)

    def check(self, path: Path, *, data_root: Path | None) -> list[str]:
        """Read a training file of this kind; return which of its pictures are not there yet.

        Raises
        ------
        ConfigError
            As `read`.
        """
        from models.settings import find_data_root

        pictures = self.read(path).pictures
        if pictures.source == "faces":
            return []
        place = find_data_root(data_root, needed=False) / pictures.path
        return [] if place.is_dir() else [f"the pictures in {place}"]

    def read(self, path: Path) -> GeneratorFile:
        """Read a training file of this kind.

        Raises
        ------
        ConfigError
            If it is missing, no TOML, or has a wrong or unknown key; every one is named.
        """
        from bci.config.toml import load_settings

        assert self.settings is not None, f"generators of kind {self.kind} have no training file"
        config: Any = load_settings(path, self.settings(), "training")
        return config
