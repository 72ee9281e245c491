"""Of an experiment's buttons those can be clicked whose order it would obey."""

import pytest

pytest.importorskip("bokeh", reason="the page needs the extra page")

from bokeh.document import Document

from bci.control.page.buttons import OF_EXPERIMENTS, CommandButtons
from bci.memory.trial_parts import Stage


async def send(kind: str, **values: object) -> str:
    return "done"


@pytest.mark.parametrize(
    ("stage", "open_"),
    [
        (Stage.WAITING, {"start", "abort"}),
        (Stage.RUNNING, {"pause", "abort"}),
        (Stage.PAUSED, {"resume", "abort"}),
        (Stage.OVER, set()),
        (None, set()),
    ],
)
def test_a_button_is_dark_while_the_experiment_would_refuse_it(stage: Stage | None, open_: set[str]) -> None:
    buttons = CommandButtons(Document(), send)
    buttons.allow("", stage)
    dark = {str(button.name): button.disabled for button in buttons._buttons.values()}
    assert {kind for kind in OF_EXPERIMENTS if not dark[kind]} == open_
    assert not any(dark[kind] for kind in dark if kind not in OF_EXPERIMENTS)
    buttons.allow("the session is over", stage)
    assert all(button.disabled for button in buttons._buttons.values())


def test_what_the_page_offers_is_what_the_engine_obeys() -> None:
    from stimuli.controls import _ORDERS

    assert {kind: order[0] for kind, order in _ORDERS.items()} == OF_EXPERIMENTS
