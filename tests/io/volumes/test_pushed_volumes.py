"""Volumes pushed over TCP come as they were sent; what is no message is refused in words."""

import dataclasses
import json
import socket

import numpy as np
import pytest

from bci.errors import StreamError
from bci.io.volumes.tcp import TcpReceiver, TcpSender, reader_of
from bci.io.volumes.volume import SliceImage, Volume
from bci.io.volumes.wire import HEAD, pack_volume, receive_answer
from bci.sim.scanner.phantom import phantom, phantom_series

SERIES = phantom_series((6, 5, 4), total=8)


def volume(index: int) -> Volume:
    return Volume(
        SERIES,
        index,
        phantom(SERIES, index),
        f"{index}",
        43200.0 + index,
        None,
        (0.1, 0.2, 0.3, 1.0, 2.0, 3.0),
    )


def received(receiver: TcpReceiver, count: int) -> list[Volume | SliceImage | str]:
    found: list[Volume | SliceImage | str] = []
    for _ in range(100):
        receiver.wait(0.05)
        found += receiver.poll()
        if len(found) >= count:
            break
    return found


def test_volumes_arrive_as_they_were_sent_over_one_connection() -> None:
    with TcpReceiver(0) as receiver:
        with TcpSender(port=receiver.port) as sender:
            for index in range(5):
                sender.send(volume(index))
        found = received(receiver, 5)
    assert [piece.index for piece in found if isinstance(piece, Volume)] == list(range(5))
    for piece in found:
        assert isinstance(piece, Volume)
        assert np.array_equal(piece.data, phantom(SERIES, piece.index))
        assert piece.data.dtype == np.int16
        assert np.array_equal(piece.series.affine, SERIES.affine)
        assert (piece.series.tr, piece.series.total, piece.series.slice_times) == (1.0, 8, SERIES.slice_times)
        assert piece.motion == (0.1, 0.2, 0.3, 1.0, 2.0, 3.0)
        assert piece.acquired == 43200.0 + piece.index


def test_a_sender_may_lay_x_fastest() -> None:
    message = pack_volume(volume(3))
    _, _, _, header_length, _ = HEAD.unpack_from(message)
    header = json.loads(message[HEAD.size : HEAD.size + header_length]) | {"order": "F", "later": "ignored"}
    text = json.dumps(header).encode()
    voxels = phantom(SERIES, 3).tobytes(order="F")
    with TcpReceiver(0) as receiver, socket.create_connection(("127.0.0.1", receiver.port), 5) as sender:
        sender.sendall(HEAD.pack(b"BCIV", 1, 1, len(text), len(voxels)) + text + voxels)
        assert receive_answer(reader_of(sender, lambda: False)) == ""
        [piece] = received(receiver, 1)
    assert isinstance(piece, Volume)
    assert np.array_equal(piece.data, phantom(SERIES, 3))


GOOD = pack_volume(volume(0))


def with_header(**changed: object) -> bytes:
    _, _, _, length, voxels = HEAD.unpack_from(GOOD)
    text = json.dumps(json.loads(GOOD[HEAD.size : HEAD.size + length]) | changed).encode()
    return HEAD.pack(b"BCIV", 1, 1, len(text), voxels) + text + GOOD[HEAD.size + length :]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n____", "begins with"),
        (HEAD.pack(b"BCIV", 2, 1, 10, 10), "version 2"),
        (HEAD.pack(b"BCIV", 1, 1, 1 << 20, 10), "at most"),
        (HEAD.pack(b"BCIV", 1, 1, 3, 10) + b"{x}", "no JSON"),
        (with_header(shape=[6, 5]), "shape: 3 whole numbers"),
        (with_header(shape=[6, 6, 4]), "take 288 bytes; came 240"),
        (with_header(affine=[1.0] * 15), "affine: 16 finite numbers"),
        (with_header(tr=-1), "tr is above 0"),
        (with_header(dtype="complex64"), "dtype is one of"),
        (with_header(current=0), "current"),
        (with_header(series_uid=""), "series_uid"),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(message: bytes, words: str) -> None:
    with TcpReceiver(0) as receiver:
        with socket.create_connection(("127.0.0.1", receiver.port), 5) as sender:
            sender.sendall(message)
            assert words in receive_answer(reader_of(sender, lambda: False))
        assert receiver.refused == 1
        with TcpSender(port=receiver.port) as sender_of_ours:
            sender_of_ours.send(volume(0))
        assert len(received(receiver, 1)) == 1, "it goes on for others"


def test_a_sender_says_that_no_receiver_is_there_and_why_it_was_refused() -> None:
    with TcpReceiver(0) as receiver:
        port = receiver.port
        with pytest.raises(StreamError, match=r"another --port"):
            TcpReceiver(port)
        odd = dataclasses.replace(volume(0), series=dataclasses.replace(SERIES, tr=0.0))
        with TcpSender(port=port) as sender, pytest.raises(StreamError, match="tr is above 0"):
            sender.send(odd)
    with pytest.raises(StreamError, match="bci volumes receive tcp"):
        TcpSender(port=port)
