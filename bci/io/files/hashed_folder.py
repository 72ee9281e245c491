r"""A HashedFolder is a folder of data whose description names the SHA-256 of every other file in it.

A decoder's bundle and a generator's package are two kinds of it. Its identity is one hash over the hashes of all files,
the description's own included::

    sha256("<sha256 of a file>  <its name>\n" …)      sorted by name

It is written whole or not at all: assembled beside its place, loaded there as a check, then exchanged with what was
in the place before.
"""

import hashlib
import json
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from bci.errors import BundleError
from bci.io.files.replacing import replaced
from bci.io.files.space import require_writable

#: The largest file that is opened, bytes: where a protocol buffer ends.
LARGEST = 2**31


@dataclass(frozen=True, slots=True)
class HashedFolder:
    """A HashedFolder describes one kind of folder: the name of its description, and the words of its errors.

    Attributes
    ----------
    description : str
        Name of the file that lists the others.
    called : str
        What errors call such a folder: ``"bundle"``.
    mend : str
        What makes it again, in words that follow "or": ``"export it again"``.
    """

    description: str
    called: str
    mend: str

    def open(self, folder: Path, name: str, largest: int = LARGEST) -> BufferedReader:
        """Open a file of the folder, once it is known to be one: in the folder, regular, not too large.

        Raises
        ------
        BundleError
            If it is not.
        """
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise BundleError(
                f"{path}: expected a file in the {self.called}'s folder, came a link to {path.resolve()}. Copy it in."
            )
        again = f"Copy the {self.called} again, or {self.mend}."
        try:
            status = path.stat()
        except OSError as error:
            raise BundleError(
                f"{path}: expected a file of the {self.called}, came: {error.strerror}. {again}"
            ) from None
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"{path}: expected a regular file, came something else. {again}")
        if status.st_size > largest:
            raise BundleError(
                f"{path}: expected at most {largest / 1e6:.0f} MB, came {status.st_size / 1e6:.0f} MB. Reduce it."
            )
        try:
            return path.open("rb")
        except OSError as error:
            raise BundleError(f"{path}: expected a readable file, came: {error.strerror}. {again}") from None

    def read(self, folder: Path, name: str, largest: int = LARGEST) -> bytes:
        """Return a file of the folder; raises as `open` does."""
        with self.open(folder, name, largest) as file:
            return file.read()

    def read_verified(self, folder: Path, name: str, digest: str) -> bytes:
        """Return a file that has this SHA-256 at this moment.

        Raises
        ------
        BundleError
            If it has another, or as `open`.
        """
        content = self.read(folder, name)
        if hashlib.sha256(content).hexdigest() != digest:
            raise self._changed(folder / name)
        return content

    def verify(
        self, folder: Path, files: Mapping[str, str], needed: Iterable[str], *, no_others: bool
    ) -> None:
        """Compare a folder with the hashes that its description lists, byte by byte.

        Parameters
        ----------
        folder : Path
        files : mapping of str to str
            SHA-256 of each file, by its name.
        needed : iterable of str
            Files that have to be listed.
        no_others : bool
            Whether visible files that are not listed are refused.

        Raises
        ------
        BundleError
            Naming the first file that is missing, not listed, or of other bytes.
        """
        if unlisted := set(needed) - set(files):
            raise BundleError(
                f"{folder}: expected a SHA-256 of every file, came none for {', '.join(sorted(unlisted))}. "
                f"{self.mend.capitalize()}."
            )
        here = {path.name for path in folder.iterdir() if path.name[0] != "."} if no_others else set()
        if unknown := here - set(files) - {self.description}:
            raise BundleError(
                f"{folder}: expected the files that {self.description} lists and no others, came "
                f"{', '.join(sorted(unknown))}. Move them elsewhere."
            )
        for name, digest in files.items():
            with self.open(folder, name) as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    raise self._changed(folder / name)

    def identity(self, description: bytes, files: Mapping[str, str]) -> str:
        """Return the hash over all file hashes, 64 hexadecimal digits.

        Parameters
        ----------
        description : bytes
            The description's own content.
        files : mapping of str to str
            SHA-256 of every other file, by its name.
        """
        hashes = {**files, self.description: hashlib.sha256(description).hexdigest()}
        lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def require_place(self, folder: Path) -> None:
        """Refuse a place that holds something else than such a folder, before a long training begins.

        Raises
        ------
        BundleError
            If it does.
        DiskError
            If nothing can be written there.
        """
        other = folder.exists() and not (folder / self.description).is_file()
        if other and (not folder.is_dir() or any(folder.iterdir())):
            raise BundleError(
                f"expected a new folder or a {self.called} to replace, came {folder}. Choose another place (--out)."
            )
        require_writable(folder.absolute().parent)  # it is written beside its place, then exchanged

    def write(
        self,
        folder: Path,
        contents: Mapping[str, bytes],
        describe: Callable[[dict[str, str]], Mapping[str, Any]],
        check: Callable[[Path], object],
    ) -> None:
        """Write such a folder; an existing one is replaced.

        Parameters
        ----------
        folder : Path
            Where it goes.
        contents : mapping of str to bytes
            Of every file but the description.
        describe : callable
            Takes the SHA-256 of each file by its name, in order of names, and returns the description.
        check : callable
            Loads the folder while it still lies beside its place; what it raises leaves the place as it was.

        Raises
        ------
        BundleError
            If the place holds something else, or as `check`.
        ConfigError
            If the place cannot be written.
        """
        self.require_place(folder)
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
        text = json.dumps(describe(hashes), indent=2, ensure_ascii=False, allow_nan=False)
        with replaced(folder) as new:
            for name, content in contents.items():
                (new / name).write_bytes(content)
            (new / self.description).write_bytes(text.encode() + b"\n")
            check(new)

    def _changed(self, path: Path) -> BundleError:
        return BundleError(
            f"{path}: expected the file whose SHA-256 {self.description} gives, came other bytes. "
            f"Copy the {self.called} again from where it was published, or {self.mend}."
        )


def as_bytes(given: bytes | str | Path) -> bytes:
    """Return a file's content, given as bytes, as text (UTF-8), or as the file to copy."""
    if isinstance(given, bytes):
        return given
    return given.read_bytes() if isinstance(given, Path) else given.encode()
