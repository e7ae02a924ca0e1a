//! Holds one script and answers calls: load, then find, any number of times.

use std::rc::Rc;

use crate::bounds::{MAX_ANSWER_BYTES, MAX_ERROR_BYTES, MAX_SCRIPT_BYTES};
use crate::builtins::Noted;
use crate::call::{Shared, Step};
use crate::engine::{Ended, Engine};
use crate::text::{bounded, decode};
use crate::{Answer, CallError, LoadError, Proxy, Resolve, Surroundings, Target};

/// The functions that may choose, in the order they are looked for. Scripts
/// that know IPv6 define the first, beside the second for older clients.
const ENTRY_POINTS: [&str; 2] = ["FindProxyForURLEx", "FindProxyForURL"];

/// When a call is made, and its luck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since the Unix epoch. The script's clock stands here.
    pub now: i64,
    /// What `Math.random` goes by: the same seed, the same numbers.
    pub seed: u64,
}

/// What a call found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// To be tried in this order; never empty.
    pub proxies: Vec<Proxy>,
    /// Entries of the answer that are none.
    pub skipped: Vec<String>,
    /// What the script said by `alert`.
    pub alerts: Vec<String>,
    /// How many alerts beyond the bound it made.
    pub dropped_alerts: u32,
    /// Names that were resolved for it, whether found or not.
    pub names: Vec<String>,
    /// How often it asked for names beyond the bound.
    pub refused_names: u32,
}

/// A call, and how it came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// What [`Evaluator::find`] would say.
    pub outcome: Result<Finding, CallError>,
    /// The functions of ours that the script called, its top level's first; the
    /// latest [`MAX_STEPS`](crate::bounds::MAX_STEPS).
    pub steps: Vec<Step>,
    /// How many there were before those.
    pub earlier_steps: u32,
}

/// One script, warm.
///
/// Calls share the script's own globals and nothing else, as in browsers.
pub struct Evaluator {
    shared: Rc<Shared>,
    /// `None` before the first script, and after one that failed to load.
    loaded: Option<Loaded>,
}

struct Loaded {
    script: String,
    /// `None` after an end that may have left the context in disorder. The
    /// next call makes another.
    engine: Option<Engine>,
}

impl std::fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluator")
            .field("loaded", &self.loaded.is_some())
            .finish_non_exhaustive()
    }
}

impl Evaluator {
    /// Without a script yet.
    #[must_use]
    pub fn new(resolver: impl Resolve + 'static) -> Self {
        Self {
            shared: Rc::new(Shared::new(Box::new(resolver))),
            loaded: None,
        }
    }

    /// Says where it runs. Holds for the calls to come.
    pub fn surround(&mut self, surroundings: Surroundings) {
        self.shared.surroundings.replace(surroundings);
    }

    /// Takes a script in place of the one before: UTF-8, or else Latin-1.
    ///
    /// # Errors
    /// [`LoadError`]; then there is no script.
    pub fn load(&mut self, script: &[u8], moment: Moment) -> Result<(), LoadError> {
        self.loaded = None;
        if script.len() > MAX_SCRIPT_BYTES {
            return Err(LoadError::TooLong);
        }
        let script = decode(script);
        self.shared.patterns.take();
        self.shared.begin(moment.now, moment.seed);
        let engine = self.start(&script)?;
        self.loaded = Some(Loaded {
            script,
            engine: Some(engine),
        });
        Ok(())
    }

    /// Asks the script which proxies to try for a target.
    ///
    /// # Errors
    /// [`CallError`]. After any of them the next call works.
    pub fn find(&mut self, target: &Target<'_>, moment: Moment) -> Result<Finding, CallError> {
        let url = target.shown()?;
        self.shared.begin(moment.now, moment.seed);
        let loaded = self.loaded.take().ok_or(CallError::NotLoaded)?;
        let mut engine = match loaded.engine {
            Some(engine) => Ok(engine),
            // It loaded before, so what fails now is the script's doing.
            None => self.start(&loaded.script).map_err(CallError::from),
        };
        let outcome = match &mut engine {
            Ok(engine) => self.ask(engine, &url, target.host),
            Err(error) => Err(error.clone()),
        };
        let in_order = !matches!(outcome, Err(CallError::Limit(_)));
        self.loaded = Some(Loaded {
            script: loaded.script,
            engine: engine.ok().filter(|_| in_order),
        });
        outcome
    }

    /// As [`Evaluator::find`], and says what the script called on the way. It
    /// runs in a context of its own: globals are as the script's top level
    /// leaves them, and what it changes is gone after the call.
    #[must_use]
    pub fn explain(&mut self, target: &Target<'_>, moment: Moment) -> Explained {
        let outcome = self.run_apart(target, moment);
        let (steps, earlier_steps) = self.shared.take_steps();
        Explained {
            outcome,
            steps,
            earlier_steps,
        }
    }

    fn run_apart(&mut self, target: &Target<'_>, moment: Moment) -> Result<Finding, CallError> {
        let url = target.shown()?;
        self.shared.begin(moment.now, moment.seed);
        let loaded = self.loaded.as_ref().ok_or(CallError::NotLoaded)?;
        let mut engine = self.begin(&loaded.script, Noted::Calls)?;
        self.ask(&mut engine, &url, target.host)
    }

    fn start(&self, script: &str) -> Result<Engine, LoadError> {
        self.begin(script, Noted::Nothing)
    }

    fn begin(&self, script: &str, noted: Noted) -> Result<Engine, LoadError> {
        let failed = |ended| self.load_error(ended);
        let mut engine = Engine::new(&self.shared, noted).map_err(failed)?;
        engine.run(script).map_err(failed)?;
        match engine.function(&ENTRY_POINTS).map_err(failed)? {
            Some(_) => Ok(engine),
            None => Err(LoadError::NoFunction),
        }
    }

    fn load_error(&self, ended: Ended) -> LoadError {
        match ended {
            Ended::Threw(thrown) if thrown.message.starts_with("SyntaxError") => {
                LoadError::Syntax(thrown)
            }
            Ended::Threw(thrown) => LoadError::Script(thrown),
            Ended::Stopped(why) => match self.shared.end().needs {
                Some(name) => LoadError::Needs(name),
                None => LoadError::Limit(why),
            },
        }
    }

    fn ask(&self, engine: &mut Engine, url: &str, host: &str) -> Result<Finding, CallError> {
        let failed = |ended| CallError::from(self.load_error(ended));
        let function = engine.function(&ENTRY_POINTS).map_err(failed)?;
        let function = function.ok_or(CallError::NoFunction)?;
        let value = engine.call(&function, [url, host]).map_err(failed)?;
        let mut notes = self.shared.end();
        // An async function makes a promise even of what none can catch.
        if let Some(name) = notes.needs.take() {
            return Err(CallError::Needs(name));
        }
        let text = value
            .as_string()
            .ok_or_else(|| CallError::NotAString(value.type_of()))?;
        if text.len() > MAX_ANSWER_BYTES {
            return Err(CallError::AnswerTooLong);
        }
        let text = text.to_std_string_lossy();
        if !text.is_ascii() {
            return Err(CallError::NotAscii);
        }
        let answer = Answer::parse(&text);
        if answer.proxies.is_empty() {
            return Err(CallError::NoProxy(bounded(&text, MAX_ERROR_BYTES)));
        }
        Ok(Finding {
            proxies: answer.proxies,
            skipped: answer.skipped,
            alerts: std::mem::take(&mut notes.alerts),
            dropped_alerts: notes.dropped_alerts,
            refused_names: notes.refused_names,
            names: notes.into_names(),
        })
    }
}

impl From<LoadError> for CallError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Syntax(thrown) | LoadError::Script(thrown) => CallError::Script(thrown),
            LoadError::Limit(why) => CallError::Limit(why),
            LoadError::Needs(name) => CallError::Needs(name),
            LoadError::NoFunction => CallError::NoFunction,
            LoadError::TooLong => CallError::NotLoaded,
        }
    }
}
