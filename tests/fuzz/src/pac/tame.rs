//! Scripts that come to an end by themselves, and soon, told by their words.
//!
//! A guest has a deadline and a bound on its memory; a native evaluator has a bound on
//! each loop and on the depth of calls, which together still allow for more than a
//! fuzzer's patience. So a script is run only if what it has to do is bounded by its
//! length: it has no word for a loop; no list and no name of a member that is worked
//! out, so that it reaches the functions that it names and no others; and of what
//! multiplies (sums, a function of its own that it calls, searches) one kind at most.

/// Longest script that is run, in bytes: all of it may be one text.
pub(super) const MAX_RUN_BYTES: usize = 1024;

/// Longest text that is held against a regular expression, in bytes: it takes steps in
/// the third power of that.
pub(super) const MAX_MATCHED_BYTES: usize = 64;

/// Most sums of a script. Each may double a text, in each of the calls that share the
/// script's variables.
const MAX_SUMS: usize = 2;

/// Most places where a script calls a function of its own: what goes down in two of
/// them takes twice as long with each step.
const MAX_OWN_CALLS: usize = 1;

/// Most repetitions in a pattern that is a regular expression: each is one more place
/// to go back to.
const MAX_REPEATS: usize = 3;

/// The words that a tame script may have outside of its texts, beside those of one
/// letter, numbers, and those below.
const WORDS: [&str; 19] = [
    "FindProxyForURL",
    "FindProxyForURLEx",
    "break",
    "const",
    "default",
    "false",
    "finally",
    "function",
    "host",
    "length",
    "let",
    "net",
    "null",
    "proxy",
    "this",
    "try",
    "undefined",
    "url",
    "var",
];

/// Those that may stand before a bracket and call nothing.
const GUARDS: [&str; 10] = [
    "case",
    "catch",
    "else",
    "if",
    "in",
    "instanceof",
    "return",
    "switch",
    "throw",
    "typeof",
];

/// Those before whose blocks brackets stand.
const HEADS: [&str; 3] = ["catch", "if", "switch"];

/// Functions of texts: none makes more than three bytes of one.
const METHODS: [&str; 11] = [
    "charAt",
    "endsWith",
    "indexOf",
    "lastIndexOf",
    "slice",
    "startsWith",
    "substr",
    "substring",
    "toLowerCase",
    "toString",
    "toUpperCase",
];

/// What takes steps in the product of two lengths, or more.
const SEARCHES: [&str; 3] = ["indexOf", "lastIndexOf", "shExpMatch"];

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

/// Whether running a script comes to an end soon.
pub(super) fn is_tame(script: &str) -> bool {
    // Other ends of lines, and other comments than are known here.
    let is_plain = !script.contains(['\r', '\u{2028}', '\u{2029}']) && !script.contains("--");
    let Some((code, texts)) = split(script) else {
        return false;
    };
    // Templates, escapes in names, regular expressions, lists and computed members, and
    // functions without a name.
    let is_plain = is_plain
        && script.len() <= MAX_RUN_BYTES
        && code.is_ascii()
        && !code.contains(['`', '\\', '/', '['])
        && !code.contains("=>");
    let tokens = tokens(&code);
    let count = |words: &[&str]| tokens.iter().filter(|it| words.contains(it)).count();
    let Some(own_calls) = own_calls(&tokens) else {
        return false;
    };
    let sums = count(&["+"]);
    let searches = count(&SEARCHES);
    let kinds = [sums, own_calls, searches].into_iter().filter(|it| *it > 0);
    is_plain
        && tokens.iter().all(|it| is_known(it))
        && sums <= MAX_SUMS
        && own_calls <= MAX_OWN_CALLS
        && kinds.count() <= 1
        && (count(&["shExpMatch"]) == 0 || are_cheap(&texts))
}

fn is_known(token: &str) -> bool {
    !is_word(token)
        || token.len() == 1
        || token.bytes().all(|byte| byte.is_ascii_digit())
        || [&WORDS[..], &GUARDS, &METHODS, &FUNCTIONS]
            .iter()
            .any(|words| words.contains(&token))
}

/// How often a function is called that is none of PAC's or of a text's. None where one
/// could be called in another way than by its name, or a member be had in another.
fn own_calls(tokens: &[&str]) -> Option<usize> {
    let at = |index: Option<usize>| index.and_then(|it| tokens.get(it)).copied();
    // Brackets that are open, and whether a block follows them.
    let (mut own_calls, mut open, mut names) = (0, Vec::new(), Vec::new());
    for (index, token) in tokens.iter().enumerate() {
        let (before, behind) = (at(index.checked_sub(1)), at(Some(index + 1)));
        let fits = match *token {
            // A declaration, and no value that something else could call.
            "function" => {
                let name = behind.filter(|it| is_own_name(it))?;
                names.push(name);
                matches!(before, None | Some(";" | "{" | "}"))
            }
            "(" => {
                let of = before.unwrap_or(";");
                let declared = at(index.checked_sub(2)) == Some("function");
                let known = [&GUARDS[..], &METHODS, &FUNCTIONS];
                let is_known = !is_word(of) || known.iter().any(|it| it.contains(&of));
                own_calls += usize::from(!declared && !is_known);
                open.push(declared || HEADS.contains(&of));
                !matches!(of, ")" | "}" | "." | "''")
            }
            // Without such a head, it were a member that is a function.
            ")" => open.pop()? || behind != Some("{"),
            // What takes members out of what it is given.
            "{" => open.last() != Some(&true),
            "}" => behind != Some("="),
            // As a value it could make the text of what it belongs to.
            it => before != Some(".") || !METHODS.contains(&it) || behind == Some("("),
        };
        fits.then_some(())?;
    }
    let mut places = tokens.iter().enumerate();
    let is_called =
        |(index, it): (usize, &&str)| !names.contains(it) || tokens.get(index + 1) == Some(&"(");
    places.all(is_called).then_some(own_calls)
}

/// Whether a function may have that name: none that others are known by.
fn is_own_name(token: &str) -> bool {
    (is_word(token) && token.len() == 1) || token.starts_with("FindProxyForURL")
}

fn is_word(token: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_$".contains(&byte);
    token.bytes().all(letter)
}

/// Words, and signs one by one but for what counts up.
fn tokens(code: &str) -> Vec<&str> {
    let (mut tokens, mut rest) = (Vec::new(), code.trim_start());
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|it: char| !(it.is_ascii_alphanumeric() || "_$".contains(it)));
        let length = match word.unwrap_or(rest.len()) {
            0 if rest.starts_with("++") || rest.starts_with("''") => 2,
            0 => first.len_utf8(),
            word => word,
        };
        let (token, behind) = rest.split_at(length);
        tokens.push(token);
        rest = behind.trim_start();
    }
    tokens
}

/// Whether they may be texts and patterns of one another.
fn are_cheap(texts: &[&str]) -> bool {
    // An escape could hide a letter of theirs.
    let is_plain = |it: &&str| !it.contains('\\') && is_cheap(it);
    let is_short = |it: &&str| it.len() <= MAX_MATCHED_BYTES;
    texts.iter().all(is_plain)
        && (texts.iter().all(is_short) || !texts.iter().any(|it| is_special(it)))
}

/// Whether a pattern is a regular expression.
pub(super) fn is_special(pattern: &str) -> bool {
    pattern.contains(['\\', '^', '$', '|', '(', ')', '[', ']', '{', '}', '+'])
}

/// Whether matching a pattern takes no more than steps in the third power of the text's
/// length.
pub(super) fn is_cheap(pattern: &str) -> bool {
    let repeats = pattern.matches(['*', '+', '{']).count();
    let of_groups = [")*", ")+", "){", ")?"];
    !is_special(pattern)
        || repeats <= MAX_REPEATS && !of_groups.iter().any(|it| pattern.contains(it))
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
            "''['const' + 'ructor']",
            "`${x}`",
            "/(a*)*b/.test(url)",
            "wh\\u0069le (true);",
            "'no end",
            "// \rwhile (true);",
            "<!-- '\nwhile (true); // '",
        ] {
            assert!(!is_tame(script), "{script}");
        }
    }

    #[test]
    fn what_multiplies_is_not_tame() {
        for script in [
            // Calls: by name, of one another, of members, and by conversion.
            "function f(n) { if (n) { f(n - 1); f(n - 1) } } f(30)",
            "function f(n) { g(n) } function g(n) { f(n) }",
            "x = { f(n) { this.f(n); } }",
            "x = { toString() { return x == 1 } }",
            "function f() { return x == 1 } x = { toString: f }",
            "x = { toString: function f() { return x == 1 } }",
            "x = { toString: () => x == 1 }",
            "x = { toString: ''.substring }; alert(x)",
            "let { 'substring': s } = ''; alert({ toString: s })",
            "function f({ 'constructor': c }) { return c }",
            "function alert(n) { alert(n); alert(n) }",
            "(function () {})()",
            // Texts and lists that grow.
            "function f(a) { return f(a + a) } f('x')",
            "x = x + x; x = x + x; x = x + x;",
            "x += x; x += x; x += x;",
            "x = []; x.length = 4294967295; alert(x)",
            "x = [x, x]; x = [x, x]; alert(x)",
            // Searches, in what has grown and by what goes back.
            "x = x + x; alert(x.indexOf(x))",
            "shExpMatch(url, '(a*)*b')",
            "shExpMatch(url, '(a*' + ')*b')",
            "shExpMatch(url, '(a*\\x29*b')",
            "function f() { shExpMatch(url, '*a*b'); f() }",
        ] {
            assert!(!is_tame(script), "{script}");
        }
        let long = format!("shExpMatch('{}', '[a]*a*a*')", "a".repeat(100));
        assert!(!is_tame(&long), "{long}");
        assert!(!is_tame(&" ".repeat(MAX_RUN_BYTES + 1)));
    }

    #[test]
    fn what_real_scripts_do_is_tame() {
        for script in [
            "function FindProxyForURL(url, host) { return 'PROXY while:80' }",
            "// for\nvar x = /* do */ 5;",
            "if (shExpMatch(host, '(*.a|b).test')) return 'its';",
            "x = url.substring(0, 5) == 'http:' ? \"DIRECT\" : null",
            "function f(a) { return 'it\\'s' } function FindProxyForURL(url, h) { return f(h) }",
            "function FindProxyForURL(url, host) { n++; return 'PROXY ' + host + ':1' }",
        ] {
            assert!(is_tame(script), "{script}");
        }
    }
}
