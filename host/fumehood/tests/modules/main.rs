//! Modules of a running engine: real processes, real components.
//!
//! The engine is this very program, executed again, so it has its own main. A
//! word as argument runs only the tests whose names contain it.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stdout, reason = "a test harness of its own")]

mod admin;
mod crash;
mod directory;
mod limits;
mod live;
mod setting;

use std::panic::catch_unwind;
use std::process::ExitCode;

use setting::Setting;

type Test = (&'static str, fn(&Setting));

const TESTS: [Test; 21] = [
    (
        "a_file_becomes_current_and_goes_back",
        live::a_file_becomes_current_and_goes_back,
    ),
    ("code_is_made_once", live::code_is_made_once),
    ("damaged_code_is_made_anew", live::damaged_code_is_made_anew),
    (
        "without_a_compiler_it_says_so",
        live::without_a_compiler_it_says_so,
    ),
    (
        "what_the_engine_refuses_changes_nothing",
        live::what_the_engine_refuses_changes_nothing,
    ),
    (
        "only_what_is_trusted_is_loaded",
        live::only_what_is_trusted_is_loaded,
    ),
    (
        "a_new_engine_has_what_the_old_one_had",
        live::a_new_engine_has_what_the_old_one_had,
    ),
    (
        "two_at_once_leave_one_whole_file",
        live::two_at_once_leave_one_whole_file,
    ),
    (
        "what_is_put_into_the_directory_is_taken",
        directory::what_is_put_there_is_taken,
    ),
    (
        "what_is_put_there_becomes_current_if_asked",
        directory::becomes_current_if_asked,
    ),
    (
        "what_is_refused_is_listed",
        directory::what_is_refused_is_listed,
    ),
    (
        "what_is_deleted_from_the_directory_is_withdrawn",
        directory::what_is_deleted_is_withdrawn,
    ),
    (
        "no_scheme_is_unknown_for_a_rest",
        directory::no_scheme_is_unknown_for_a_rest,
    ),
    (
        "what_changes_in_a_rest_is_not_lost",
        directory::what_changes_in_a_rest_is_not_lost,
    ),
    (
        "a_driver_goes_with_its_files",
        directory::a_driver_goes_with_its_files,
    ),
    (
        "a_compiler_s_processor_time_is_a_limit_by_name",
        limits::processor_time,
    ),
    ("a_compiler_s_memory_is_a_limit_by_name", limits::memory),
    ("a_compiler_s_time_is_a_limit_by_name", limits::time),
    ("all_commands_over_the_admin_socket", admin::all_commands),
    ("odd_lines_get_an_answer", admin::odd_lines_get_an_answer),
    (
        "a_crash_is_reported_and_replayed",
        crash::is_reported_and_replayed,
    ),
];

fn main() -> ExitCode {
    fumehood::init();
    let filter = std::env::args()
        .nth(1)
        .filter(|word| !word.starts_with('-'))
        .unwrap_or_default();
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(&filter)) {
        let passed = catch_unwind(|| test(&Setting::new())).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += u8::from(!passed);
    }
    ExitCode::from(failed)
}
