"""Volumes over TCP, as `bci.io.volumes.wire` lays them out: a TcpReceiver takes them, a TcpSender pushes them."""

import logging
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from bci.errors import RecordingError, StreamError
from bci.io.volumes.received import ReceivedImages
from bci.io.volumes.volume import Volume
from bci.io.volumes.wire import pack_answer, pack_volume, receive_answer, receive_volume
from bci.memory.closing import Closing

log = logging.getLogger("bci.volumes")

PORT = 15010

#: Connections at a time; and seconds after which a waiting thread looks whether it shall end.
_MOST_CONNECTIONS, _LOOK_S = 4, 0.2


class TcpReceiver(ReceivedImages, Closing):
    """A TcpReceiver listens for senders of volumes, on this machine unless told otherwise.

    Parameters
    ----------
    port : int
        Where to listen; 0 takes a free one.
    host : str
        Address to listen at; ``"0.0.0.0"`` is all of this machine's.

    Attributes
    ----------
    port : int
        Where it listens.
    refused : int
        Messages that were refused.

    Raises
    ------
    StreamError
        If the port cannot be had.
    """

    def __init__(self, port: int = PORT, host: str = "127.0.0.1") -> None:
        ReceivedImages.__init__(self)
        self.refused = 0
        try:
            self._socket = socket.create_server((host, port))
        except OSError as error:
            raise StreamError(
                f"cannot listen for volumes at {host} port {port}: {error.strerror}. Give another --port, or end the "
                "program that has it."
            ) from None
        self.port = int(self._socket.getsockname()[1])
        self._socket.settimeout(_LOOK_S)
        self._room = threading.Semaphore(_MOST_CONNECTIONS)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Stop listening, and end what is connected."""
        self.shut()
        for thread in self._threads:
            thread.join(5.0)
        self._socket.close()

    def _accept(self) -> None:
        while not self.closed:
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            if not self._room.acquire(blocking=False):
                log.warning("a sender of volumes was turned away: %d are connected", _MOST_CONNECTIONS)
                connection.close()
                continue
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        read = reader_of(connection, lambda: not self.closed)
        try:
            with connection:
                while (volume := self._next(connection, read)) is not None and self.put(volume):
                    connection.sendall(pack_answer())
        except OSError as error:
            log.info("a sender of volumes is gone: %s", error.strerror or error)
        finally:
            self._room.release()

    def _next(self, connection: socket.socket, read: Callable[[int], bytes]) -> Volume | None:
        try:
            return receive_volume(read)
        except RecordingError as error:
            self.refused += 1
            log.warning("a message was refused: %s", error)
            connection.sendall(pack_answer(str(error)))
            return None


class TcpSender:
    """A TcpSender pushes volumes over one connection, which it keeps open.

    Parameters
    ----------
    host, port
        Where a `TcpReceiver` listens.
    timeout : float
        Seconds to wait for the connection and for each answer.

    Raises
    ------
    StreamError
        If no receiver listens there.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = PORT, timeout: float = 10.0) -> None:
        try:
            self._socket = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise StreamError(
                f"no receiver of volumes at {host} port {port}: {error.strerror or error}. Start one with `bci volumes "
                "receive tcp`."
            ) from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = reader_of(self._socket, lambda: False)

    def send(self, volume: Volume, total: int = 0) -> None:
        """Push a volume, and wait until the receiver has taken it.

        Raises
        ------
        StreamError
            If it is refused, or the connection is lost.
        """
        try:
            self._socket.sendall(pack_volume(volume, total))
            refusal = receive_answer(self._read)
        except (OSError, RecordingError) as error:
            raise StreamError(f"volume {volume.index} was not taken: {error}") from None
        if refusal:
            raise StreamError(f"volume {volume.index} was refused: {refusal}")

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def reader_of(connection: socket.socket, patient: Callable[[], bool]) -> Callable[[int], bytes]:
    """Return a function that reads so many bytes, fewer only at the end of the connection.

    Parameters
    ----------
    connection : socket
        What is read; a receiver's gets a short timeout, after which `patient` says whether to go on waiting.
    patient : callable
        Whether to wait on when nothing has come within the timeout.
    """
    if patient():
        connection.settimeout(_LOOK_S)

    def read(count: int) -> bytes:
        parts, left = [], count
        while left:
            try:
                part = connection.recv(min(left, 1 << 20))
            except TimeoutError:
                if patient():
                    continue
                raise
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    return read
