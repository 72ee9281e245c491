"""A DicomReceiver is a DICOM storage provider (C-STORE SCP) that takes the images a scanner sends while it scans.

An association may stay open for all of a run: it is not ended for silence, for opening one costs as much as an image.
"""

import logging
from collections.abc import Sequence
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # it makes them when it is imported
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
    Verification,
)

from bci.errors import ConfigError, RecordingError, StreamError
from bci.io.volumes.dicom import read_dicom
from bci.io.volumes.received import ReceivedImages
from bci.memory.closing import Closing

log = logging.getLogger("bci.volumes")

PORT, TITLE = 11112, "BCI"

#: Statuses of C-STORE (PS3.4 B.2.3): success; cannot understand; out of resources.
_TAKEN, _NOT_UNDERSTOOD, _NO_ROOM = 0x0000, 0xC000, 0xA700

_STORED = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)


class DicomReceiver(ReceivedImages, Closing):
    """A DicomReceiver listens for a scanner, on this machine unless told otherwise.

    Parameters
    ----------
    port : int
        Where to listen.
    title : str
        Its own application entity title; an association that calls another one is refused.
    senders : sequence of str
        Titles that may call; empty lets every title.
    host : str
        Address to listen at; ``"0.0.0.0"`` is all of this machine's.

    Raises
    ------
    ConfigError
        If a title is none, or the receiver is open to the network and lets every title.
    StreamError
        If the port cannot be had.
    """

    def __init__(
        self, port: int = PORT, title: str = TITLE, senders: Sequence[str] = (), host: str = "127.0.0.1"
    ) -> None:
        ReceivedImages.__init__(self)
        for one in (title, *senders):
            if not (0 < len(one.strip()) <= 16 and one.isascii() and one.isprintable() and "\\" not in one):
                raise ConfigError(
                    f"an application entity title has 1 to 16 characters of ASCII without \\; came {one!r}."
                )
        if host not in ("127.0.0.1", "localhost", "::1") and not senders:
            raise ConfigError(
                f"a receiver that listens at {host} is open to the network: name the scanner's title with --from TITLE."
            )
        entity: Any = AE(ae_title=title)
        entity.require_called_aet = True
        entity.require_calling_aet = list(senders)
        entity.network_timeout = None  # an association is open for a whole session, and silent between runs
        entity.maximum_associations = 4
        for kind in (*_STORED, Verification):
            entity.add_supported_context(kind)
        try:
            self._server = entity.start_server(
                (host, port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
            )
        except OSError as error:
            raise StreamError(
                f"cannot listen for DICOM at {host} port {port}: {error.strerror}. Give another --port, or end the "
                "program that has it."
            ) from None
        self._entity = entity
        self.port = int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening, and end what is connected."""
        self.shut()
        self._entity.shutdown()

    def _store(self, event: Any) -> int:
        try:
            pieces = read_dicom(event.encoded_dataset())
        except RecordingError as error:
            log.warning("an image was refused: %s", error)
            self.put(f"a stored image: {error}")
            return _NOT_UNDERSTOOD
        return _TAKEN if all(self.put(piece) for piece in pieces) else _NO_ROOM
