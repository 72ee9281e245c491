"""A commander is a program beside a session that publishes commands over MQTT and notes when, by the session clock.

::

    python -m benchmarks.commander SESSION_FOLDER SECONDS OUT.json
"""

import json
import random
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from pylsl import local_clock

#: Pauses between commands, seconds: less often than a session lets them in, and in step with nothing.
PAUSES = (0.06, 0.16)

#: The display acts on the first two, the supervisor on the third.
KINDS = ("neutral", "release", "mark")


def main(folder: Path, seconds: float, out: Path) -> None:
    """Command the session in `folder` for so many seconds; leave id, kind and time of each command in `out`."""
    place = json.loads((folder / "control.json").read_text("utf-8"))
    client = Client(CallbackAPIVersion.VERSION2)
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.connect(place["broker"]["host"], place["broker"]["port"])
    client.loop_start()
    if not connected.wait(10):
        raise TimeoutError("the broker did not answer within 10 s")
    sent: list[dict[str, Any]] = []
    pauses = random.Random(7)
    end = local_clock() + seconds
    while local_clock() < end:
        kind = KINDS[len(sent) % len(KINDS)]
        command = {"id": uuid.uuid4().hex, "kind": kind, "issued": time.time(), "expires_s": 5}
        if kind == "mark":
            command["text"] = "a mark of the benchmark"
        payload = json.dumps(command)
        at = local_clock()
        client.publish(f"bci/v1/{place['session']}/session/cmd", payload, qos=1).wait_for_publish(5)
        sent.append({"id": command["id"], "kind": kind, "at": at})
        time.sleep(pauses.uniform(*PAUSES))
    client.disconnect()
    client.loop_stop()
    out.write_text(json.dumps(sent), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
