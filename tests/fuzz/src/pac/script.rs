//! Scripts as a whole: looked over, and run if they are tame.

use fumehood_engine::fuzz::pac::{self as wire, PacInstance};
use fumehood_pac::bounds::{
    MAX_ALERT_BYTES, MAX_ALERTS, MAX_ERROR_BYTES, MAX_NAMES, MAX_STEP_BYTES, MAX_STEPS,
};
use fumehood_pac::{
    Answer, CallError, Evaluator, Explained, Finding, LoadError, MAX_REMARKS, Remark, Rule, Target,
    Thrown, lint,
};

use super::{Place, answer, tame};
use crate::glass::Shadow;

/// Longest script that is looked at, in bytes: what it takes to nest brackets as deep
/// as the stack is good for.
const MAX_SCRIPT_BYTES: usize = 2048;

/// Most brackets of a script that is looked at behind glass too. Some 500 of them, each
/// in the other, are too deep for the guest's stack, and a trap; a native one goes on.
const MAX_BRACKETS: usize = 256;

/// What a script is asked about.
const HOSTS: [&str; 2] = ["www.example.test", "plain"];

/// A script is looked over and, where it comes to an end by itself, run: whatever it
/// does, what comes of it is within bounds and goes the same way twice.
pub(super) fn run(lines: &[&[u8]], place: Place, mut shadow: Shadow<PacInstance>) {
    let script = lines.join(&b'\n');
    if script.len() > MAX_SCRIPT_BYTES {
        return;
    }
    let brackets = script.iter().filter(|it| b"([{".contains(it)).count();
    if brackets > MAX_BRACKETS {
        shadow = Shadow::none();
    }
    place.surround(&mut shadow);
    shadow.ask(|it| it.lint(&script));
    let remarks = lint(&script);
    shadow.compare(|| remarks_text(&remarks));
    check_remarks(&remarks);
    if !is_run(&script) {
        return;
    }
    let is_script = !remarks.iter().any(|it| it.rule == Rule::Syntax);
    Run {
        script: &script,
        place,
        is_script,
        shadow,
    }
    .drive();
}

/// Whether a script comes to an end by itself.
pub(super) fn is_run(script: &[u8]) -> bool {
    str::from_utf8(script).is_ok_and(tame::is_tame)
}

/// A script under way.
struct Run<'a> {
    script: &'a [u8],
    place: Place,
    /// By what `lint` says.
    is_script: bool,
    shadow: Shadow<PacInstance>,
}

impl Run<'_> {
    fn drive(&mut self) {
        let mut evaluator = self.place.evaluator();
        let moment = self.place.moment();
        let at = wire::Moment {
            now: moment.now,
            seed: moment.seed,
        };
        self.shadow.ask(|it| it.load(self.script, at));
        let loaded = evaluator.load(self.script, moment);
        self.shadow.compare(|| format!("{loaded:?}"));
        check_load(&loaded);
        assert!(loaded.is_err() || self.is_script, "only lint refuses it");

        let explained = evaluator.explain(&target(HOSTS[0]), moment);
        self.shadow.ask(|it| it.explain(&wire_target(HOSTS[0]), at));
        self.shadow.compare(|| explained_text(&explained));
        check_explained(&explained);

        let first = self.find(&mut evaluator, HOSTS[0]);
        if loaded.is_err() {
            assert_eq!(first, Err(CallError::NotLoaded));
        }
        assert_alike(&first, &explained.outcome);
        let other = self.find(&mut evaluator, HOSTS[1]);
        if first.is_err() || other.is_err() {
            works(&mut evaluator, self.place);
        }
    }

    fn find(&mut self, evaluator: &mut Evaluator, host: &str) -> Result<Finding, CallError> {
        let moment = self.place.moment();
        let at = wire::Moment {
            now: moment.now,
            seed: moment.seed,
        };
        self.shadow.ask(|it| it.find(&wire_target(host), at));
        let found = evaluator.find(&target(host), moment);
        self.shadow.compare(|| outcome_text(&found));
        check_outcome(&found);
        found
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

fn wire_target(host: &str) -> wire::Target {
    let Target {
        scheme,
        host,
        port,
        path,
    } = target(host);
    wire::Target {
        scheme: scheme.to_owned(),
        host: host.to_owned(),
        port,
        path: path.to_owned(),
    }
}

/// Whatever the last script did, the next one works.
fn works(evaluator: &mut Evaluator, place: Place) {
    let next = b"function FindProxyForURL(url, host) { return 'DIRECT' }";
    assert_eq!(evaluator.load(next, place.moment()), Ok(()));
    let found = evaluator.find(&target(HOSTS[0]), place.moment());
    assert!(found.is_ok(), "{found:?}");
}

/// A call that is explained comes to what one that is not does: but that the top level
/// counts as part of it, with its alerts and its names.
fn assert_alike(found: &Result<Finding, CallError>, explained: &Result<Finding, CallError>) {
    match (found, explained) {
        (Ok(found), Ok(explained)) if explained.refused_names == 0 => {
            assert_eq!(found.proxies, explained.proxies);
            assert_eq!(found.skipped, explained.skipped);
        }
        (Ok(_), Ok(_)) => {}
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
