"""A scanner stores its images over DICOM: one association for a run, titles checked, patients left out."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pynetdicom = pytest.importorskip(
    "pynetdicom", reason="PYNETDICOM IS MISSING: pip install '.[fmri]' to run this test"
)

import pydicom  # noqa: E402

from bci.errors import ConfigError  # noqa: E402
from bci.io.volumes.storage import DicomReceiver  # noqa: E402
from bci.io.volumes.volume import SliceImage, Volume  # noqa: E402
from bci.sim.scanner.dicom import write_enhanced, write_mosaic, write_slices  # noqa: E402
from bci.sim.scanner.phantom import phantom, phantom_series  # noqa: E402

SERIES = phantom_series((8, 8, 4))
MR, ENHANCED = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"


@pytest.fixture
def receiver() -> Iterator[DicomReceiver]:
    with DicomReceiver(0, "BCI", ("SCANNER",)) as made:
        yield made


def associate(receiver: DicomReceiver, called: str = "BCI", calling: str = "SCANNER") -> Any:
    entity = pynetdicom.AE(ae_title=calling)
    entity.add_requested_context(MR)
    entity.add_requested_context(ENHANCED)
    return entity.associate("127.0.0.1", receiver.port, ae_title=called)


def test_a_run_is_stored_over_one_association(receiver: DicomReceiver) -> None:
    association = associate(receiver)
    assert association.is_established
    contents = [
        write_mosaic(SERIES, 0, phantom(SERIES, 0)),
        write_enhanced(SERIES, {1: phantom(SERIES, 1)}),
        *write_slices(SERIES, 2, phantom(SERIES, 2), "GE"),
    ]
    for content in contents:
        status = association.send_c_store(pydicom.dcmread(io.BytesIO(content)))
        assert status.Status == 0
    association.release()
    found = list(receiver.poll())
    assert [type(piece) for piece in found] == [Volume, Volume] + [SliceImage] * 4
    for piece in found[:2]:
        assert isinstance(piece, Volume)
        assert np.array_equal(piece.data, phantom(SERIES, piece.index))
    assert "lanted" not in repr(found)


@pytest.mark.parametrize(("called", "calling"), [("OTHER", "SCANNER"), ("BCI", "STRANGER")])
def test_an_association_of_another_title_is_refused(
    receiver: DicomReceiver, called: str, calling: str
) -> None:
    # On a busy machine the client may see the connection closed before it has read why.
    refused = associate(receiver, called, calling)
    assert not refused.is_established
    assert refused.is_rejected or refused.is_aborted
    association = associate(receiver)
    assert association.is_established
    association.release()


def test_an_image_that_is_no_volume_is_answered_so(receiver: DicomReceiver) -> None:
    dataset = pydicom.dcmread(io.BytesIO(write_mosaic(SERIES, 0, phantom(SERIES, 0))))
    del dataset.Rows
    association = associate(receiver)
    assert association.send_c_store(dataset).Status == 0xC000
    association.release()
    [words] = receiver.poll()
    assert isinstance(words, str)
    assert "Planted" not in words


def test_a_receiver_open_to_the_network_needs_the_scanner_s_title() -> None:
    with pytest.raises(ConfigError, match="--from TITLE"):
        DicomReceiver(0, host="0.0.0.0")
    with pytest.raises(ConfigError, match="1 to 16 characters"):
        DicomReceiver(0, "a title that is far too long")
