//! The least that a test harness must do.
#![expect(clippy::print_stdout, reason = "a harness prints")]

use std::panic::catch_unwind;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Longest that one test may take; all of them are over in seconds.
const LIMIT: Duration = Duration::from_secs(60);

type Body = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// A test's name and how it begins.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    name: &'static str,
    body: Body,
}

/// An entry of a table.
pub(crate) const fn test(name: &'static str, body: Body) -> Test {
    Test { name, body }
}

/// Runs the tests whose names contain the first argument, if there is one.
pub(crate) fn run(tests: &[Test]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = arguments.iter().find(|it| !it.starts_with('-'));
    let chosen: Vec<&Test> = tests
        .iter()
        .filter(|test| filter.is_none_or(|filter| test.name.contains(&**filter)))
        .collect();
    if arguments.iter().any(|it| it == "--list") {
        for test in chosen {
            println!("{}: test", test.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let begun = Instant::now();
    let failed = chosen.iter().filter(|test| !passes(test)).count();
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {} passed; {failed} failed; 0 ignored; 0 measured; \
         {} filtered out; finished in {:.2}s\n",
        chosen.len() - failed,
        tests.len() - chosen.len(),
        begun.elapsed().as_secs_f64(),
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs one test on a runtime of its own, which takes all its tasks with it.
fn passes(test: &Test) -> bool {
    let outcome = catch_unwind(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let ended = runtime.block_on(async {
            // In the runtime's context: a body may spawn.
            tokio::time::timeout(LIMIT, (test.body)()).await
        });
        assert!(ended.is_ok(), "still not over after {} s", LIMIT.as_secs());
    });
    // The panic's words are on standard error already.
    let word = if outcome.is_ok() { "ok" } else { "FAILED" };
    println!("test {} ... {word}", test.name);
    outcome.is_ok()
}
