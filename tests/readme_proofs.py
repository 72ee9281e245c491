"""What each sentence of README rests on: the tests that try it, or a command that stands in README itself.

A new sentence gets a line here, by its first words: ``file of tests::test``, or ``$ command``. Rows of tables need
none: their command stands in them, or above the table.
"""

LIVE = "system/test_same_live_and_offline.py::"
DIE = "system/test_when_things_die.py::"
BROWSER = "system/test_page_in_a_browser.py::"
KILLED = f"{DIE}test_whoever_is_killed_or_frozen_is_started_again_and_the_pictures_come_back"
LATCHED = f"{DIE}test_after_the_last_restart_the_session_is_latched_safe_until_it_is_ended"
RECORDED = (
    "system/test_session_recording.py::test_every_sample_decision_and_flip_of_a_session_is_in_its_recording"
)
DEMO = "system/test_demo.py::test_the_demo_closes_the_loop_and_says_what_it_was_worth_without_any_trainer"
PRESENTER = "stimuli/test_presenter.py::"
TRUSTED = f"{PRESENTER}test_a_program_is_trusted_up_to_its_limit_and_not_beyond"
RANDOM_SCRIPTS = (
    f"{PRESENTER}test_whatever_happens_a_picture_is_shown_only_while_every_rule_holds_and_never_twice"
)
TURNS = "memory/test_turns.py::test_a_program_and_the_threads_it_starts_take_the_turns_that_the_kernel_grants"
EVERY_INTERVAL = "session/test_latency.py::test_every_interval_has_its_planted_length_and_count"
README = "test_readme.py::"
LINKS = f"{README}test_every_link_leads_to_a_file_of_the_project"
RUN_DEMO = "$ python3 run.py demo"
REAL_DEMO = "$ bci demo --recording S001R02.edf --headless"
STREAMS = "$ python -m benchmarks.stream_latency --contenders floor,ours,mne-lsl,ezmsg,ezmsg-leaky --markdown"

PROVEN: dict[str, tuple[str, ...]] = {
    "A real-time brain–computer interface": (
        f"{LIVE}test_samples_latents_and_images_are_equal_at_real_time",
        "stimuli/test_headless.py::test_each_frame_is_on_the_screen_at_the_next_flip",
        EVERY_INTERVAL,
    ),
    "Both set themselves up": (RUN_DEMO, "$ python3 run.py test"),
    "Python 3.11 or newer": (f"{README}test_what_python_and_which_licence_is_so",),
    # the demo
    "Result of the demo": (RUN_DEMO,),
    "A generator draws faces": (
        DEMO,
        "stimuli/test_participant_at_the_screen.py::test_live_answers_are_those_to_the_flips_of_the_real_loop",
        "models/test_hyper_insilico.py::test_single_trials_of_pictures_never_trained_on_are_identified",
    ),
    "The line treats the simulated EEG": (
        "system/test_closed_loop.py::test_every_stimulus_is_flipped_decoded_fed_back_recorded_and_reproduced",
        f"{README}test_no_program_of_the_line_asks_whether_what_it_gets_is_simulated",
    ),
    "In the run above": (RUN_DEMO,),
    "That ratio is four times": (
        "$ --snr 0.1", f"{README}test_the_demo_is_four_times_as_clear_as_the_participant_is_by_default",
    ),
    "With `--snr 0` the participant": (
        "$ --snr 0",
        "sim/test_electrodes.py::test_an_snr_of_zero_leaves_the_background_alone",
        "models/test_hyper_insilico.py::test_the_headline_of_a_session_says_whether_there_was_information",
    ),
    "An answer much clearer": (
        "$ --snr 1.2", "$ --snr 2",
        "models/test_trust.py::"
        "test_an_answer_several_times_as_strong_as_in_training_is_refused_though_its_shape_is_the_same",
    ),
    "docs/closed-loop.md says how to run it": (LINKS, "$ bci evaluate"),
    # real EEG
    "Real EEG driving the picture": (REAL_DEMO,),
    "Two public recordings of one adult": (REAL_DEMO,),
    "From eight occipital electrodes": (
        f"{README}test_what_the_bundle_that_reads_people_wants_is_said",
        "models/test_training.py::test_the_committed_demo_bundle_fits_its_promises",
        "models/test_eye.py::test_the_iris_disappears_as_the_lids_close_and_never_comes_back",
    ),
    "Under each picture": ("stimuli/test_contact_sheet.py::test_a_tile_says_what_was_decoded",),
    "Until the filters have settled": (
        "decoder/test_onnx_decoder.py::test_an_unsettled_window_is_invalid", TRUSTED,
        "stimuli/test_headless.py::test_going_to_neutral_and_leaving_it_is_logged_once_each", KILLED,
    ),
    # what it promises
    "The same live and offline": (f"{LIVE}test_samples_latents_and_images_are_equal_at_real_time",),
    "One piece of code cuts windows": (
        "signal/test_chunking.py::test_a_start_at_any_sample_keeps_the_grid_and_the_settled_values",
    ),
    "The tests play a recording": (
        f"{LIVE}test_samples_latents_and_images_are_equal_at_real_time",
        f"{LIVE}test_samples_latents_and_images_of_a_whole_file_are_equal_at_ten_times_its_speed",
    ),
    "Every reconstruction carries its times": (
        EVERY_INTERVAL, RECORDED,
        "decoder/test_confidence.py::test_a_decoder_that_claims_none_has_none",
        "stimuli/test_contact_sheet.py::test_a_decoder_without_a_confidence_is_labelled_none",
    ),
    "The screen is safe by itself": (RANDOM_SCRIPTS,),
    "The display shows the neutral picture": (
        TRUSTED, RANDOM_SCRIPTS,
        f"{PRESENTER}test_an_invalid_frame_hides_the_valid_one_before_it",
        f"{PRESENTER}test_a_frame_is_shown_up_to_its_age_limit_and_not_beyond",
    ),
    "A program that dies is started again": (KILLED,),
    "One that crashes or hangs": (KILLED, LATCHED),
    "What each failure looks like": (
        "test_failures.py::test_every_line_has_its_tests_and_no_test_is_of_a_line_that_is_gone",
    ),
    "`bci certify --faults` breaks": (
        "system/test_certify.py::test_a_decoder_that_is_killed_is_seen_as_the_table_says",
        "system/test_several_streams.py::test_each_program_of_it_is_broken_and_what_must_be_seen_is_seen",
    ),
    "Nothing is lost in silence": (
        RECORDED, "test_failures.py::test_every_kind_of_mark_that_tells_of_a_failure_stands_on_the_page",
    ),
    "Windows = reconstructions + skipped": (
        KILLED, RECORDED,
        "stimuli/test_headless.py::test_every_frame_ends_as_shown_superseded_or_withheld",
        "stimuli/test_headless.py::test_refreshes_that_pass_while_the_machine_is_away_are_dropped_flips",
        "io/files/test_verify.py::test_two_hundred_of_two_hundred_flipped_bytes_are_found_where_pyxdf_finds_next_to_none",
        "session/test_reproduce.py::test_a_session_full_of_faults_is_equal_to_the_bit",
    ),
    # published systems
    "Each row's figures are on data": (LINKS,),
    "One minute of each state": (f"{README}test_relative_alpha_power_alone_does_as_well",),
    "`bci train configs/alpha-train.toml": ("$ bci train configs/alpha-train.toml --out models/bundles/alpha",),
    # how fast
    "Measured on shared virtual machines": (STREAMS,),
    "Trust the ratios": (STREAMS,),
    "Newest sample pushed": (STREAMS,),
    "Ours runs with the compiled hop": (LINKS, STREAMS),
    "`python -m benchmarks.stream_latency": (STREAMS,),
    "Ours is two processes": (STREAMS, LINKS),
    "The targets set for this table": (STREAMS, f"{README}test_what_is_said_of_the_table_of_latencies_stands_in_it"),
    "With everything on": ("$ python -m benchmarks.stream_latency --contenders floor,line",),
    "The last takes short turns": (TURNS, LINKS),
    "Every figure there is": (LINKS,),
    # using it
    "`bci run configs/demo.toml --control --page` serves": (
        f"{BROWSER}test_sixteen_channels_are_drawn_where_a_person_sees_them",
        "control/page/test_live.py::test_pictures_words_and_times_are_those_of_the_rings",
    ),
    "It needs no network": (
        f"{BROWSER}test_no_request_leaves_the_pages_own_host",
        f"{DIE}test_nothing_that_dies_or_hangs_beside_the_line_changes_what_is_seen",
    ),
    "A finished session opens in it too": (
        "control/page/test_recorded_page.py::"
        "test_signals_are_those_that_were_sent_up_to_the_time_that_is_shown",
    ),
    "The first of `bci certify": ("$ bci certify configs/demo.toml --faults",),
    "Each has `--help`": ("cli/test_usage.py::test_each_command_explains_itself_and_offers_json",),
    "Exit status": (f"{README}test_exit_statuses_are_those_of_a_session",),
    "From nothing to a closed loop": (
        "$ bci train configs/hyper-insilico-train.toml --out models/bundles/hyper-insilico",
    ),
    "The first of the page that": ("$ bci evaluate models/bundles/hyper-insilico",),
    "`bci compare": (
        "models/test_comparison.py::test_readouts_are_ranked_beside_baselines_and_the_oracle",
        "models/test_comparison.py::test_a_second_comparison_computes_nothing_and_says_the_same",
        "models/test_units.py::test_a_local_cluster_gives_the_same_numbers",
        "models/test_units.py::test_jobs_of_a_queue_compute_units_and_a_deadly_one_is_named",
    ),
    "`bci compare --systems`": (
        "models/test_systems_table.py::test_every_reader_stands_beside_baselines_its_best_and_the_oracle",
        "models/test_systems_table.py::test_a_system_of_a_few_lines_takes_part_and_one_that_cannot_learn_says_why",
    ),
    "Training needs the extra": (
        "test_house.py::test_a_machine_that_runs_experiments_needs_no_torch",
        f"{README}test_what_python_and_which_licence_is_so",
        "models/test_trust.py::test_every_shipped_bundle_tells_novelty_and_beats_chance",
    ),
    # with your own
    "With your own pictures and recordings": (
        "models/test_events.py::test_the_recording_of_a_session_of_ours_is_trained_on_as_it_lies",
    ),
    "`[experiment]` shows the pictures": (
        "stimuli/test_experiment.py::test_a_stimulus_is_on_the_screen_from_the_first_flip_in_its_time_to_the_last",
        "stimuli/test_protocols.py::test_text_shows_every_word_as_often_in_an_order_that_the_seed_fixes",
        "system/test_protocols_that_react.py::"
        "test_latents_are_drawn_shown_and_recorded_and_a_renderer_that_hangs_is_replaced",
        "system/test_window.py::test_every_change_of_picture_is_a_marker_with_the_stamp_of_its_flip",
    ),
    "`bci train` makes a decoder of classes": (
        "models/test_events.py::test_the_recording_of_a_session_of_ours_is_trained_on_as_it_lies",
        "models/test_events.py::test_a_planted_response_is_found_and_averages_tell_more",
        "models/test_numbers.py::test_a_planted_number_is_read_of_windows_held_out",
    ),
    "It draws a bar for each": (
        "models/test_own_sessions.py::test_a_class_is_drawn_as_a_picture_of_the_user_s",
        "models/test_steered_classes.py::test_a_decoder_of_classes_draws_with_a_generator_and_still_gives_classes",
    ),
    "Where a generator drew what was shown": (
        "models/test_own_pictures.py::test_pictures_that_were_not_fitted_on_are_told_and_drawn_by_the_bundle",
    ),
    "The bundles of that sort": (
        f"{README}test_the_bundles_that_draw_what_was_seen_are_three_and_of_a_simulated_subject",
    ),
    "With your amplifier": (LINKS, "$ bci check configs/amplifier.toml"),
    "Start its LSL program": (
        "$ bci streams",
        "cli/test_rehearsal.py::test_the_example_of_one_source_id_finds_its_streams_and_completes_them",
    ),
    "A bundle says which channels": ("decoder/test_matching.py::test_every_difference_is_named",),
    "Of those that read people": (
        f"{README}test_what_the_bundle_that_reads_people_wants_is_said",
        "models/test_calibration.py::test_the_shipped_file_can_be_read_and_fits_the_shipped_bundle",
    ),
    "With your screen": (f"{README}test_the_keys_for_a_screen_and_a_card_are_those_of_a_session_file",),
    "`[display]` in the session file": (f"{README}test_the_keys_for_a_screen_and_a_card_are_those_of_a_session_file",),
    "A flip stamp is the buffer swap": ("session/test_photodiode.py::test_what_nobody_measured_is_said_to_be_unknown",),
    "With a GPU": (f"{README}test_the_keys_for_a_screen_and_a_card_are_those_of_a_session_file",),
    "`python3 run.py --gpu setup` installs": (
        "test_run_script.py::test_what_was_installed_for_a_card_is_not_overwritten_with_what_is_for_processors",
        "decoder/test_cuda.py::test_the_doctor_says_whether_a_card_is_used",
        f"{README}test_the_keys_for_a_screen_and_a_card_are_those_of_a_session_file",
        "control/test_doctor.py::test_two_onnx_runtimes_in_one_folder_are_a_problem",
    ),
    "Then set `provider": (
        f"{README}test_the_keys_for_a_screen_and_a_card_are_those_of_a_session_file",
        "decoder/test_cuda.py::test_what_runs_on_a_card_says_what_it_took_and_that_it_repeats",
    ),
    "Where CUDA is not there": (
        "decoder/test_onnx_decoder.py::test_cuda_where_it_is_not_is_an_error",
        "decoder/test_onnx_decoder.py::test_a_library_that_claims_cuda_and_runs_on_the_cpu_is_an_error",
    ),
    "Not run on a card yet": ("$ python -m benchmarks.gpu",),
    "With your own experiment": (
        "stimuli/test_own_protocol.py::test_a_file_beside_the_session_file_is_a_protocol_with_settings_of_its_own",
    ),
    "Pictures in blocks, imagery": (
        "stimuli/test_protocols.py::test_every_protocol_has_settings_a_module_and_an_example",
        "system/test_tutorial.py::test_the_protocol_of_the_tutorial_is_checked_run_and_leaves_what_the_page_says",
    ),
    "More:": (LINKS,),
    "How it is built": (LINKS,),
    "The tests look for sample recordings": (f"{README}test_without_sample_recordings_tests_are_skipped_loudly",),
    "Licence: BSD": (f"{README}test_what_python_and_which_licence_is_so",),
    "The bundle `alpha` was trained on": (f"{README}test_the_bundles_say_on_which_recordings_they_were_trained",),
}  # fmt: skip
