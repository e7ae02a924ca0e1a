//! Scripts as a whole: looked over, and run if they are tame.

use std::cell::Cell;
use std::rc::Rc;

use fumehood_engine::fuzz::pac::PacInstance;
use fumehood_pac::bounds::{
    MAX_ALERT_BYTES, MAX_ALERTS, MAX_ERROR_BYTES, MAX_NAMES, MAX_STEP_BYTES, MAX_STEPS,
};
use fumehood_pac::{
    Answer, CallError, Evaluator, Explained, Finding, LoadError, MAX_REMARKS, Remark, Rule, Target,
    Thrown, lint,
};

use super::{Place, answer, tame, wire_target};
use crate::glass::Shadow;

/// Longest script that is looked at, in bytes: what it takes to nest brackets as deep
/// as the stack is good for.
const MAX_SCRIPT_BYTES: usize = 2048;

/// What a script is asked about.
const HOSTS: [&str; 2] = ["www.example.test", "plain"];

/// A script is looked over and, where it comes to an end by itself, run: whatever it
/// does, what comes of it is within bounds and goes the same way twice.
pub(super) fn run(script: &[u8], place: Place, shadow: Shadow<PacInstance>) {
    if script.len() > MAX_SCRIPT_BYTES {
        return;
    }
    let mut run = Run::new(script, place, shadow);
    let is_script = run.look_over();
    if is_run(script) {
        run.drive(is_script);
    }
}

/// The same for a script that is known to come to an end.
pub(super) fn run_through(script: &[u8], place: Place, shadow: Shadow<PacInstance>) {
    let mut run = Run::new(script, place, shadow);
    let is_script = run.look_over();
    run.drive(is_script);
}

/// Whether a script comes to an end by itself.
pub(super) fn is_run(script: &[u8]) -> bool {
    str::from_utf8(script).is_ok_and(tame::is_tame)
}

/// A script under way.
struct Run<'a> {
    script: &'a [u8],
    place: Place,
    shadow: Shadow<PacInstance>,
    evaluator: Evaluator,
    /// Names that it has asked for.
    asked: Rc<Cell<usize>>,
}

impl<'a> Run<'a> {
    fn new(script: &'a [u8], place: Place, mut shadow: Shadow<PacInstance>) -> Run<'a> {
        place.surround(&mut shadow);
        let asked = Rc::default();
        Run {
            script,
            place,
            shadow,
            evaluator: place.counting(&asked),
            asked,
        }
    }

    /// Whether `lint` takes it for a script.
    fn look_over(&mut self) -> bool {
        self.shadow.ask(|it| it.lint(self.script));
        let remarks = lint(self.script);
        self.shadow.compare(|| remarks_text(&remarks));
        check_remarks(&remarks);
        !remarks.iter().any(|it| it.rule == Rule::Syntax)
    }

    fn drive(&mut self, is_script: bool) {
        let loaded = self.load(self.script);
        // The evaluator finds more of what is none, as names that there are already.
        assert!(loaded.is_err() || is_script, "only lint refuses it");
        self.asked.take();
        let explained = self.explain(HOSTS[0]);
        let names = self.asked.take();
        let first = self.find(HOSTS[0]);
        if loaded.is_err() {
            assert_eq!(first, Err(CallError::NotLoaded));
        }
        // It has the names of the top level too: so what is one too many is another.
        if names < MAX_NAMES {
            assert_alike(&first, &explained.outcome);
        }
        let other = self.find(HOSTS[1]);
        if loaded.is_ok() && other.is_err() {
            self.finds_again(&other);
        }
        if first.is_err() || other.is_err() {
            self.takes_another();
        }
    }

    fn load(&mut self, script: &[u8]) -> Result<(), LoadError> {
        let at = self.place.wire_moment();
        self.shadow.ask(|it| it.load(script, at));
        let loaded = self.evaluator.load(script, self.place.moment());
        self.shadow.compare(|| format!("{loaded:?}"));
        check_load(&loaded);
        loaded
    }

    fn explain(&mut self, host: &str) -> Explained {
        let (target, at) = (target(host), self.place.wire_moment());
        self.shadow.ask(|it| it.explain(&wire_target(&target), at));
        let explained = self.evaluator.explain(&target, self.place.moment());
        self.shadow.compare(|| explained_text(&explained));
        check_explained(&explained);
        explained
    }

    fn find(&mut self, host: &str) -> Result<Finding, CallError> {
        let (target, at) = (target(host), self.place.wire_moment());
        self.shadow.ask(|it| it.find(&wire_target(&target), at));
        let found = self.evaluator.find(&target, self.place.moment());
        self.shadow.compare(|| outcome_text(&found));
        check_outcome(&found);
        found
    }

    /// However the last call failed, the next one has the script and, where that may
    /// have left disorder, nothing else: as what is explained.
    fn finds_again(&mut self, failed: &Result<Finding, CallError>) {
        let again = self.find(HOSTS[1]);
        assert_ne!(again, Err(CallError::NotLoaded), "the script was lost");
        if let Err(CallError::Limit(_)) = failed {
            assert_eq!(again, self.explain(HOSTS[1]).outcome);
        }
    }

    /// Whatever the last script did, the next one works.
    fn takes_another(&mut self) {
        let next = b"function FindProxyForURL(url, host) { return 'DIRECT' }";
        assert_eq!(self.load(next), Ok(()));
        let found = self.find(HOSTS[0]);
        assert!(found.is_ok(), "{found:?}");
    }
}

fn target(host: &str) -> Target<'_> {
    Target {
        scheme: "http",
        host,
        port: Some(8080),
        path: "/a/b?c=d",
    }
}

/// A call that is explained comes to what one that is not does, but for the alerts and
/// the names of the top level.
fn assert_alike(found: &Result<Finding, CallError>, explained: &Result<Finding, CallError>) {
    match (found, explained) {
        (Ok(found), Ok(explained)) => {
            assert_eq!(found.proxies, explained.proxies);
            assert_eq!(found.skipped, explained.skipped);
        }
        (Err(found), Err(explained)) => assert_eq!(found, explained),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("{found:?} and, explained, {explained:?}"),
    }
}

fn check_text(text: &str, most: usize) {
    assert!(text.len() <= most, "{} bytes", text.len());
    assert!(!text.contains(char::is_control), "{text:?}");
}

fn check_thrown(thrown: &Thrown) {
    check_text(&thrown.message, MAX_ERROR_BYTES);
    let from_one = thrown
        .position
        .is_none_or(|(line, column)| line > 0 && column > 0);
    assert!(from_one, "{thrown:?}");
}

fn check_load(loaded: &Result<(), LoadError>) {
    match loaded {
        Err(LoadError::Syntax(it) | LoadError::Script(it)) => check_thrown(it),
        Err(LoadError::Limit(why)) => check_text(why, MAX_ERROR_BYTES),
        Err(LoadError::TooLong) => panic!("it is not"),
        Ok(()) | Err(LoadError::Needs(_) | LoadError::NoFunction) => {}
    }
}

fn check_outcome(outcome: &Result<Finding, CallError>) {
    let found = match outcome {
        Ok(found) => found,
        Err(CallError::Script(it)) => return check_thrown(it),
        Err(CallError::Limit(text) | CallError::NoProxy(text)) => {
            return check_text(text, MAX_ERROR_BYTES);
        }
        Err(CallError::Target(why)) => panic!("it is one: {why}"),
        Err(_) => return,
    };
    assert!(!found.proxies.is_empty());
    answer::check(&Answer {
        proxies: found.proxies.clone(),
        skipped: found.skipped.clone(),
    });
    assert!(found.alerts.len() <= MAX_ALERTS && found.names.len() <= MAX_NAMES);
    for alert in &found.alerts {
        check_text(alert, MAX_ALERT_BYTES);
    }
}

fn check_explained(explained: &Explained) {
    check_outcome(&explained.outcome);
    assert!(explained.steps.len() <= MAX_STEPS);
    for step in &explained.steps {
        check_text(&step.arguments, MAX_STEP_BYTES);
        check_text(&step.answer, MAX_STEP_BYTES);
    }
}

fn check_remarks(remarks: &[Remark]) {
    assert!(remarks.len() <= MAX_REMARKS);
    for remark in remarks {
        check_text(&remark.message, MAX_ERROR_BYTES);
        let from_one = remark
            .position
            .is_none_or(|(line, column)| line > 0 && column > 0);
        assert!(from_one, "{remark:?}");
    }
}

/// As `wit/pac` tells it: where it differs from what the library does.
fn outcome_text(outcome: &Result<Finding, CallError>) -> String {
    match outcome {
        Err(CallError::Target(why)) => format!("Err(Target({:?}))", why.to_string()),
        other => format!("{other:?}"),
    }
}

fn explained_text(explained: &Explained) -> String {
    let Explained {
        outcome,
        steps,
        earlier_steps,
    } = explained;
    let outcome = outcome_text(outcome);
    format!("Explained {{ outcome: {outcome}, steps: {steps:?}, earlier_steps: {earlier_steps} }}")
}

fn remarks_text(remarks: &[Remark]) -> String {
    let remark = |it: &Remark| {
        let (rule, severity) = (it.rule.name(), it.rule.severity());
        let (position, message) = (it.position, &it.message);
        format!(
            "Remark {{ rule: {rule:?}, severity: {severity:?}, position: {position:?}, \
             message: {message:?} }}"
        )
    };
    let all: Vec<String> = remarks.iter().map(remark).collect();
    format!("[{}]", all.join(", "))
}
