"""A program that keeps a session's broker busy: so many messages a second of another experiment, and a reader of them.

::

    python -m benchmarks.busy_broker SESSION_FOLDER RATE SECONDS OUT.json

The messages are of the size of a health message, to a topic that the session does not read. What was sent and what
came back is left in ``OUT.json``, with the seconds that it took.
"""

import json
import sys
import threading
import time
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

TOPIC = "elsewhere/v1/load"

#: Bytes of a message, and seconds within which the broker answers.
_SIZE, _PATIENCE = 200, 10.0


def main(folder: Path, rate: float, seconds: float, out: Path) -> None:
    """Publish for so many seconds; leave in `out` how much of it there was."""
    place = json.loads((folder / "control.json").read_text("utf-8"))["broker"]
    received = 0

    def count(client: Client, data: object, message: MQTTMessage) -> None:
        nonlocal received
        received += 1

    reader, writer = _connected(place), _connected(place)
    reader.on_message = count
    reader.subscribe(TOPIC, qos=0)
    payload = b"x" * _SIZE
    begun = time.monotonic()
    sent = 0
    while (now := time.monotonic()) < begun + seconds:
        due = int((now - begun) * rate) + 1
        for _ in range(due - sent):
            writer.publish(TOPIC, payload, qos=0)
        sent = max(sent, due)
        time.sleep(0.002)
    took = time.monotonic() - begun
    time.sleep(0.5)  # what is on its way
    for client in (reader, writer):
        client.disconnect()
        client.loop_stop()
    out.write_text(json.dumps({"sent": sent, "received": received, "seconds": took}), "utf-8")


def _connected(place: dict[str, object]) -> Client:
    client = Client(CallbackAPIVersion.VERSION2)
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.connect(str(place["host"]), int(str(place["port"])))
    client.loop_start()
    if not connected.wait(_PATIENCE):
        raise TimeoutError(f"the broker did not answer within {_PATIENCE:g} s")
    return client


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
