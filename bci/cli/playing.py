"""Playing on the network with a bar of progress, as `bci replay` and `bci sim` do."""

from typing import TYPE_CHECKING

from bci.cli.output import Output

if TYPE_CHECKING:
    from bci.live.replay import Player


def play_out(player: "Player", output: Output, what: str, wait: float) -> bool:
    """Play to the end, once there is a consumer or `wait` seconds are over; False where Ctrl-C ended it before."""
    with output.progress() as progress:
        task = progress.add_task(what, total=player.expected)

        def tick() -> bool:
            progress.update(task, completed=player.sent)
            return True

        try:
            if wait and not player.wait_for_consumers(wait, tick):
                output.say(f"no consumer within {wait:g} s; playing all the same")
            return player.play(tick)
        except KeyboardInterrupt:
            return False
