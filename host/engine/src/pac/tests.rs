//! The guest as it ships, under limits and under attack.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::{Arc, OnceLock};

use super::bindings::exports::fumehood::pac::evaluator::{
    CallError, Finding, LoadError, Moment, Proxy, Surroundings, Target, Transition,
};
use super::module::PacModule;
use super::script::Script;
use super::state::Known;
use super::worker::STACK_BYTES;
use crate::instance::Fault;
use crate::registry::{Limits, Registry, Version, fixtures};
use crate::tls::Anchors;

/// Monday, 2026-09-21 14:13:20 UTC.
const AT: Moment = Moment {
    now: 1_790_000_000_000,
    seed: 7,
};

fn version() -> &'static Arc<Version<PacModule>> {
    static LOADED: OnceLock<(Registry, Arc<Version<PacModule>>)> = OnceLock::new();
    let (_, version) = LOADED.get_or_init(|| {
        // All tests' scripts at once, each as large as may be.
        let limits = Limits {
            instances: 512,
            ..Limits::for_one()
        };
        let registry = Registry::new(limits, Anchors::default()).unwrap();
        fixtures::put(&registry, "pac", "pac", 1).unwrap();
        let version = registry.pac.current().unwrap();
        (registry, version)
    });
    version
}

/// Runs a test with the stack that scripts have in the engine.
fn apart(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    if let Err(failed) = thread.spawn(test).unwrap().join() {
        std::panic::resume_unwind(failed);
    }
}

fn surroundings() -> Surroundings {
    Surroundings {
        addresses: vec!["2001:db8::5".to_owned(), "10.1.2.3".to_owned()],
        zone: vec![Transition {
            from: 0,
            offset: 36_000,
        }],
    }
}

fn load(text: &str) -> Result<Result<Script, LoadError>, Fault> {
    let mut script = Script::new(text.as_bytes().to_vec(), surroundings());
    let loaded = script.load(version(), AT, &Arc::default())?;
    Ok(loaded.map(|()| script))
}

fn script(text: &str) -> Script {
    load(text).unwrap().unwrap()
}

/// One that is not to end by its time: a crowded machine's clock is faster.
fn unhurried(text: &str) -> Script {
    let mut script = script(text);
    script.extend_calls(20);
    script
}

fn target(host: &str) -> Target {
    Target {
        scheme: "https".to_owned(),
        host: host.to_owned(),
        port: None,
        path: "/secret".to_owned(),
    }
}

fn find(script: &mut Script, host: &str) -> Result<Result<Finding, CallError>, Fault> {
    script.find(version(), &target(host), AT, &Arc::default())
}

fn kind(ended: &Result<Result<Finding, CallError>, Fault>) -> &str {
    match ended {
        Ok(_) => "answered",
        Err(fault) => &fault.report().kind,
    }
}

#[test]
fn a_call_goes_through_the_guest_and_back() {
    apart(|| {
        let mut script = script(
            "function FindProxyForURL(url, host) {
             alert(url + ' ' + myIpAddress() + ' ' + new Date().getHours());
             return 'PROXY a.test:1; HTTPS b; SOCKS [::1]; SOCKS5 c; DIRECT; nonsense';
         }",
        );
        let found = find(&mut script, "www.test").unwrap().unwrap();
        assert_eq!(found.alerts, ["https://www.test/ 10.1.2.3 0"]);
        assert_eq!(found.skipped, ["nonsense"]);
        let told: Vec<String> = found
            .proxies
            .iter()
            .map(|proxy| match proxy {
                Proxy::Direct => "direct".to_owned(),
                Proxy::Http(e) => format!("http {} {}", e.host, e.port),
                Proxy::Https(e) => format!("https {} {}", e.host, e.port),
                Proxy::Socks4(e) => format!("socks4 {} {}", e.host, e.port),
                Proxy::Socks5(e) => format!("socks5 {} {}", e.host, e.port),
            })
            .collect();
        assert_eq!(
            told,
            [
                "http a.test 1",
                "https b 443",
                "socks4 ::1 1080",
                "socks5 c 1080",
                "direct"
            ]
        );
    });
}

#[test]
fn a_call_that_needs_names_is_made_again() {
    apart(|| {
        let mut script = script(
            "function FindProxyForURL(url, host) {
             return 'PROXY ' + dnsResolve('a.test') + ':1; PROXY ' + dnsResolveEx('b.test') + ':2';
         }",
        );
        let mut known = Known::default();
        let mut ask = |known: &Known| {
            script
                .find(version(), &target("x"), AT, &Arc::new(known.clone()))
                .unwrap()
                .map(|found| found.names)
        };
        let needs = |name: &str| Err(CallError::Needs(name.to_owned()));
        assert_eq!(ask(&known), needs("a.test"));
        known.insert("a.test".to_owned(), Ok(vec!["192.0.2.1".parse().unwrap()]));
        assert_eq!(ask(&known), needs("b.test"));
        known.insert("b.test".to_owned(), Ok(vec!["192.0.2.2".parse().unwrap()]));
        assert_eq!(ask(&known).unwrap(), ["a.test", "b.test"]);
        // Nothing of it is left for the next.
        assert_eq!(ask(&Known::default()), needs("a.test"));
    });
}

#[test]
fn what_a_script_does_to_itself_ends_with_its_call() {
    apart(|| {
        let mut script = script(
        "function deeper(f) { return 1 + deeper(f); }
         function nest(n) { return eval('('.repeat(n) + '1' + ')'.repeat(n)); }
         function FindProxyForURL(url, host) {
             if (host === 'loop') while (true);
             if (host === 'calls') (function loop(n) { for (var i = 0; i < 9e6; i++) if (n) loop(n - 1); })(9);
             if (host === 'regex') /(a+)+$/.test('a'.repeat(60) + 'b');
             if (host === 'pattern') shExpMatch('a'.repeat(60) + 'b', '(a+)+');
             if (host === 'deep') deeper();
             if (host === 'nest') nest(100000);
             if (host === 'array') { var a = []; while (true) a.push(a.concat(a)); }
             if (host === 'string') { var s = 'x'; while (true) s += s; }
             if (host === 'repeat') 'x'.repeat(1 << 29).toUpperCase();
             if (host === 'objects') { var o = {}; for (var i = 0; i < 9e6; i++) o = {o: o, i: [i]}; }
             if (host === 'throw') throw new Error('thrown');
             return 'DIRECT';
         }",
    );
        let healthy = |script: &mut Script| {
            let found = find(script, "other").unwrap().unwrap();
            assert_eq!(found.proxies, [Proxy::Direct]);
        };
        for host in [
            "loop", "calls", "regex", "pattern", "deep", "nest", "array", "string", "repeat",
            "objects", "throw",
        ] {
            let ended = find(&mut script, host);
            let expected = match (host, &ended) {
                ("calls" | "regex" | "pattern", Err(fault)) => fault.report().kind == "hang",
                ("throw", Ok(Err(CallError::Script(thrown)))) => thrown.message == "Error: thrown",
                ("loop" | "deep", Ok(Err(CallError::Limit(_)))) => true,
                // A crowded machine's clock is faster than its loops.
                ("loop", Err(fault)) => fault.report().kind == "hang",
                ("nest", Err(_) | Ok(Err(_))) => true,
                ("array" | "string" | "repeat" | "objects", Err(_) | Ok(Err(_))) => true,
                _ => false,
            };
            assert!(expected, "{host}: {ended:?}");
            healthy(&mut script);
        }
    });
}

#[test]
fn memory_is_bounded() {
    apart(|| {
        // A MiB at a step: all that it may have is soon full.
        let mut script = unhurried(
            "var kept = [], piece = 'x';
         while (piece.length < 1 << 20) piece += piece;
         function FindProxyForURL() { while (true) kept.push(piece + kept.length); }",
        );
        let ended = find(&mut script, "x");
        assert_eq!(kind(&ended), "memory", "{ended:?}");
        assert_eq!(script.memory_bytes(), 0);
    });
}

#[test]
fn a_script_that_cannot_be_loaded_ends_alone() {
    apart(|| {
        let nested = format!("var x = {}1{};", "(".repeat(100_000), ")".repeat(100_000));
        assert!(!matches!(load(&nested), Ok(Ok(_))));
        assert!(matches!(load("("), Ok(Err(LoadError::Syntax(_)))));
        assert!(matches!(load(""), Ok(Err(LoadError::NoFunction))));
        assert!(load("function FindProxyForURL() {}").unwrap().is_ok());
    });
}

#[test]
fn scripts_of_many_rules_fit() {
    apart(|| {
        let rules: Vec<String> = (0..1900)
            .map(|i| format!("if (shExpMatch(host, '*.rule{i}.test')) return 'PROXY a:1';"))
            .collect();
        let text = format!(
            "function FindProxyForURL(url, host) {{ {} return 'DIRECT'; }}",
            rules.join("\n")
        );
        let mut script = unhurried(&text);
        let found = find(&mut script, "www.rule1899.test").unwrap().unwrap();
        assert_ne!(found.proxies, [Proxy::Direct]);
        let found = find(&mut script, "www.other.test").unwrap().unwrap();
        assert_eq!(found.proxies, [Proxy::Direct]);
    });
}

#[test]
fn chains_of_many_parts_fit() {
    apart(|| {
        let parts = (0..4000).map(|i| format!("dnsDomainIs(host, '.rule{i}.test')"));
        let either = parts.collect::<Vec<_>>().join(" ||\n");
        let chain = (0..2000)
            .map(|i| {
                format!(
                    "if (host === 'other{i}.test') return 'PROXY b:{};' ;",
                    i + 1
                )
            })
            .collect::<Vec<_>>()
            .join(" else ");
        let mut script = unhurried(&format!(
            "function FindProxyForURL(url, host) {{ if ({either}) return 'PROXY a:1'; {chain} return 'DIRECT'; }}"
        ));
        for (host, port) in [("www.rule3999.test", 1), ("other1999.test", 2000)] {
            let found = find(&mut script, host).unwrap().unwrap();
            assert!(matches!(&found.proxies[..], [Proxy::Http(it)] if it.port == port));
        }
        let found = find(&mut script, "www.test").unwrap().unwrap();
        assert_eq!(found.proxies, [Proxy::Direct]);
    });
}

#[test]
fn a_call_can_be_explained() {
    apart(|| {
        let mut script = script(
        "var inside = isPlainHostName('a');
         function FindProxyForURL(url, host) {
             if (shExpMatch(host, '*.test') && isInNet(host, '10.0.0.0', '255.0.0.0')) return 'PROXY a:1';
             return 'DIRECT';
         }",
    );
        let mut known = Known::default();
        known.insert("www.test".to_owned(), Ok(vec!["10.9.8.7".parse().unwrap()]));
        let known = Arc::new(known);
        let told = script.explain(version(), &target("www.test"), AT, &known);
        let told = told.unwrap();
        let steps: Vec<String> = told
            .steps
            .iter()
            .map(|it| format!("{}({}) = {}", it.function, it.arguments, it.answer))
            .collect();
        assert_eq!(
            steps,
            [
                "isPlainHostName(\"a\") = true",
                "shExpMatch(\"www.test\", \"*.test\") = true",
                "isInNet(\"www.test\", \"10.0.0.0\", \"255.0.0.0\") = true",
            ]
        );
        assert_eq!(told.outcome.unwrap().names, ["www.test"]);
    });
}
