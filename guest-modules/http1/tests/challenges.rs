//! What servers and proxies want to be told.
#![allow(clippy::unwrap_used, reason = "a test")]

use fumehood_guest_http1::{Challenge, bounds, challenges};
use proptest::prelude::*;

/// As `scheme token {name=value …}`.
fn read(value: &str) -> Vec<String> {
    let show = |it: &Challenge| {
        let parameters: Vec<String> = it
            .parameters
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("{}|{}|{}", it.scheme, it.token, parameters.join("&"))
    };
    challenges(value.as_bytes()).iter().map(show).collect()
}

#[test]
fn nothing_is_made_of_what_is_malformed() {
    for value in [
        "",
        ",",
        " , ,",
        "=",
        "\"",
        "Basic=",
        "Basic realm=\"x",
        "Basic realm=\"x\\",
        "Basic realm",
        "Basic @",
        "Basic a=b c=d",
        "Basic\u{0}realm=x",
    ] {
        let read = read(value);
        assert!(
            read.is_empty() || read == ["basic|realm|"],
            "{value:?}: {read:?}"
        );
    }
    // What came before it counts.
    assert_eq!(read("Negotiate, Digest realm=\"x"), ["negotiate||"]);
}

#[test]
fn a_list_of_lists_is_told_apart() {
    assert_eq!(
        read(
            "Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\""
        ),
        [
            "newauth||realm=apps&type=1&title=Login to \"apps\"",
            "basic||realm=simple"
        ]
    );
    assert_eq!(
        read(" ,, NTLM , Negotiate YII+/a==,Digest Realm = \"a,b\" ,, qop=\"auth\" , Basic"),
        [
            "ntlm||",
            "negotiate|YII+/a==|",
            "digest||realm=a,b&qop=auth",
            "basic||"
        ]
    );
}

#[test]
fn there_is_an_end_to_them() {
    let many = "Basic a=b, ".repeat(100);
    assert_eq!(challenges(many.as_bytes()).len(), bounds::MAX_CHALLENGES);
    let wide = format!("Digest {}", "a=b, ".repeat(bounds::MAX_PARAMETERS + 1));
    assert!(challenges(wide.as_bytes()).is_empty());
    let fits = format!("Digest {}", "a=b, ".repeat(bounds::MAX_PARAMETERS));
    assert_eq!(challenges(fits.as_bytes()).len(), 1);
}

/// The host bounds what it is told by what came.
#[test]
fn bytes_that_are_no_text_do_not_grow() {
    let value = [&b"Basic realm=\"caf"[..], &[0xe9; 3000], b"\""].concat();
    let told = challenges(&value);
    assert_eq!(told[0].parameters[0].1, format!("caf{}", "?".repeat(3000)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_within_bounds(value in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut told = 0;
        for it in challenges(&value) {
            prop_assert!(!it.scheme.is_empty() && it.parameters.len() <= bounds::MAX_PARAMETERS);
            let parameters = it.parameters.iter().map(|(name, value)| name.len() + value.len());
            told += it.scheme.len() + it.token.len() + parameters.sum::<usize>();
        }
        prop_assert!(told <= value.len());
    }

    #[test]
    fn what_is_written_is_read(
        scheme in "[A-Za-z]{1,8}",
        parameters in proptest::collection::vec(("[a-z]{1,8}", "[ -~]{0,20}"), 1..8),
    ) {
        let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
        let list: Vec<String> = parameters.iter().map(|(n, v)| format!("{n}=\"{}\"", quoted(v))).collect();
        let read = challenges(format!("{scheme} {}, Basic", list.join(", ")).as_bytes());
        prop_assert_eq!(read.len(), 2);
        prop_assert_eq!(&read[0].parameters, &parameters);
    }
}
