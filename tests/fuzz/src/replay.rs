//! An input once more, natively and behind glass, and what came of it.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;

use fumehood_engine::fuzz::Ended;

use crate::{Target, glass};

/// What an input came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is wrong, natively and behind glass where there is any.
    Survived,
    /// Native code that no guest's glass protects panicked.
    Panicked {
        /// The panic's words.
        native: String,
    },
    /// The guest panicked natively, and the same call ended it behind glass:
    /// one connection would have been lost, or resumed.
    Contained {
        /// The native panic's words.
        native: String,
        /// What the engine saw.
        glass: Ended,
    },
    /// Native code or a comparison failed, and behind glass nothing ended.
    Differs {
        /// The panic's words.
        native: String,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Survived => f.write_str("survived"),
            Outcome::Panicked { native } => write!(f, "native: {native}\nglass:  it has none"),
            Outcome::Contained { native, glass } => {
                write!(f, "native: {native}\nglass:  contained: {glass}")
            }
            Outcome::Differs { native } => {
                write!(f, "native: {native}\nglass:  the guest answered and lives")
            }
        }
    }
}

/// Runs an input of a target natively, then with its guest behind glass.
#[must_use]
pub fn replay(target: &Target, input: &[u8]) -> Outcome {
    let native = caught(target.run, input);
    let Some(beside) = target.beside_glass else {
        return match native {
            None => Outcome::Survived,
            Some(native) => Outcome::Panicked { native },
        };
    };
    let both = caught(beside, input);
    let end = glass::take_end();
    match (native.or(both), end) {
        (None, None) => Outcome::Survived,
        (Some(native), Some(glass)) => Outcome::Contained { native, glass },
        (Some(native), None) => Outcome::Differs { native },
        (None, Some(glass)) => Outcome::Differs {
            native: format!("survived, and behind glass the guest ended: {glass}"),
        },
    }
}

/// One at a time: the hook that catches a panic's words is the process's.
static ONE: Mutex<()> = Mutex::new(());

/// The words and place of the panic that an input causes, if it does.
pub fn caught(run: impl Fn(&[u8]), input: &[u8]) -> Option<String> {
    let _one = ONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let words = std::sync::Arc::new(Mutex::new(String::new()));
    let hook = panic::take_hook();
    let heard = std::sync::Arc::clone(&words);
    panic::set_hook(Box::new(move |info| {
        let mut words = heard
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *words = info.to_string().replace('\n', " ");
    }));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(input)));
    panic::set_hook(hook);
    let words = words
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    outcome.is_err().then(|| words.clone())
}
