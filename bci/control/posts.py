"""The posts that lines are made of: for each program of the house its module, its rings, its order and its counters."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bci.control.line import Post, Spec, named
from bci.control.snapshot_ring import SNAPSHOTS
from bci.memory.orders import (
    ABORT,
    ANSWERED,
    HOLD,
    LOAD_BUNDLE,
    NEUTRAL,
    PAUSE,
    RELEASE,
    RESUME,
    SET,
    START,
    STOP,
)

#: The ring of marks of a program that receives markers alone.
MARKER_MARKS = "marker_marks"

#: What each kind of program counts on the board. Besides what adds up there is what is so now: whether a source is
#: ``gone``, how many ``doubles`` claim its name; channels ``masked`` in the newest window, and of
#: a volume how many values are ``unmeasured`` and why its ``head`` is lost; what the display shows
#: (``neutral``, see `bci.memory.alarms`); the ``stage`` of an experiment (`bci.memory.trial_parts.Stage`) and how many
#: trials are ``planned``, 0 where its protocol decides as it goes; how many browsers have the page ``open``; how long
#: the disk ``refuses_ms`` and is ``slow_ms``, what ``waiting`` bytes it owes, and how long it lasts; how many streams
#: are ``implausible``; whether a stream is ``mistimed``, by its first seconds; by how much a run's slice times are not
#: those of its volumes (``slices_stated_ms``, ``slices_held_ms``, see `bci.live.slice_times`); whether the control
#: plane is ``connected``.
COUNTERS: Mapping[str, tuple[str, ...]] = {
    "source": ("samples",),
    "scanner": ("samples",),
    "acquire": (
        *("samples", "lost", "markers", "uncertain", "gone", "doubles", "mistimed"),
        *("slices_stated_ms", "slices_held_ms", "first_due_ms"),
    ),
    "decode": (
        *("samples", "lost", "windows", "reconstructions", "skipped", "invalid", "masked"),
        *("unmeasured", "head", "heads_lost", "unheard"),
    ),
    "display": ("flips", "dropped", "neutral"),
    "engine": ("begun", "done", "aborted", "stage", "planned"),
    "render": ("drawn", "undrawn", "missed"),
    "publish": ("published", "lost"),
    "preview": ("trials", "lost"),
    "record": (
        "samples",
        "events",
        "lost",
        "waiting",
        "refuses_ms",
        "slow_ms",
        "free_mb",
        "left_s",
        "implausible",
    ),
    "page": ("open", "updates", "rejected"),
    "broker": (),
    "control": (
        *("commands", "done", "expired", "unknown", "declined", "failed", "malformed", "repeated"),
        *("unanswered", "strays", "connected", "connections"),
    ),
}

#: Those of them that say what is so now; all others only grow.
GAUGES = frozenset(
    {
        *("slices_stated_ms", "slices_held_ms", "first_due_ms"),
        *("gone", "doubles", "mistimed", "masked", "unmeasured", "head", "neutral", "stage", "planned"),
        *("open", "waiting", "refuses_ms", "slow_ms", "free_mb", "left_s", "implausible", "connected"),
    }
)

_SOURCES = {"insilico": "bci.live.insilico", "scanned": "bci.live.watched"}
_DISPLAYS = {"window": "stimuli.display.window", "headless": "stimuli.display.headless"}


def role(kind: str, index: int) -> str:
    """Return the role of one of several streams, marker rings or frame rings inside a program.

    >>> role("stream", 0), role("stream", 1)
    ('stream', 'stream-2')
    """
    return kind if index == 0 else f"{kind}-{index + 1}"


def roles(kind: str, names: Sequence[str]) -> dict[str, str]:
    """Return names in the line by the roles that they play inside one program, in order."""
    return {role(kind, index): name for index, name in enumerate(names)}


def source(name: str, kind: str, spec: Spec, offers: Sequence[str]) -> Post:
    """Return the post of a program that makes a stream; a participant in silico looks at what is shown.

    One that is ``scanned`` looks from its scanner, and this program watches what that writes.
    """
    looks = ("shown",) if kind == "insilico" else ()
    return Post(
        named("source", name),
        _SOURCES.get(kind, "bci.live.source"),
        spec,
        rings={ring: ring for ring in looks},
        looks=looks,
        waits=looks,
        offers=offers,
        counters=COUNTERS["source"],
    )


def scanner(name: str, spec: Spec, after: Sequence[str]) -> Post:
    """Return the post of a simulated scanner, whose participant looks at what is shown; its files are a source's."""
    return Post(
        named("scanner", name),
        "bci.live.scanner",
        spec,
        rings={"shown": "shown"},
        looks=("shown",),
        waits=("shown",),
        after=after,
        counters=COUNTERS["scanner"],
    )


def acquire(
    name: str,
    spec: Spec,
    *,
    stream: str | None,
    markers: Sequence[str],
    takes: Sequence[str],
    marks: str | None = None,
) -> Post:
    """Return the post of a program that receives a stream, or markers alone, into shared memory.

    `marks` is the ring for what is to be marked of markers alone; a stream has one of its own.
    """
    rings = roles("markers", markers) | ({"marks": marks} if marks else {})
    streams = {"stream": stream} if stream else {}
    return Post(
        named("acquire", name),
        "bci.live.acquire",
        spec,
        streams=streams,
        rings=rings,
        writes=(*streams, *rings),
        takes=takes,
        counters=COUNTERS["acquire"],
    )


def decode(
    name: str,
    spec: Spec,
    *,
    stream: str,
    markers: str | None,
    shown: bool,
    sides: Mapping[str, str],
    physiology: str | None = None,
    copies: Mapping[str, str] = MappingProxyType({}),
) -> Post:
    """Return the post of a decoder; of what is `shown` it only looks up which trial a flip belongs to.

    `sides` names the streams that it writes beside its frames, by role, `copies` those for other tools;
    `physiology` is the stream that it hears.
    """
    heard = {"physiology": physiology} if physiology else {}
    rings = {"frames": named("frames", name), "decode_marks": named("decode_marks", name)}
    return Post(
        named("decode", name),
        "bci.live.decode",
        spec,
        streams={"stream": stream, **heard, **sides, **copies},
        rings=rings | ({"markers": markers} if markers else {}) | ({"shown": "shown"} if shown else {}),
        writes=("frames", "decode_marks", *sides, *copies),
        looks=("shown",) if shown else (),
        waits=("stream",),
        counters=COUNTERS["decode"],
        obeys=frozenset({STOP, LOAD_BUNDLE}),
    )


def display(kind: str, spec: Spec, *, frames: Sequence[str], stimuli: bool, offers: Sequence[str]) -> Post:
    """Return the post of the participant's screen, or of its headless twin, fed by the decoders of these `frames`."""
    experiment = ("stimuli", "responses") if stimuli else ()
    rings = roles("frames", frames) | {"shown": "shown"} | {ring: ring for ring in experiment}
    return Post(
        "display",
        _DISPLAYS[kind],
        spec,
        rings=rings,
        writes=("shown", *experiment[1:]),
        offers=offers,
        obeys=frozenset({STOP, HOLD, NEUTRAL, RELEASE, SET}),
        finishes=True,
        counters=COUNTERS["display"],
    )


def engine(spec: Spec, *, frames: Sequence[str], latents: bool, preview: bool, after: Sequence[str]) -> Post:
    """Return the post of the program that runs an experiment's protocol; `latents` that it shows are drawn for it.

    It looks at the keys that were pressed in the participant's window and, where there is a `preview`, in that.
    """
    drawing, read = ("requests", "drawn") if latents else (), roles("frames", frames)
    keys = ("responses", "operator_keys") if preview else ("responses",)
    return Post(
        "engine",
        "stimuli.engine",
        spec,
        rings={ring: ring for ring in ("stimuli", "shown", "engine_marks", *keys, *drawing)} | read,
        writes=("stimuli", "engine_marks", *drawing[:1]),
        looks=("shown", *keys, *read, *drawing[1:]),
        after=after,
        obeys=frozenset({STOP, START, PAUSE, RESUME, ABORT}),
        counters=COUNTERS["engine"],
    )


def render(spec: Spec) -> Post:
    """Return the post of the program that draws the latents which an experiment will show."""
    return Post(
        "render",
        "bci.live.render",
        spec,
        rings={"requests": "requests", "drawn": "drawn"},
        writes=("drawn",),
        waits=("requests",),
        counters=COUNTERS["render"],
    )


def publish(name: str, spec: Spec, copies: Mapping[str, str]) -> Post:
    """Return the post of the program that offers a decoder's results to other tools, and `copies`, streams by role."""
    return Post(
        named("publish", name),
        "bci.live.publish",
        spec,
        streams=dict(copies),
        rings={"frames": named("frames", name)},
        waits=("frames",),
        dispensable=True,
        counters=COUNTERS["publish"],
    )


def preview(spec: Spec, *, frames: Sequence[str], marks: Sequence[str]) -> Post:
    """Return the post of the operator's preview of what the decoders that feed the display read."""
    return Post(
        "preview",
        "stimuli.operator.preview",
        spec,
        rings={"shown": "shown", "operator_keys": "operator_keys"}
        | roles("frames", frames)
        | roles("decode_marks", marks),
        writes=("operator_keys",),
        dispensable=True,
        counters=COUNTERS["preview"],
    )


def record(
    spec: Spec,
    *,
    streams: Sequence[str],
    markers: Sequence[str],
    decoders: Sequence[str] = (),
    rings: Sequence[str] = (),
    dispensable: bool = False,
) -> Post:
    """Return the post of the recorder: of each decoder, by name, it drains the frames and the marks."""
    own: dict[str, str] = {}
    for kind in ("frames", "decode_marks"):
        own |= roles(kind, [named(kind, name) for name in decoders])
    return Post(
        "record",
        "bci.live.record",
        spec,
        streams=roles("stream", streams),
        rings=own | roles("markers", markers) | {ring: ring for ring in rings},
        dispensable=dispensable,
        finishes=True,
        counters=COUNTERS["record"],
    )


def page(spec: Spec) -> Post:
    """Return the post of the operator's page: it finds what it looks at by the session's directory, and only looks."""
    return Post("page", "bci.control.page.program", spec, dispensable=True, counters=COUNTERS["page"])


def broker(spec: Spec) -> Post:
    """Return the post of the session's own MQTT broker."""
    return Post("broker", "bci.control.mqtt.broker", spec, dispensable=True, counters=COUNTERS["broker"])


def control(spec: Spec) -> Post:
    """Return the post of the program that speaks MQTT; nothing in the line waits for it."""
    return Post(
        "control",
        "bci.control.mqtt.plane",
        spec,
        rings={SNAPSHOTS: SNAPSHOTS},
        looks=(SNAPSHOTS,),
        dispensable=True,
        obeys=frozenset({STOP, ANSWERED}),
        counters=COUNTERS["control"],
    )
