"""docs/failures.md is true line by line: each line has tests in which it happens, and quotes what the code says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from proofs import is_there
from sentences import blocks, sentences

from bci.control.conclusion import EXIT_STATUS
from bci.signal.types import MarkKind

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "failures.md").read_text("utf-8")

DECODE, LSL, SOURCES = "live/test_decode.py::", "io/lsl/test_lsl.py::", "system/test_sources.py::"
SILENT, HEADLESS = "memory/test_alarms.py::", "stimuli/test_headless.py::"
LOST = "io/lsl/test_lost_samples.py::"
COMMANDED = "system/test_commanded_session.py::"
DIE = "system/test_when_things_die.py::"
KILLED = f"{DIE}test_whoever_is_killed_or_frozen_is_started_again_and_the_pictures_come_back"
LATCHED = f"{DIE}test_after_the_last_restart_the_session_is_latched_safe_until_it_is_ended"
BESIDE = f"{DIE}test_nothing_that_dies_or_hangs_beside_the_line_changes_what_is_seen"
UNPLUGGED = (
    "system/test_terminal.py::test_an_unplugged_amplifier_is_seen_at_once_and_the_session_ends_with_status_3"
)
MUTE = "system/test_terminal.py::test_an_outlet_that_sends_nothing_is_no_success"
ALARMS = "memory/test_alarms.py::test_each_trouble_has_its_line"
RECORDER = "live/test_recorder.py::"
CONCLUSION = "control/test_conclusion.py::"

#: By the first cell of each line, the tests in which it happens.
PROVEN: dict[str, tuple[str, ...]] = {
    # exit status
    "0": (f"{CONCLUSION}test_a_session_without_trouble_is_done",),
    "4": (f"{CONCLUSION}test_a_source_that_came_back_is_a_failure_that_was_mended", KILLED),
    "3 safe": (f"{CONCLUSION}test_a_session_that_ends_without_its_source_ends_in_the_safe_state", UNPLUGGED, LATCHED),
    "3 lost": (f"{CONCLUSION}test_a_second_stream_that_is_gone_is_no_plain_done_either",),
    "3 empty": (f"{CONCLUSION}test_nothing_decoded_or_recorded_is_said_and_is_no_success",),
    "3 failed": (f"{CONCLUSION}test_a_program_that_was_given_up_or_started_again_counts_before_and_behind",),
    "2": (
        "cli/test_usage.py::test_what_is_not_there_is_status_2_and_named",
        "system/test_terminal.py::test_ctrl_c_while_its_programs_load_is_status_2",
    ),
    # a program dies or hangs
    "source": (
        UNPLUGGED, KILLED,
        f"{SOURCES}test_a_source_that_dies_and_comes_back_is_marked_and_what_is_missing_counted",
        f"{SOURCES}test_a_source_that_hangs_and_goes_on_loses_nothing",
        f"{SOURCES}test_the_program_outlives_its_source_and_continues_with_the_next",
    ),
    "acquire": (KILLED,),
    "decode": (
        KILLED,
        f"{DECODE}test_a_successor_decodes_what_the_dead_one_had_not_and_counts_what_it_had_not_counted",
        "live/test_resumption.py::test_a_decoder_that_dies_at_a_trial_is_followed_by_one_that_knows_the_run",
    ),
    "display killed": (KILLED, f"{DIE}test_a_display_that_stays_dead_ends_the_session"),
    "display hanging": (
        KILLED,
        "control/test_certification_faults.py::"
        "test_a_frozen_display_shows_its_last_picture_until_it_is_found_and_nothing_until_the_next_one_flips",
    ),
    "record": (BESIDE, KILLED, f"{RECORDER}test_a_restarted_recorder_goes_on_where_the_one_before_was_killed"),
    "engine": (
        "system/test_closed_loop.py::"
        "test_an_engine_that_is_killed_or_frozen_goes_on_with_the_next_trial_and_calls_its_own_aborted",
        "stimuli/test_experiment.py::test_when_the_engine_dies_the_stimulus_is_shown_to_its_planned_end_and_then_neutral",
    ),
    "render": (
        "system/test_protocols_that_react.py::"
        "test_latents_are_drawn_shown_and_recorded_and_a_renderer_that_hangs_is_replaced",
        "live/test_render.py::test_every_latent_is_drawn_once_in_order_also_by_a_successor",
        "stimuli/test_engine.py::test_latents_are_drawn_ahead_of_time_and_one_that_is_not_aborts_its_trial",
    ),
    "publish": (BESIDE,),
    "page": (BESIDE, "system/test_page_in_a_browser.py::test_two_clicks_end_the_session_in_order"),
    "preview": ("system/test_closed_loop.py::test_a_session_goes_on_without_its_preview",),
    "machine shut down": (f"{DIE}test_a_machine_that_shuts_down_ends_the_session_in_order",),
    "broker": (f"{COMMANDED}test_the_data_path_does_not_notice",),
    "control": (
        f"{COMMANDED}test_the_data_path_does_not_notice",
        f"{COMMANDED}test_a_command_acts_once_and_is_answered_with_the_time_of_the_act",
    ),
    "terminal closed": ("system/test_terminal.py::test_closing_the_terminal_ends_the_session_in_order",),
    "supervisor killed": (f"{DIE}test_when_the_supervisor_is_killed_every_program_ends_and_the_recording_is_finished",),
    "supervisor hanging": (BESIDE,),
    "everything killed": (
        "system/test_terminal.py::test_what_a_session_leaves_that_was_killed_with_everything_is_removed_by_the_doctor",
        "system/test_session_recording.py::test_what_was_called_recorded_is_on_disk_after_every_program_was_killed_at_once",
    ),
    # the signal is not what it should be
    "samples were lost on the way": (
        f"{LSL}test_a_gap_inside_a_chunk_is_marked_at_its_sample_before_the_samples_are_there",
        f"{LOST}test_a_lost_packet_out_of_exact_stamps_is_counted_and_times_are_right_on_both_sides",
        f"{LSL}test_pulled_windows_follow_each_other_and_none_spans_a_gap",
        "signal/test_chunking.py::test_a_start_at_any_sample_keeps_the_grid_and_the_settled_values",
        "decoder/test_onnx_decoder.py::test_an_unsettled_window_is_invalid",
        "stimuli/test_headless.py::test_the_screen_is_neutral_from_the_flip_after_a_rule_broke_to_the_next_good_frame",
    ),
    "samples come late in a burst": (
        f"{LOST}test_samples_that_come_late_in_a_burst_are_not_lost",
        "stimuli/test_presenter.py::test_a_frame_on_the_screen_leaves_it_when_it_grows_old",
    ),
    "the stream's time is wrong": (
        f"{LSL}test_a_stream_of_another_rate_is_refused_within_three_seconds_of_its_first_sample",
        "live/test_acquire.py::test_a_stream_of_another_clock_unit_or_rate_is_refused_or_said",
        "signal/test_stamping.py::test_another_clock_or_unit_is_named",
        "control/test_crew.py::test_a_program_that_no_restart_helps_is_given_up_at_once",
        "control/test_supervisor.py::"
        "test_a_program_given_up_latches_the_session_and_the_screen_is_ordered_to_hold",
        "cli/test_listening.py::test_a_stream_of_another_clock_is_refused_before_the_session",
    ),
    "a sample has no stamp": (
        f"{LSL}test_a_stamp_that_is_no_number_behind_the_first_seconds_is_given_on_arrival",
        "live/test_acquire.py::test_a_stream_of_another_clock_unit_or_rate_is_refused_or_said",
    ),
    "samples carry the stamp": (
        f"{LSL}test_duplicates_and_clock_resets_are_marked_and_every_sample_is_kept",
        "io/lsl/test_stamps.py::test_what_was_planted_is_found_at_the_exact_sample",
    ),
    "the samples around a trial": (
        f"{DECODE}test_each_wanted_marker_becomes_an_epoch_or_a_counted_loss",
        "signal/test_epochs.py::test_every_marker_is_an_epoch_or_a_loss_with_its_reason",
        "signal/test_epochs.py::test_a_marker_that_comes_when_its_samples_are_gone_is_late",
        "stimuli/test_preview.py::test_a_trial_without_a_picture_says_why",
    ),
    "the sender's clock was set": (f"{LSL}test_duplicates_and_clock_resets_are_marked_and_every_sample_is_kept",),
    "this computer's time of day was set": (
        f"{LSL}test_the_time_of_day_may_be_set_back_while_a_stream_is_received",
        "test_house.py::test_what_waits_or_tells_time_is_given_a_clock",
    ),
    "an electrode came off": (
        "live/test_record.py::test_frames_come_back_exactly",
        f"{HEADLESS}test_going_to_neutral_and_leaving_it_is_logged_once_each",
        "decoder/test_onnx_decoder.py::test_a_window_with_too_much_masked_is_invalid",
        "stimuli/test_presenter.py::test_an_invalid_frame_hides_the_valid_one_before_it",
    ),
    "the input is unlike": (
        "decoder/test_novelty.py::test_a_window_unlike_training_is_invalid_with_a_reason_and_no_latent",
        "models/test_trust.py::"
        "test_the_shipped_decoders_of_faces_refuse_noise_artefacts_crossed_wires_and_dead_amplifiers",
        "stimuli/test_presenter.py::test_an_invalid_frame_hides_the_valid_one_before_it",
    ),
    "the stream says microvolts": (
        ALARMS, "cli/test_listening.py::test_what_a_stream_cannot_be_is_said",
        "live/test_amplitudes.py::test_volts_called_microvolts_are_said_once_and_when_they_are_mended",
        "models/test_trust.py::test_the_simulated_eyes_of_the_demo_are_like_training_and_as_volts_they_are_not",
        "models/test_trust.py::test_every_shipped_bundle_tells_novelty_and_beats_chance",
    ),
    "a volume of a scanner is missing": (
        "live/test_volume_records.py::test_volumes_that_are_not_ok_or_untold_are_marked_said_and_counted",
        "live/test_scanner_in_trouble.py::test_a_fault_has_its_status_and_the_others_are_ok",
    ),
    "the participant's head moves beyond": (
        "live/test_decode.py::test_a_head_that_is_lost_is_told_marked_and_counted_and_so_is_its_return",
        "live/test_heads.py::test_a_lost_head_is_said_once_marked_at_each_volume_and_its_return_is_said",
        "stimuli/test_presenter.py::test_a_frame_on_the_screen_leaves_it_when_it_grows_old",
        "control/test_conclusion.py::test_volumes_with_a_lost_head_are_said_at_the_end",
    ),
    "the pulse or the belt": (
        "live/test_heard_physiology.py::"
        "test_volumes_that_hear_nothing_are_marked_and_counted_and_the_return_is_said",
        "live/test_heard_physiology.py::"
        "test_a_volume_waits_for_what_is_late_but_for_half_a_tr_alone_and_none_waits_again_in_vain",
        "signal/volumes/test_physiological_noise.py::"
        "test_chunks_change_nothing_and_a_volume_that_hears_nothing_is_used_without",
        "control/test_conclusion.py::test_volumes_that_heard_no_physiology_are_said_at_the_end",
    ),
    "the record of how a volume came": (
        "live/test_volume_records.py::test_volumes_that_are_not_ok_or_untold_are_marked_said_and_counted",
        "io/volumes/test_joining.py::"
        "test_a_volume_whose_record_is_missing_for_half_a_tr_is_untold_and_the_next_are_joined",
    ),
    "a second program claims": (
        f"{SOURCES}test_a_double_that_appears_is_marked_and_the_first_source_goes_on",
        f"{SOURCES}test_a_double_that_is_left_alone_is_taken_up",
        f"{SOURCES}test_a_source_that_comes_back_twice_is_refused",
        ALARMS,
    ),
    "markers come from another computer": (
        "live/test_acquire.py::test_markers_whose_time_is_not_known_well_enough_are_marked_and_counted",
        "io/lsl/test_markers.py::"
        "test_the_clock_of_another_computer_and_how_well_it_is_known_stand_in_event_and_marks",
        f"{RECORDER}test_a_marker_of_uncertain_time_is_known_by_it_in_the_table_and_in_the_file",
        "session/test_trials_of_session.py::test_a_trial_whose_event_is_of_uncertain_time_is_left_out",
        "models/test_evolution_report.py::"
        "test_a_picture_whose_event_is_of_uncertain_time_is_in_no_score_and_counted",
        "models/test_calibration.py::test_a_block_whose_cue_is_of_uncertain_time_is_left_out_and_counted",
        "models/test_events.py::test_a_marker_of_uncertain_time_is_left_out_of_training_and_counted",
        "control/page/test_live.py::test_an_event_of_uncertain_time_is_counted_and_in_no_average",
        "stimuli/test_experiment.py::test_of_an_event_of_uncertain_time_nothing_was_read",
    ),
    "a marker's text is longer": (
        "io/lsl/test_markers.py::test_a_text_longer_than_its_record_is_cut_between_characters_and_counted",
        f"{CONCLUSION}test_markers_that_were_cut_are_said_at_the_end",
    ),
    "the stream came back with another rate": (
        f"{SOURCES}test_a_source_that_comes_back_as_another_is_refused",
        f"{SOURCES}test_the_program_ends_with_a_clear_word_when_its_source_comes_back_rerated",
        "control/test_crew.py::test_a_program_that_no_restart_helps_is_given_up_at_once",
    ),
    "an outlet is there and sends nothing": (MUTE,),
    # the machine is too slow
    "decoding takes longer than a hop": (
        "system/test_stream_benchmarks.py::"
        "test_overload_counts_every_window_passed_over_and_shows_every_sample_to_the_pipeline",
        f"{DECODE}test_a_successor_decodes_what_the_dead_one_had_not_and_counts_what_it_had_not_counted",
    ),
    "decoding fell behind": (f"{DECODE}test_what_was_overwritten_before_it_was_decoded_is_said_counted_and_marked",),
    "flips come late": (f"{HEADLESS}test_refreshes_that_pass_while_the_machine_is_away_are_dropped_flips",),
    "the disk is slow": (
        f"{RECORDER}test_a_disk_that_stalls_for_five_seconds_loses_nothing_and_is_announced",
        f"{RECORDER}test_what_neither_memory_nor_ring_could_hold_is_counted_marked_and_begins_a_segment",
    ),
    "the disk will be full": (
        f"{RECORDER}test_a_disk_that_becomes_full_is_warned_of_an_hour_before",
        "control/test_shared_memory.py::test_check_says_how_long_the_disk_lasts_and_refuses_one_without_room",
        "io/files/test_space.py::test_a_disk_without_room_is_refused_in_words",
        ALARMS,
    ),
    "the disk is full": (
        f"{RECORDER}test_a_full_disk_ends_the_recording_with_what_is_safe_said",
        f"{RECORDER}test_a_disk_that_is_full_from_the_first_byte_is_said_and_no_file_of_nothing_is_left",
        f"{RECORDER}test_where_the_session_says_so_recording_goes_on_when_there_is_room_again",
    ),
    # what the operator's line says
    "NO DATA 12 s": (UNPLUGGED, f"{SILENT}test_a_source_that_is_silent_is_said_with_what_the_participant_sees"),
    "NO DATA yet": (f"{SILENT}test_a_stream_that_never_sent_anything_is_silent_from_the_beginning",),
    "TIME OF STREAM WRONG": (ALARMS,),
    "SLICE TIMES WRONG": (ALARMS,),
    "slice times of the first volume differ": (ALARMS,),
    "SECOND SOURCE": (ALARMS,),
    "MARKERS UNCERTAIN": (ALARMS,),
    "decode starts again": (ALARMS,),
    "decode SILENT": (ALARMS,),
    "record HAS FAILED": (ALARMS,),
    "LATCHED SAFE": (ALARMS, LATCHED),
    "3 channels masked": (ALARMS,),
    "HEAD LOST": (ALARMS,),
    "not read from volumes": (ALARMS,),
    "neutral by command": (ALARMS,),
    "no broker": (ALARMS,),
    "VALUES NOT PLAUSIBLE": (ALARMS,),
    "DISK REFUSES": (ALARMS,),
    "disk full in": (ALARMS,),
    "12 NOT RECORDED": (ALARMS,),
}  # fmt: skip

PRESENTER, RECORDED = (
    "stimuli/test_presenter.py::",
    (
        "system/test_session_recording.py::test_every_sample_decision_and_flip_of_a_session_is_in_its_recording"
    ),
)

#: By the first words of each sentence between the tables, the tests in which it is so.
SAID: dict[str, tuple[str, ...]] = {
    "Whatever breaks": (
        f"{PRESENTER}test_whatever_happens_a_picture_is_shown_only_while_every_rule_holds_and_never_twice",
        "stimuli/test_canvas.py::test_the_neutral_picture_is_the_background_and_the_fixation_target_alone",
    ),
    "An old picture never stands": (
        f"{PRESENTER}test_a_frame_on_the_screen_leaves_it_when_it_grows_old",
        f"{PRESENTER}test_a_program_is_trusted_up_to_its_limit_and_not_beyond",
    ),
    "The one exception is a display that hangs": PROVEN["display hanging"],
    "The operator is told at once": (
        UNPLUGGED, MUTE, "stimuli/test_preview.py::test_an_unplugged_amplifier_is_seen_in_the_preview_too",
        "cli/test_watch.py::test_an_unplugged_amplifier_is_the_first_thing_seen_and_its_last_picture_is_not",
    "control/page/test_moment.py::test_the_banner_has_the_colour_of_the_worst",
        "system/test_calibrate.py::test_cues_are_shown_while_a_stream_is_recorded_and_escape_ends_it",
    ),
    "What these lines mean": ("test_failures.py::test_every_line_of_the_code_has_its_row_on_the_page",),
    "Three places record": (RECORDED,),
    "the screen, and `shown.csv`": (RECORDED,),
    "the log, `log.txt`": (UNPLUGGED,),
    "the recording, `recording.xdf`": (RECORDED, KILLED),
    "and the exit status": ("test_failures.py::test_the_exit_statuses_are_those_of_the_code",),
    "When a stream is not found": (
        "control/test_surroundings.py::test_a_session_keeps_it_once_and_the_line_does_not_wait",
        "control/test_surroundings.py::test_what_may_hide_a_stream_is_said",
    ),
    "`bci doctor` says the same": (
        "control/test_surroundings.py::test_a_real_look_finds_this_machine_and_its_streams",
    ),
    "`bci certify CONFIG --faults`": (
        "system/test_several_streams.py::test_each_program_of_it_is_broken_and_what_must_be_seen_is_seen",
        "system/test_certify.py::test_a_decoder_that_is_killed_is_seen_as_the_table_says",
        "control/test_certification_breaking.py::"
        "test_one_program_is_killed_again_and_again_until_the_session_latches_and_that_is_watched",
    ),
    "It closes no terminal": (
        "system/test_several_streams.py::test_each_program_of_it_is_broken_and_what_must_be_seen_is_seen",
    ),
    "A program that dies is started again": (
        "control/test_crew.py::test_a_program_that_died_is_started_again_and_is_told_that_it_is_a_successor",
        "control/test_crew.py::test_a_program_whose_heart_has_stopped_is_killed_first",
        "control/test_crew.py::test_after_its_restarts_a_program_is_given_up_once",
    ),
    "The new program goes on": PROVEN["decode"],
    "After the last restart": (
        LATCHED, f"{PRESENTER}test_once_ordered_to_hold_neutral_nothing_else_is_shown",
        "control/test_supervisor.py::test_a_session_that_is_told_so_ends_at_once_where_another_is_latched",
    ),
    "The log says `latched safe": (
        LATCHED,
        "control/test_supervisor.py::"
        "test_a_program_given_up_latches_the_session_and_the_screen_is_ordered_to_hold",
    ),
    "A rig that has latched": (LATCHED,),
    "`bci verify SESSION`": (
        "io/files/test_verify.py::test_it_says_what_is_damaged_and_what_can_still_be_used",
        "io/files/test_verify.py::test_repair_saves_everything_else",
    ),
    "`bci reproduce SESSION`": (
        "session/test_reproduce.py::test_a_session_full_of_faults_is_equal_to_the_bit",
        "session/test_reproduce.py::test_a_forged_frame_is_noticed",
    ),
    "`marks.csv` lists": ("test_failures.py::test_every_kind_of_mark_that_tells_of_a_failure_stands_on_the_page",),
}  # fmt: skip


def lines() -> list[list[str]]:
    """Return the cells of every line of every table but its head."""
    found = []
    rows = PAGE.splitlines()
    for at, row in enumerate(rows):
        if row.startswith("|") and not row.startswith("|---") and not rows[at + 1].startswith("|---"):
            found.append([cell.strip() for cell in row.strip("|").split("|")])
    return found


def beginning(cells: list[str]) -> str:
    """Return a line's first cell as plain words; of an exit status with its word."""
    words = re.sub(r"[*`,|]", "", cells[0]).strip()
    return f"{words} {cells[1].strip('`')}" if words == "3" else words


def test_every_line_has_its_tests_and_no_test_is_of_a_line_that_is_gone() -> None:
    begun = [beginning(cells) for cells in lines()]
    assert len(begun) > 40
    of = {
        words: max((key for key in PROVEN if words.startswith(key)), key=len, default="") for words in begun
    }
    without = [words for words, key in of.items() if not key]
    assert not without, f"lines without tests: {without}"
    assert sorted(of.values()) == sorted(PROVEN), "a line is gone, or two lines have the tests of one"


@pytest.mark.parametrize("line", [*PROVEN, *SAID])
def test_the_tests_of_a_line_are_there(line: str) -> None:
    assert [place for place in (PROVEN | SAID)[line] if not is_there(place)] == []


def test_every_sentence_between_the_tables_has_its_tests() -> None:
    said = [sentence for block in blocks(PAGE) if isinstance(block, str) for sentence in sentences(block)]
    of = [next((words for words in SAID if sentence.startswith(words)), sentence) for sentence in said]
    assert [sentence for sentence in of if sentence not in SAID] == [], (
        "sentences that are not in SAID, with their tests"
    )
    assert sorted(of) == sorted(SAID), "a sentence is gone"


#: What stands for anything in words that are quoted: numbers, names of programs, three dots.
ANYTHING = re.compile(
    r"-?\d[\d.]*|…|'[^']*'|\b(acquire|decode|display|record|engine|render|publish|preview|page|broker|control|channels|yet|STREAM)\b"
)


#: Words that are the operating system's.
SYSTEM = ("No space left on device",)


def said() -> str:
    """Return all text of the code, with what is put into it left out."""
    texts = []
    for room in ("bci", "stimuli"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(re.sub(r"%[.\d]*[dsfg]|\{[^}]*\}", "…", node.value))
    return "\n".join(texts)


def test_the_words_that_the_page_quotes_of_log_and_line_are_the_code_s() -> None:
    """Each piece of a quotation, between numbers, names and signs, is looked for."""
    code = said()
    missing = []
    for cells in lines():
        quoted = (
            cells[2] if len(cells) == 5 else cells[0] if len(cells) == 3 and cells[0].startswith("`") else ""
        )
        for words in re.findall(r"`([^`]+)`", quoted):
            for piece in re.split(r"[:;,()]", ANYTHING.sub(",", words)):
                if len(piece.strip()) > 3 and piece.strip() not in code and piece.strip() not in SYSTEM:
                    missing.append((words, piece))
    assert not missing, f"the code says no such words: {missing}"


def test_the_exit_statuses_are_those_of_the_code() -> None:
    stated = {}
    for cells in lines():
        if cells[0] in ("0", "2", "3", "4") and cells[1].strip("`"):
            stated[cells[1].strip("`")] = int(cells[0])
    assert stated == dict(EXIT_STATUS)


#: Marks of what is in order: clocks compared, an epoch cut, data that come again after `stalled`, what operator and
#: experiment did.
IN_ORDER = {"begun", "clock_offset", "command", "epoch", "paused", "resumed", "swapped"}


def test_every_kind_of_mark_that_tells_of_a_failure_stands_on_the_page() -> None:
    kinds = {kind.name.lower() for kind in MarkKind}
    assert kinds >= IN_ORDER
    named = set(re.findall(r"`([a-z_]+)`", PAGE))
    assert kinds - IN_ORDER - named == set()


def lines_of_the_code() -> Iterator[str]:
    """Yield the words that never change of every line that an operator may be shown."""
    tree = ast.parse((ROOT / "bci" / "memory" / "alarms.py").read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Alarm":
            words = [part.value for part in ast.walk(node.args[1]) if isinstance(part, ast.Constant)]
            yield max((word.strip(": ") for word in words if isinstance(word, str)), key=len)


def test_every_line_of_the_code_has_its_row_on_the_page() -> None:
    of_the_code = list(lines_of_the_code())
    assert len(of_the_code) > 12
    rows = " ".join(cells[0] for cells in lines() if cells[0].startswith("`"))
    assert [words for words in of_the_code if words not in rows] == []
