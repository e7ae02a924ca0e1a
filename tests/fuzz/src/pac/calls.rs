//! Calls of built-in functions, each held against a second, plain implementation.

use fumehood_engine::fuzz::pac::PacInstance;
use fumehood_pac::{CallError, Finding, Target};

use super::{Place, tame, twin, wire_target};
use crate::glass::Shadow;

/// Most calls of an input: no more names than a call may have resolved.
const MAX_CALLS: usize = 16;

/// Longest argument, in bytes: what comes of it fits an alert.
const MAX_ARGUMENT_BYTES: usize = 400;

/// Tells what a call gives back, or that it threw.
const SAY: &str = "function say(f) { var x; try { x = JSON.stringify(f()) } \
                   catch (e) { x = 'threw' } alert(x) }";

/// A built-in function and what it is given.
pub(super) struct Call {
    pub(super) function: &'static str,
    pub(super) arguments: Vec<String>,
}

impl Call {
    /// None where a native evaluator would be busy for too long.
    fn read(piece: &[u8]) -> Option<Call> {
        let (function, arguments) = piece.split_first()?;
        let function = tame::FUNCTIONS[usize::from(*function) % tame::FUNCTIONS.len()];
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        let arguments: Vec<String> = arguments.split(|byte| *byte == 0).map(text).collect();
        let is_match = function == "shExpMatch";
        let most = match is_match && arguments.iter().any(|it| tame::is_special(it)) {
            true => tame::MAX_MATCHED_BYTES,
            false => MAX_ARGUMENT_BYTES,
        };
        let fits = arguments.iter().all(|it| it.len() <= most);
        let is_cheap = !is_match || arguments.iter().all(|it| tame::is_cheap(it));
        // What it says would be taken for what others do.
        let tells = function != "alert";
        (fits && is_cheap && tells).then_some(Call {
            function,
            arguments,
        })
    }

    /// As in source text, which writes texts as Rust does where they have no NUL.
    fn written(&self) -> String {
        let arguments: Vec<String> = self.arguments.iter().map(|it| format!("{it:?}")).collect();
        format!("{}({})", self.function, arguments.join(", "))
    }
}

/// Every call says what its twin says; and where one waits for a name, so does the whole,
/// and those before it are made again without it.
pub(super) fn run(pieces: &[&[u8]], place: Place, shadow: impl Fn() -> Shadow<PacInstance>) {
    let calls = pieces.iter().filter_map(|it| Call::read(it));
    let calls: Vec<Call> = calls.take(MAX_CALLS).collect();
    let waiting = |(at, call)| Some((at, twin::waits_for(call)?));
    let mut answered = calls.as_slice();
    if let Some((at, name)) = calls.iter().enumerate().find_map(waiting) {
        let found = find(&calls, place, shadow());
        assert_eq!(found, Err(CallError::Needs(name)));
        answered = &calls[..at];
    }
    assert_answers(answered, place, shadow());
}

/// None of the calls waits for a name.
fn assert_answers(calls: &[Call], place: Place, shadow: Shadow<PacInstance>) {
    let found = find(calls, place, shadow).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(found.alerts.len(), calls.len());
    for (call, said) in calls.iter().zip(&found.alerts) {
        if let Some(expected) = twin::says(call, place) {
            assert_eq!(*said, expected, "{}", call.written());
        }
    }
}

/// What comes of all calls, one behind the other.
fn find(
    calls: &[Call],
    place: Place,
    mut shadow: Shadow<PacInstance>,
) -> Result<Finding, CallError> {
    let said: String = calls
        .iter()
        .map(|it| format!("say(function() {{ return {} }});\n", it.written()))
        .collect();
    let script = format!("{SAY}\nfunction FindProxyForURL(url, host) {{\n{said}return 'DIRECT' }}");

    place.surround(&mut shadow);
    let (mut evaluator, moment) = (place.evaluator(), place.moment());
    shadow.ask(|it| it.load(script.as_bytes(), place.wire_moment()));
    let loaded = evaluator.load(script.as_bytes(), moment);
    shadow.compare(|| format!("{loaded:?}"));
    assert_eq!(loaded, Ok(()), "{script}");

    let target = Target {
        scheme: "http",
        host: "www.example.test",
        port: None,
        path: "/",
    };
    shadow.ask(|it| it.find(&wire_target(&target), place.wire_moment()));
    let found = evaluator.find(&target, moment);
    shadow.compare(|| format!("{found:?}"));
    found
}
