"""A Line is a list of posts: the programs that a session runs, their inputs and outputs, and so their order.

::

    Post(name, module, spec, streams, rings, writes, looks, waits, offers, takes, after, …)

Nothing here starts a process. A line is checked when it is made, and its orders follow from the posts:

- *Starting.* A post comes after the posts it names in `after`, and after those that offer a network stream which it
  takes. A post at the head of the line, which brings in data from outside it, comes after every post that its data
  reach: no sample is sent before its readers listen. Posts without an order load side by side.
- *Stopping.* A writer stops before those who read what it writes, so that everything sent arrives; who takes a network
  stream stops before the program that offers it, whose end would look like a loss. Otherwise as the posts are listed.

A post that only *looks* at a ring has no order among the others; see `docs/decisions/0017-posts.md`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

from bci.errors import ConfigError
from bci.memory.orders import STOP

#: A program's own settings; those that rest on what others said of themselves are worked out when it is started.
Spec = Mapping[str, Any] | Callable[[], Mapping[str, Any]]

#: Stands between what a program is and which one of several it is: ``decode``, ``decode:motor``.
_OF = ":"


def named(kind: str, name: str) -> str:
    """Return what one of several programs or rings of a kind is called.

    >>> named("decode", ""), named("decode", "motor")
    ('decode', 'decode:motor')
    """
    return f"{kind}{_OF}{name}" if name else kind


def kind_of(name: str) -> str:
    """Return what a program is, whichever of several it is.

    >>> kind_of("decode"), kind_of("decode:motor")
    ('decode', 'decode')
    """
    return name.partition(_OF)[0]


def name_of(name: str) -> str:
    """Return which of several a program is; empty where it is the first or the only one.

    >>> name_of("decode"), name_of("decode:motor")
    ('', 'motor')
    """
    return name.partition(_OF)[2]


@dataclass(frozen=True)
class Post:
    """One program's place in a line.

    Attributes
    ----------
    name : str
        Its row on the board; unique in the line.
    module : str
        Dotted name of the module whose ``main`` runs.
    spec : mapping, or callable that returns one
        The program's own settings.
    streams, rings : mapping of str to str
        What it may open: by the role that a stream or ring plays inside the program, its name in the line.
    writes : collection of str
        Roles that it writes; all others it reads.
    looks : collection of str
        Roles that it reads now and then, or by the way: they give no order.
    waits : sequence of str
        Roles whose writer wakes it; each gives it a place among the readers of that ring.
    offers, takes : collection of str
        Streams on the network that it makes, and that it receives.
    after : collection of str
        Posts that must be ready before it is started, beyond those that follow from the rest.
    dispensable : bool
        Whether the session goes on without it.
    obeys : frozenset of str
        Kinds of orders that it carries out.
    finishes : bool
        Whether it may have to wait for a disk when told to stop.
    counters : tuple of str
        Names of what it counts on the board.
    """

    name: str
    module: str
    spec: Spec = field(default_factory=dict)
    streams: Mapping[str, str] = field(default_factory=dict)
    rings: Mapping[str, str] = field(default_factory=dict)
    writes: Collection[str] = ()
    looks: Collection[str] = ()
    waits: Sequence[str] = ()
    offers: Collection[str] = ()
    takes: Collection[str] = ()
    after: Collection[str] = ()
    dispensable: bool = False
    obeys: frozenset[str] = frozenset({STOP})
    finishes: bool = False
    counters: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What it is, whichever of several it is: see `kind_of`."""
        return kind_of(self.name)

    @cached_property
    def roles(self) -> dict[str, str]:
        """Names in the line of all that it may open, by role."""
        return {**self.streams, **self.rings}

    @cached_property
    def written(self) -> frozenset[str]:
        """Names of the rings that it writes."""
        return frozenset(self.roles[role] for role in self.writes)

    @cached_property
    def read(self) -> frozenset[str]:
        """Names of the rings that it reads whole: there before anything is written, and until the last of it."""
        quiet = {*self.writes, *self.looks}
        return frozenset(name for role, name in self.roles.items() if role not in quiet)

    @cached_property
    def seen(self) -> frozenset[str]:
        """Names of all rings that it opens and does not write."""
        return frozenset(name for role, name in self.roles.items() if role not in self.writes)

    def specify(self) -> Mapping[str, Any]:
        """Return its settings, worked out now."""
        return self.spec() if callable(self.spec) else self.spec


class Line:
    """The posts of one session, in the order of the signal's way.

    Parameters
    ----------
    posts : iterable of Post
        From the sample to the disk.
    outside : collection of str
        Rings that no post writes, because the supervisor does.

    Raises
    ------
    ConfigError
        If two posts have one name, a ring two writers or a reader but no writer; if a post names a role that it does
        not open, or a post that there is not; or if they wait for each other in a circle.
    """

    def __init__(self, posts: Iterable[Post], outside: Collection[str] = ()) -> None:
        self.posts = tuple(posts)
        self.outside = frozenset(outside)
        self._by_name = {post.name: post for post in self.posts}
        self._check()
        self.stages = self._stages()
        """Posts in the order of starting; those of one stage load side by side."""
        self.stopping = self._stopping()
        """Posts in the order of stopping."""

    def __iter__(self) -> Iterator[Post]:
        return iter(self.posts)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Post:
        return self._by_name[name]

    @property
    def counters(self) -> dict[str, tuple[str, ...]]:
        """What each program counts: the rows of the line's board."""
        return {post.name: post.counters for post in self.posts}

    @property
    def streams(self) -> frozenset[str]:
        """Names of the sample streams in shared memory."""
        return frozenset(name for post in self.posts for name in post.streams.values())

    def of_kind(self, kind: str) -> tuple[Post, ...]:
        """Return the posts of a kind."""
        return tuple(post for post in self.posts if post.kind == kind)

    def slots(self, post: Post) -> dict[str, int]:
        """Return a post's place among the readers that wait on each ring, by role."""
        return {role: self._waiting(post.roles[role]).index(post.name) for role in post.waits}

    def readers(self, ring: str) -> int:
        """Return how many programs wait on a ring."""
        return len(self._waiting(ring))

    def changed(self, name: str, **changes: Any) -> Self:
        """Return this line with one post's attributes changed."""
        posts = (replace(post, **changes) if post.name == name else post for post in self.posts)
        return type(self)(posts, self.outside)

    def reached_from(self, name: str) -> frozenset[str]:
        """Return the posts that are reached, at once or through others, by what a post writes."""
        reached: set[str] = set()
        edge = [self[name]]
        while edge:
            written = edge.pop().written
            for post in self.posts:
                if post.read & written and post.name not in reached:
                    reached.add(post.name)
                    edge.append(post)
        return frozenset(reached)

    # -- checks and orders -------------------------------------------------------------------------------

    def _waiting(self, ring: str) -> list[str]:
        return [post.name for post in self.posts if any(post.roles[role] == ring for role in post.waits)]

    def _check(self) -> None:
        names = [post.name for post in self.posts]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(
                f"two programs of a line are called {', '.join(twice)}. Give each its own name."
            )
        writers: dict[str, str] = {}
        for post in self.posts:
            unknown = {*post.writes, *post.looks, *post.waits} - set(post.roles)
            if unknown:
                raise ConfigError(
                    f"{post.name} names the roles {sorted(unknown)} but opens {sorted(post.roles)}"
                )
            missing = set(post.after) - set(names)
            if missing:
                raise ConfigError(f"{post.name} is to start after {sorted(missing)}; the line has {names}")
            for ring in post.written:
                if ring in writers or ring in self.outside:
                    other = writers.get(ring, "the supervisor")
                    raise ConfigError(
                        f"ring {ring!r} has two writers, {other} and {post.name}; it must have one"
                    )
                writers[ring] = post.name
        for post in self.posts:
            for ring in sorted(post.seen - set(writers) - self.outside):
                raise ConfigError(
                    f"{post.name} reads ring {ring!r}, which no program of the line writes; written are "
                    f"{sorted({*writers, *self.outside})}"
                )

    def _stages(self) -> tuple[tuple[Post, ...], ...]:
        before: dict[str, set[str]] = {}
        for post in self.posts:
            needed = set(post.after)
            needed |= {other.name for other in self.posts if set(other.offers) & set(post.takes)}
            if post.written and not post.read:
                needed |= self.reached_from(post.name)
            before[post.name] = needed
        stages: list[tuple[Post, ...]] = []
        placed: set[str] = set()
        while len(placed) < len(self.posts):
            free = tuple(p for p in self.posts if p.name not in placed and before[p.name] <= placed)
            if not free:
                raise _circle("starting", {name: needed - placed for name, needed in before.items()}, placed)
            stages.append(free)
            placed |= {post.name for post in free}
        return tuple(stages)

    def _stopping(self) -> tuple[Post, ...]:
        before = {
            post.name: {
                other.name
                for other in self.posts
                if other is not post and (other.written & post.read or set(other.takes) & set(post.offers))
            }
            for post in self.posts
        }
        order: list[Post] = []
        placed: set[str] = set()
        while len(order) < len(self.posts):
            free = next((p for p in self.posts if p.name not in placed and before[p.name] <= placed), None)
            if free is None:
                raise _circle("stopping", {name: needed - placed for name, needed in before.items()}, placed)
            order.append(free)
            placed.add(free.name)
        return tuple(order)


def _circle(what: str, before: Mapping[str, set[str]], placed: set[str]) -> ConfigError:
    waiting = {name: sorted(needed) for name, needed in before.items() if name not in placed}
    pairs = "; ".join(f"{name} waits for {', '.join(needed)}" for name, needed in waiting.items())
    return ConfigError(
        f"{what} would go in a circle: {pairs}. Let one of them only look at what the other writes."
    )
