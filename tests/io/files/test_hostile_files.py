"""Files made to do harm are refused with a reason, within stated memory and time."""

import gzip
import json
import struct
import subprocess
import sys
from pathlib import Path

import made_files as made
import numpy as np
import planted_recordings as planted
import pytest
from typer.testing import CliRunner

from bci.cli.app import app
from bci.errors import RecordingError
from bci.io.files import safe_xml
from bci.io.files.recording import open_recording
from bci.io.files.xdf import reader as xdf

#: A billion laughs: 600 bytes that claim 10^20 characters.
ENTITIES = "".join(f"<!ENTITY a{i + 1} '{f'&a{i};' * 10}'>" for i in range(20))
BOMB = f"<!DOCTYPE a [<!ENTITY a0 'ha'>{ENTITIES}]><info><name>&a20;</name></info>"
OUTSIDE = "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/hostname'>]><info><name>&b;</name></info>"

VALUES, STAMPS = planted.values(10, 2), list(planted.stamps(10))
HEAD = made.header(1, "amp", 2, 100)
ONE = b"\x01\0\0\0"


def hostile() -> dict[str, tuple[bytes, str]]:
    """Return XDF files and what must be said of them."""
    sound = (HEAD, made.samples(1, VALUES, STAMPS))
    utf16 = f"<?xml version='1.0' encoding='utf-16'?>{BOMB}".encode("utf-16")
    late = made.chunk(3, ONE + made.number(0))
    return {
        "entities in a header": (made.xdf(made.chunk(2, ONE + BOMB.encode())), "document type"),
        "entities in a footer": (made.xdf(*sound, made.chunk(6, ONE + BOMB.encode())), "document type"),
        "entities in UTF-16": (made.xdf(*sound, made.chunk(6, ONE + utf16)), "document type"),
        "entities in the file's header": (b"XDF:" + made.chunk(1, BOMB.encode()), "document type"),
        "a header that reaches for another file": (
            made.xdf(made.chunk(2, ONE + OUTSIDE.encode())),
            "document type",
        ),
        "elements by the million": (
            made.xdf(*sound, made.chunk(6, ONE + b"<a>" + b"<b/>" * 600_000 + b"</a>")),
            "more than 500000 elements",
        ),
        "elements in elements": (made.xdf(*sound, made.chunk(6, ONE + b"<a>" * 10_000)), "nested more"),
        "a billion channels and no sample": (
            made.xdf(made.header(1, "amp", 10**9, 100), late),
            "1000000000 channels",
        ),
        "an offset of another length": (made.xdf(*sound, made.chunk(4, ONE + bytes(17))), "expected 22"),
        "offsets by the hundred thousand": (
            made.xdf(*sound, made.chunk(4, ONE + bytes(16)) * 200_001),
            "at most 200000",
        ),
        "texts of a thousand channels": (
            made.xdf(
                made.header(1, "texts", 1000, 0, "string"),
                made.chunk(
                    3, ONE + made.number(1001) + (b"\x08" + struct.pack("<d", 1.0) + b"\x01\0" * 1000) * 1001
                ),
            ),
            "more than 1000000 texts",
        ),
    }


OPEN_ALL = """
import json, resource, sys
from pathlib import Path
import psutil
from bci.errors import RecordingError
from bci.io.files.recording import open_recording
import pyxdf
limit = psutil.Process().memory_info().vms + (100 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
said = []
for i in range(int(sys.argv[2])):
    try:
        open_recording(Path(sys.argv[1]) / f"{i}.xdf")
    except RecordingError as error:
        said.append(str(error))
    else:
        said.append("opened")
print(json.dumps(said))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="MEMORY LIMIT NOT TESTED: needs Linux")
def test_xdf_files_made_to_do_harm_are_refused_in_a_hundred_megabytes(tmp_path: Path) -> None:
    files = hostile()
    for i, (content, _) in enumerate(files.values()):
        (tmp_path / f"{i}.xdf").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", OPEN_ALL, str(tmp_path), str(len(files))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for (what, (_, expected)), words in zip(files.items(), json.loads(done.stdout), strict=True):
        assert expected in words, what


@pytest.mark.parametrize("text", [BOMB, OUTSIDE, "<a>" * 65, "<a", "<a>&b;</a>"])
def test_xml_that_could_grow_is_refused_before_it_does(text: str) -> None:
    with pytest.raises(ValueError, match="XML"):
        safe_xml.parse(text.encode())


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a_raw.fif.gz"
    path.write_bytes(gzip.compress(bytes(1 << 26)) * 100)  # 6 MB that unpack to 6.7 GB
    with pytest.raises(RecordingError, match="unpacks to more than"):
        open_recording(path)


def test_a_tag_that_claims_two_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a_raw.fif"
    path.write_bytes(struct.pack(">iiii", 100, 31, 2**31 - 1, 0) + bytes(100))
    with pytest.raises(RecordingError, match=r"a_raw\.fif.*cannot be read"):
        open_recording(path)


def megabytes(path: Path) -> np.ndarray:
    """Write a file that is large enough for a trial; return its samples."""
    samples = planted.values(20_000, 16)
    head = made.header(1, "amp", 16, 100)
    path.write_bytes(made.xdf(head, made.samples(1, samples, planted.stamps(20_000))))
    return samples


def test_a_file_that_changes_after_its_trial_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.xdf"
    megabytes(path)
    monkeypatch.setattr(xdf, "_import_pyxdf", lambda: path.write_bytes(path.read_bytes() + bytes(9)))
    with pytest.raises(RecordingError, match="changed while it was read"):
        open_recording(path)


def test_a_file_of_megabytes_is_walked_by_a_capped_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def noting(kind: str, *args: object, **options: object) -> dict[str, object]:
        asked.append(kind)
        return try_file(kind, *args, **options)  # type: ignore[arg-type]

    try_file = xdf.try_file
    monkeypatch.setattr(xdf, "try_file", noting)
    path = tmp_path / "a.xdf"
    samples = megabytes(path)
    assert np.array_equal(open_recording(path).read(0, 20_000), samples)
    path.write_bytes(path.read_bytes() + made.chunk(4, ONE + bytes(17)))
    with pytest.raises(RecordingError, match=r"a\.xdf, byte .* expected 22"):
        open_recording(path)
    assert asked == ["xdf", "xdf"]


def test_names_out_of_a_file_are_neither_markup_nor_words_to_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    path.write_bytes(made.xdf(made.header(1, "[/bold]", 2, 100), made.samples(1, VALUES, STAMPS)))
    done = CliRunner().invoke(app, ["verify", str(path)])
    assert done.exit_code == 0, done.output
    assert "stream '[/bold]': 10 samples can be used" in done.output
