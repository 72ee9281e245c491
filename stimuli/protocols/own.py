"""An own protocol is the experimenter's module: a file beside the session file, or one that is installed.

It defines ``protocol(spec, palette)``, as the modules of `stimuli.protocols` do; where it takes settings, a class
``Settings``, whose keys are those of ``[experiment.settings]``; and, where it knows, ``count(spec)``. Its code runs
when a session file that names it is checked or run, and at no other time; reading a recorded session runs none of it.
"""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from bci.config.faults import describe_errors
from bci.config.protocol import ProtocolSettings
from bci.errors import ConfigError, nearest
from bci.io.files.folder import write_whole


def load_own(name: str) -> ModuleType:
    """Import a protocol of one's own: a path that ends in ``.py``, or the dotted name of an installed module.

    Raises
    ------
    ConfigError
        If it is not there, fails when it is imported, or defines no ``protocol``.
    """
    try:
        module = _from_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"[experiment] protocol {name!r}: it cannot be imported: {type(error).__name__}: {error}. Mend it, or name "
            "another."
        ) from error
    if not callable(getattr(module, "protocol", None)):
        raise ConfigError(
            f"[experiment] protocol {name!r}: expected a function protocol(spec, palette) in it, came none"
        )
    return module


def own_settings(module: ModuleType, values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return ``[experiment.settings]`` with the defaults of the module's ``Settings``.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or has an impossible value; or if there are keys and no such class.
    """
    settings = getattr(module, "Settings", None)
    if settings is None:
        if values:
            raise ConfigError(
                f"[experiment.settings] of {name!r}: expected none, as it defines no class Settings; came "
                f"{', '.join(values)}"
            )
        return {}
    if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        raise ConfigError(
            f"protocol {name!r}: expected Settings to be a pydantic.BaseModel, came {settings!r}"
        )
    if taken := set(settings.model_fields) & set(ProtocolSettings.model_fields):
        raise ConfigError(
            f"protocol {name!r}: its Settings have {', '.join(sorted(taken))}, which [experiment] has for all "
            "protocols. Give them other names."
        )
    if unknown := [key for key in values if key not in settings.model_fields]:
        raise ConfigError(
            f"[experiment.settings] of {name!r}: there is no {unknown[0]!r}{nearest(unknown[0], settings.model_fields)}"
        )
    try:
        return settings.model_validate(dict(values)).model_dump()
    except ValidationError as error:
        raise ConfigError(f"[experiment.settings] of {name!r}:\n{describe_errors(error, settings)}") from None


def keep_own(name: str, folder: Path) -> None:
    """Keep the file of an own protocol in the session's folder, so that what was shown can be shown again.

    Raises
    ------
    ConfigError
        As `load_own`; or if a restarted engine finds another file than the one before has kept.
    DiskError
        If the disk does not take it.
    """
    if "." not in name:
        return
    file = name if name.endswith(".py") else load_own(name).__file__
    if file is None:
        raise ConfigError(
            f"[experiment] protocol {name!r}: expected a module with a file of its own, came none"
        )
    text, kept = Path(file).read_bytes(), folder / f"protocol-{Path(file).name}"
    if not kept.exists():
        write_whole(kept, text)
    elif kept.read_bytes() != text:
        raise ConfigError(
            f"{file} has changed since the session began: {kept.name} in its folder is what it ran"
        )


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(
            f"[experiment] protocol {path}: there is no such file. Is its name written as the file's is?"
        )
    # Its name in this process: two files of one name are two modules.
    name = f"bci_protocol_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
