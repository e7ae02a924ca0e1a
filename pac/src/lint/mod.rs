//! What is wrong with a script before anybody runs it.
//!
//! A script is parsed, never run. Like an evaluation this belongs in the
//! guest: it parses text that a stranger may have written.

mod calls;
mod scan;

use boa_ast::scope::Scope;
use boa_interner::Interner;
use boa_parser::{Parser, Source};

use crate::bounds::{MAX_ERROR_BYTES, MAX_SCRIPT_BYTES};
use crate::text::{bounded, decode, position_in_words};

/// Most remarks on one script. Who has seen these will look at the rest.
pub const MAX_REMARKS: usize = 200;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The script cannot be used.
    Error,
    /// It does something else than its author means.
    Warning,
    /// It works, at a price.
    Note,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// Longer than [`MAX_SCRIPT_BYTES`].
    TooLong,
    /// Not JavaScript.
    Syntax,
    /// Defines neither `FindProxyForURL` nor `FindProxyForURLEx`.
    NoFunction,
    /// Calls what is neither defined in it nor built in.
    UnknownFunction,
    /// Calls a built-in function with fewer arguments than it needs.
    MissingArgument,
    /// A pattern with characters of regular expressions: browsers take it for
    /// one, the documentation does not.
    Pattern,
    /// A pattern for the path of an https URL, which scripts are not shown.
    PrivatePath,
    /// `dnsDomainIs` with a domain that has no leading dot: other domains end
    /// alike.
    DomainWithoutDot,
    /// A range of time that can never be.
    NeverTrue,
    /// `SOCKS`, which means version 4.
    SocksVersion,
    /// An answer with an entry that is none.
    Answer,
    /// Asks for a name's address: each such call may wait for the network.
    Resolves,
}

impl Rule {
    /// How bad it is.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::TooLong | Self::Syntax | Self::NoFunction => Severity::Error,
            Self::SocksVersion | Self::Resolves => Severity::Note,
            _ => Severity::Warning,
        }
    }

    /// Its name, for people and for machines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::Syntax => "syntax",
            Self::NoFunction => "no-function",
            Self::UnknownFunction => "unknown-function",
            Self::MissingArgument => "missing-argument",
            Self::Pattern => "pattern",
            Self::PrivatePath => "private-path",
            Self::DomainWithoutDot => "domain-without-dot",
            Self::NeverTrue => "never-true",
            Self::SocksVersion => "socks-version",
            Self::Answer => "answer",
            Self::Resolves => "resolves",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What it is.
    pub rule: Rule,
    /// Line and column, counted from 1, where it has a place.
    pub position: Option<(u32, u32)>,
    /// What it is about and what to do, in a sentence.
    pub message: String,
}

impl Remark {
    fn new(rule: Rule, position: Option<(u32, u32)>, message: &str) -> Self {
        Self {
            rule,
            position,
            message: bounded(message, MAX_ERROR_BYTES),
        }
    }
}

/// Looks a script over: at most [`MAX_REMARKS`], in the order of the text.
#[must_use]
pub fn lint(script: &[u8]) -> Vec<Remark> {
    if script.len() > MAX_SCRIPT_BYTES {
        let message = format!("it has more than {MAX_SCRIPT_BYTES} bytes, and will not be loaded");
        return vec![Remark::new(Rule::TooLong, None, &message)];
    }
    let text = decode(script);
    let mut interner = Interner::default();
    let parsed =
        Parser::new(Source::from_bytes(&text)).parse_script(&Scope::new_global(), &mut interner);
    let script = match parsed {
        Ok(script) => script,
        Err(error) => {
            let message = error.to_string();
            let position = position_in_words(&message);
            return vec![Remark::new(Rule::Syntax, position, &message)];
        }
    };
    let mut found = scan::scan(&script, &interner);
    found.sort_by_key(|remark| (remark.position, remark.rule));
    found.truncate(MAX_REMARKS);
    found
}
