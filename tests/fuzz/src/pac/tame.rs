//! Scripts that come to an end by themselves, told by their words.
//!
//! A guest has a deadline and a bound on its memory; a native evaluator has a bound on
//! each loop and on recursion, which together still allow for more than a fuzzer's
//! patience. So a script is run only if it has no way to loop or to grow: it has no
//! word for a loop, no function that repeats or evaluates, and few sums and backward
//! searches.

/// The words that a tame script may have outside of its texts, beside those of one
/// letter, numbers, and the functions of PAC.
const WORDS: [&str; 42] = [
    "FindProxyForURL",
    "FindProxyForURLEx",
    "break",
    "case",
    "catch",
    "charAt",
    "const",
    "default",
    "else",
    "endsWith",
    "false",
    "finally",
    "function",
    "host",
    "if",
    "in",
    "indexOf",
    "instanceof",
    "lastIndexOf",
    "length",
    "let",
    "net",
    "new",
    "null",
    "proxy",
    "return",
    "slice",
    "startsWith",
    "substr",
    "substring",
    "switch",
    "this",
    "throw",
    "toLowerCase",
    "toString",
    "toUpperCase",
    "true",
    "try",
    "typeof",
    "undefined",
    "url",
    "var",
];

/// The functions of PAC, by the first byte of a call.
pub const FUNCTIONS: [&str; 20] = [
    "isPlainHostName",
    "dnsDomainIs",
    "localHostOrDomainIs",
    "dnsDomainLevels",
    "shExpMatch",
    "isResolvable",
    "dnsResolve",
    "isInNet",
    "myIpAddress",
    "isResolvableEx",
    "dnsResolveEx",
    "myIpAddressEx",
    "isInNetEx",
    "sortIpAddressList",
    "convert_addr",
    "getClientVersion",
    "weekdayRange",
    "dateRange",
    "timeRange",
    "alert",
];

/// Most sums of a script: each may double a text.
const MAX_SUMS: usize = 10;

/// Most functions of the script's own: of those that call each other twice, a dozen
/// make thousands of calls.
const MAX_FUNCTIONS: usize = 4;

/// Most repetitions in a pattern that is a regular expression: each is one more place
/// to go back to.
const MAX_REPEATS: usize = 3;

/// Whether running a script comes to an end soon.
pub(super) fn is_tame(script: &str) -> bool {
    let Some((code, texts)) = split(script) else {
        return false;
    };
    let is_word = |it: &&str| {
        it.len() <= 1
            || it.bytes().all(|byte| byte.is_ascii_digit())
            || WORDS.contains(it)
            || FUNCTIONS.contains(it)
    };
    let words = || code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$'));
    let count = |word: &str| words().filter(|it| *it == word).count();
    // Other ends of lines, and other comments than are known here.
    !script.contains(['\r', '\u{2028}', '\u{2029}'])
        && !script.contains("--")
        && code.is_ascii()
        && words().filter(|it| !it.is_empty()).all(|it| is_word(&it))
        // Templates, escapes in names, and regular expressions.
        && !code.contains(['`', '\\', '/'])
        && code.matches('+').count() <= MAX_SUMS
        && count("function") + code.matches("=>").count() <= MAX_FUNCTIONS
        && texts.iter().all(|it| is_tame_text(it))
}

/// A text that neither names what makes functions of text, nor is a pattern that takes
/// long.
fn is_tame_text(text: &str) -> bool {
    !text.contains("constructor") && is_cheap(text)
}

/// Whether matching a pattern takes no more than steps in the third power of the text's
/// length.
pub(super) fn is_cheap(pattern: &str) -> bool {
    if !pattern.contains(['\\', '^', '$', '|', '(', ')', '[', ']', '{', '}', '+']) {
        return true;
    }
    let repeats = pattern.matches(['*', '+', '{']).count();
    let of_groups = [")*", ")+", "){", ")?"];
    repeats <= MAX_REPEATS && !of_groups.iter().any(|it| pattern.contains(it))
}

/// A script's code without comments, with `''` in the place of each text, and its
/// texts as written. None if a text has no end.
fn split(script: &str) -> Option<(String, Vec<&str>)> {
    let (mut code, mut texts, mut rest) = (String::new(), Vec::new(), script);
    while let Some(first) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix("//") {
            rest = behind.split_once('\n').map_or("", |(_, behind)| behind);
            code.push('\n');
        } else if let Some(behind) = rest.strip_prefix("/*") {
            rest = behind.split_once("*/")?.1;
            code.push(' ');
        } else if matches!(first, '\'' | '"') {
            let behind = &rest[1..];
            let end = end_of_text(behind, first)?;
            texts.push(&behind[..end]);
            code.push_str("''");
            rest = &behind[end + 1..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    Some((code, texts))
}

/// Where a text ends that this quotation mark began.
fn end_of_text(text: &str, mark: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, it)| {
        let is_end = it == mark && !escaped;
        escaped = it == '\\' && !escaped;
        is_end.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_is_not_tame() {
        for script in [
            "while (true);",
            "for (;;);",
            "x.repeat(9)",
            "eval('while (true);')",
            "''['constructor']",
            "`${x}`",
            "/(a*)*b/.test(url)",
            "wh\\u0069le (true);",
            "shExpMatch(url, '(a*)*b')",
            "'no end",
            "// \rwhile (true);",
            "<!-- '\nwhile (true); // '",
            "x = x + x; x = x + x; x = x + x; x = x + x; x = x + x; x = x + x;
             x = x + x; x = x + x; x = x + x; x = x + x; x = x + x;",
        ] {
            assert!(!is_tame(script), "{script}");
        }
    }

    #[test]
    fn what_real_scripts_do_is_tame() {
        for script in [
            "function FindProxyForURL(url, host) { return 'PROXY while:80' }",
            "// for\nvar x = /* do */ 5;",
            "if (shExpMatch(host, '(*.a|b).test')) return 'it\\'s';",
            "x = url.substring(0, 5) == 'http:' ? \"DIRECT\" : null",
        ] {
            assert!(is_tame(script), "{script}");
        }
    }
}
