//! What is asked for is what a policy judged: the same bytes, whatever a person wrote.

mod rig;

use fumehood_policy::Host;
use proptest::prelude::*;
use rig::*;

/// Labels of all kinds: what browsers map, what they refuse, and what they take.
fn written() -> impl Strategy<Value = String> {
    let label = prop_oneof![
        "[a-zA-Z0-9_-]{1,20}",
        "[a-zA-Z0-9ß-öİıΣ中文ａ-ｚ]{1,8}",
        "(%[0-9a-f]{2}|[a-z]){1,6}",
        "xn--[a-z0-9]{1,8}",
        "[!-~]{1,6}",
    ];
    let dot = prop_oneof![Just("."), Just("。"), Just("．")];
    let labels = proptest::collection::vec((label, dot), 1..5);
    (labels, any::<bool>()).prop_map(|(labels, ends)| {
        let mut text: String = labels
            .iter()
            .map(|(it, dot)| format!("{it}{dot}"))
            .collect();
        if !ends {
            text.pop();
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// The engine hands a judged name over as it prints; what servers are asked for
    /// is that name, but for the case of its letters (0x20).
    #[test]
    fn servers_are_asked_for_the_name_that_was_judged(text in written()) {
        let Ok(host @ Host::Name(_)) = Host::parse(&text) else {
            return Ok(());
        };
        let judged = host.to_string();
        let last = judged.rsplit('.').next().unwrap_or_default();
        // Nobody is asked for these (RFC 6761, RFC 7686).
        prop_assume!(!["localhost", "invalid", "onion"].contains(&last));
        let mut rig = Rig::new(&config(1));
        let id = rig.ask(&judged, A_RECORDS);
        let sent = rig.sent();
        // What no server could be asked for is told to be so. Hosts are not such.
        let host_like = |it: &str| it.starts_with(|first: char| first.is_ascii_alphanumeric());
        if sent.is_empty() && !judged.split('.').all(host_like) {
            prop_assert!(matches!(rig.outcome(id), Some(Err(_))), "{}", judged);
            return Ok(());
        }
        prop_assert_eq!(sent.len(), 1, "{}", judged);
        let [query] = &sent[0].message.queries[..] else {
            return Err(TestCaseError::fail("not one question"));
        };
        let labels: Vec<&[u8]> = query.name().iter().collect();
        let asked = labels.join(&b'.').to_ascii_lowercase();
        prop_assert_eq!(asked, judged.into_bytes());
    }
}
