//! Rules about single calls of built-in functions.

use super::Rule;

/// An argument, as far as it can be known without running anything.
pub(super) enum Argument {
    Text(String),
    Number(i64),
    Other,
}

/// Fewest arguments that make sense.
const NEEDED: [(&str, usize); 12] = [
    ("isPlainHostName", 1),
    ("dnsDomainIs", 2),
    ("localHostOrDomainIs", 2),
    ("dnsDomainLevels", 1),
    ("shExpMatch", 2),
    ("isResolvable", 1),
    ("dnsResolve", 1),
    ("isInNet", 3),
    ("isInNetEx", 2),
    ("weekdayRange", 1),
    ("dateRange", 1),
    ("timeRange", 1),
];

/// Built-in functions that may ask for an address.
const RESOLVING: [&str; 5] = [
    "isResolvable",
    "dnsResolve",
    "isInNet",
    "isResolvableEx",
    "dnsResolveEx",
];

/// What is wrong with a call.
pub(super) fn check(name: &str, arguments: &[Argument]) -> Vec<(Rule, String)> {
    let mut found = Vec::new();
    if let Some((_, needed)) = NEEDED.iter().find(|(known, _)| *known == name)
        && arguments.len() < *needed
    {
        let message = format!(
            "{name} needs {needed} arguments and gets {}",
            arguments.len()
        );
        found.push((Rule::MissingArgument, message));
    }
    let is_literal_address =
        matches!(arguments.first(), Some(Argument::Text(text)) if is_address(text));
    if RESOLVING.contains(&name) && !is_literal_address {
        let message = format!("{name} asks for an address, and each call may wait for it");
        found.push((Rule::Resolves, message));
    }
    let second = match arguments.get(1) {
        Some(Argument::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    match (name, second) {
        ("shExpMatch", Some(pattern)) => found.extend(pattern_problems(pattern)),
        ("dnsDomainIs", Some(domain)) if !domain.starts_with('.') => {
            let message = format!("`bad{domain}` ends in `{domain}` too: write `.{domain}`");
            found.push((Rule::DomainWithoutDot, message));
        }
        ("timeRange", _) => found.extend(never(arguments)),
        _ => {}
    }
    found
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

fn pattern_problems(pattern: &str) -> Vec<(Rule, String)> {
    let mut found = Vec::new();
    if pattern.contains(['\\', '^', '$', '|', '(', ')', '[', ']', '{', '}', '+']) {
        let message = format!(
            "`{pattern}` is taken for a regular expression, slowly; only * and ? are documented"
        );
        found.push((Rule::Pattern, message));
    }
    if let Some(rest) = pattern.strip_prefix("https://")
        && let Some((_, path)) = rest.split_once('/')
        && !path.trim_matches('*').is_empty()
    {
        let message =
            format!("of https the script sees `https://host/` alone: `{pattern}` never matches");
        found.push((Rule::PrivatePath, message));
    }
    found
}

/// Two hours do not go over midnight.
fn never(arguments: &[Argument]) -> Option<(Rule, String)> {
    let (from, to) = match arguments {
        [Argument::Number(from), Argument::Number(to)] => (from, to),
        [
            Argument::Number(from),
            Argument::Number(to),
            Argument::Text(zone),
        ] if zone == "GMT" => (from, to),
        _ => return None,
    };
    (from > to).then(|| {
        let message = format!(
            "timeRange({from}, {to}) is never true: write timeRange({from}, 0, {to}, 59), which \
             goes over midnight"
        );
        (Rule::NeverTrue, message)
    })
}
