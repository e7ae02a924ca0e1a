//! The sandbox, tried on real children: this program runs itself in roles.
//!
//! Run by root, every test runs a second time with children of an ordinary
//! user. A word as argument runs only the tests whose names contain it.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test harness of its own"
)]

mod broker;
mod engine;
mod message;
mod roles;

use std::env;
use std::os::unix::process::CommandExt;
use std::panic::catch_unwind;
use std::process::{Child, Command, ExitCode};

use fumehood_sandbox::{Channel, NOBODY};
use message::Note;

/// Whose children they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    /// Of whoever runs the test.
    Myself,
    /// Of an ordinary user, which only root can have.
    Nobody,
}

type Test = (&'static str, fn(User));

const TESTS: [Test; 14] = [
    (
        "every_attack_ends_as_it_must",
        engine::every_attack_ends_as_it_must,
    ),
    (
        "attacks_work_where_nothing_holds",
        engine::attacks_work_where_nothing_holds,
    ),
    ("every_layer_holds", engine::every_layer_holds),
    (
        "the_work_of_an_engine_gets_done",
        engine::the_work_of_an_engine_gets_done,
    ),
    (
        "nothing_inherited_is_left",
        engine::nothing_inherited_is_left,
    ),
    (
        "entering_late_or_twice_is_refused",
        engine::entering_late_or_twice_is_refused,
    ),
    (
        "a_missing_layer_is_refused_with_a_remedy",
        engine::a_missing_layer_is_refused_with_a_remedy,
    ),
    (
        "less_than_all_still_has_the_floor",
        engine::less_than_all_still_has_the_floor,
    ),
    (
        "an_engine_outlives_no_embedder",
        engine::an_engine_outlives_no_embedder,
    ),
    ("sealing_is_quick", engine::sealing_is_quick),
    (
        "a_broker_resolves_dials_and_passes",
        broker::resolves_dials_and_passes,
    ),
    ("a_broker_does_nothing_else", broker::does_nothing_else),
    ("a_broker_has_its_layers", broker::has_its_layers),
    ("no_descriptor_leaks", engine::no_descriptor_leaks),
];

fn main() -> ExitCode {
    let argument = env::args().nth(1).unwrap_or_default();
    if let Some(role) = argument.strip_prefix("role:") {
        return roles::play(role);
    }
    let filter = if argument.starts_with('-') {
        String::new()
    } else {
        argument
    };
    let mut users = vec![User::Myself];
    if rustix::process::geteuid().is_root() {
        users.push(User::Nobody);
    }
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(&filter)) {
        for &user in &users {
            let passed = catch_unwind(|| test(user)).is_ok();
            println!(
                "test {name} ({user:?}) ... {}",
                if passed { "ok" } else { "FAILED" }
            );
            failed += usize::from(!passed);
        }
    }
    println!("{failed} failed");
    ExitCode::from(u8::from(failed > 0))
}

/// This program in a role, by a path that any user can follow.
fn command(role: &str, user: User) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(format!("role:{role}")).env_clear();
    if user == User::Nobody {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Starts a role with a channel as its standard input.
fn start(role: &str, user: User) -> (Child, Channel<Note, Note>) {
    let (ours, theirs) = Channel::pair().unwrap();
    let child = command(role, user).stdin(theirs.into_fd()).spawn().unwrap();
    (child, ours)
}
