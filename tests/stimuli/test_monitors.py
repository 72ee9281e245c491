import pygame
import pytest

from bci.errors import DisplayError
from stimuli.display.monitors import Monitor, choose_monitor, monitors

DESK = Monitor(0, "DELL U2419H", (1920, 1080), 60)
LAB = Monitor(1, "VPixx", (1920, 1080), 120)
TWIN = Monitor(2, "VPixx", (1024, 768), 0)


@pytest.mark.parametrize(("wanted", "found"), [(0, DESK), (1, LAB), ("VPixx", LAB), ("dell u2419h", DESK)])
def test_a_monitor_goes_by_its_index_or_its_name_in_any_case(wanted, found):
    assert choose_monitor([DESK, LAB], wanted) is found


@pytest.mark.parametrize("wanted", [2, -1, "Vpix", "", "1"])
def test_an_unknown_monitor_is_refused_with_a_list_of_those_there_are(wanted):
    with pytest.raises(DisplayError, match="no monitor is called") as error:
        choose_monitor([DESK, LAB], wanted)
    assert "0 'DELL U2419H' (1920 × 1080 at 60 Hz); 1 'VPixx' (1920 × 1080 at 120 Hz)" in str(error.value)


def test_a_name_that_two_monitors_share_is_refused():
    with pytest.raises(DisplayError, match=r"several monitors are called 'VPixx'.*2 'VPixx' \(1024 × 768\)"):
        choose_monitor([DESK, LAB, TWIN], "VPixx")


def test_the_monitors_of_this_machine_are_listed_with_their_names():
    pygame.display.init()
    try:
        found = monitors()
        assert [m.index for m in found] == list(range(pygame.display.get_num_displays()))
        assert [m.size for m in found] == pygame.display.get_desktop_sizes()
        assert found[0].name, "SDL names even the screen that is not there"
    finally:
        pygame.display.quit()
