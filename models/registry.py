"""A Registry finds the descriptions in the modules of a package, by kind; it imports them at the first use.

A description is light: whatever is heavy (torch, matplotlib) is imported by its functions when they run. So a machine
without the trainers can ask which kinds there are, and adding a kind is adding a file, with no list to edit.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Generic, Protocol, TypeVar

from bci.errors import ConfigError


class Kind(Protocol):
    """A Kind has a name by which files refer to it."""

    @property
    def kind(self) -> str:
        """The name."""
        ...


Described = TypeVar("Described", bound=Kind)


class Registry(Generic[Described]):
    """A Registry finds descriptions by their kind.

    Parameters
    ----------
    package : module
        Its modules are looked through; folders added by `add_folder` count as its own.
    name : str
        Name of the description in its module.
    module : str, optional
        In which module of each subpackage the description is; by default, modules hold descriptions themselves.
    """

    def __init__(self, package: ModuleType, name: str, module: str = "") -> None:
        self._package, self._name, self._module = package, name, module

    def kinds(self) -> Mapping[str, Described]:
        """Return every description by its kind, in order of modules.

        Raises
        ------
        ConfigError
            If two modules describe one kind.
        """
        kinds: dict[str, Described] = {}
        origin: dict[str, str] = {}
        for info in pkgutil.iter_modules(self._package.__path__):
            if self._module and not info.ispkg:
                continue
            path = ".".join(filter(None, (self._package.__name__, info.name, self._module)))
            described: Described = getattr(importlib.import_module(path), self._name)
            if described.kind in kinds:
                raise ConfigError(
                    f"expected one module that describes the kind {described.kind!r}, came "
                    f"{origin[described.kind]} and {path}. Rename one of the kinds."
                )
            kinds[described.kind], origin[described.kind] = described, path
        return kinds

    def add_folder(self, folder: Path) -> None:
        """Look through the modules of another folder too: kinds that do not come with this project."""
        if str(folder) not in self._package.__path__:
            self._package.__path__.append(str(folder))
            importlib.invalidate_caches()

    def remove_folder(self, folder: Path) -> None:
        """Undo `add_folder`."""
        self._package.__path__.remove(str(folder))
