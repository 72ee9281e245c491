"""Folders of hashed files: written whole or not at all, refused when a byte differs, and of one identity."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bci.errors import BundleError, DiskError
from bci.io.files.hashed_folder import HashedFolder, as_bytes

KIND = HashedFolder("about.json", "collection", "collect it again")
CONTENTS = {"b.bin": b"\x00\x01", "a.txt": b"first\n"}
HASHES = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}


def write(folder: Path, check: Callable[[Path], object] = lambda folder: None) -> Path:
    KIND.write(folder, CONTENTS, lambda hashes: {"name": "ä", "files": hashes}, check)
    return folder


def verify(folder: Path, *, no_others: bool = True) -> None:
    KIND.verify(folder, HASHES, ["a.txt"], no_others=no_others)


def test_what_was_written_verifies_and_is_described_as_asked(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    verify(folder)
    assert json.loads((folder / "about.json").read_text(encoding="utf-8")) == {"name": "ä", "files": HASHES}
    assert list(json.loads((folder / "about.json").read_text(encoding="utf-8"))["files"]) == [
        "a.txt",
        "b.bin",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_the_identity_is_the_hash_of_the_sorted_list_of_hashes() -> None:
    lines = (
        f"{HASHES['a.txt']}  a.txt\n{hashlib.sha256(b'about').hexdigest()}  about.json\n"
        f"{HASHES['b.bin']}  b.bin\n"
    )
    assert KIND.identity(b"about", HASHES) == hashlib.sha256(lines.encode()).hexdigest()
    assert KIND.identity(b"about", dict(reversed(HASHES.items()))) == KIND.identity(b"about", HASHES)


def test_a_folder_that_fails_its_check_leaves_what_was_there(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def refuse(new: Path) -> None:
        assert (new / "about.json").is_file()
        raise BundleError("not this one")

    with pytest.raises(BundleError, match="not this one"):
        write(folder, refuse)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_every_way_to_differ_is_refused_by_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    (folder / "more.txt").write_text("")
    verify(folder, no_others=False)
    with pytest.raises(BundleError, match=r"lists and no others, came more\.txt"):
        verify(folder)
    (folder / "more.txt").unlink()
    with pytest.raises(BundleError, match=r"came none for z\.txt\. Collect it again"):
        KIND.verify(folder, HASHES, ["z.txt"], no_others=True)
    (folder / "a.txt").write_bytes(b"First\n")
    with pytest.raises(BundleError, match=r"a\.txt: .* came other bytes"):
        verify(folder)
    with pytest.raises(BundleError, match="came other bytes"):
        KIND.read_verified(folder, "a.txt", HASHES["a.txt"])
    (folder / "a.txt").unlink()
    with pytest.raises(BundleError, match="Copy the collection again, or collect it again"):
        verify(folder)
    (folder / "a.txt").mkdir()
    with pytest.raises(BundleError, match="expected a regular file"):
        verify(folder)
    with pytest.raises(BundleError, match="at most 0 MB"):
        KIND.read(folder, "b.bin", largest=1)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    (tmp_path / "secret").write_bytes(CONTENTS["a.txt"])
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(BundleError, match="came a link to"):
        verify(folder)


def test_a_place_that_holds_something_else_is_refused_and_an_empty_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    KIND.require_place(tmp_path / "empty")
    KIND.require_place(tmp_path / "new")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    with pytest.raises(BundleError, match="expected a new folder or a collection to replace"):
        write(tmp_path / "other")
    assert (tmp_path / "other" / "thesis.tex").read_text() == "years of work"


def test_content_is_taken_as_bytes_as_text_or_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xff")
    assert [as_bytes(given) for given in (b"\x01", "ä", tmp_path / "f")] == [b"\x01", "ä".encode(), b"\xff"]


def test_a_place_that_may_not_be_written_to_is_refused_before_a_long_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda place, mode: place != tmp_path)
    with pytest.raises(DiskError, match="does not permit it"):
        KIND.require_place(tmp_path / "new")
