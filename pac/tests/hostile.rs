//! Scripts that mean harm. Those that need a deadline or a memory limit to end
//! run as a guest, in the engine's tests.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use fumehood_pac::{CallError, Evaluator, LoadError, Proxy};

/// The first call misbehaves, the next ones do not.
fn once(misdeed: &str) -> Evaluator {
    common::evaluator(&format!(
        "var done = false;
         function deeper() {{ return 1 + deeper(); }}
         function FindProxyForURL(url, host) {{
             if (host === 'www.example.test') {{ {misdeed}; }}
             return 'DIRECT';
         }}"
    ))
}

fn well(evaluator: &mut Evaluator) {
    let target = fumehood_pac::Target {
        host: "other.test",
        ..common::target()
    };
    let found = evaluator
        .find(&target, common::moment(common::NOW))
        .unwrap();
    assert_eq!(found.proxies, [Proxy::Direct]);
}

#[test]
fn loops_and_recursion_end_and_the_next_call_works() {
    for misdeed in [
        "while (true);",
        "do {} while (true)",
        "deeper()",
        "try { deeper() } finally { return 'PROXY finally:1' }",
        "for (var x of (function*() { while (true) yield 1 })()) {}",
    ] {
        let mut evaluator = once(misdeed);
        let ended = common::find(&mut evaluator);
        assert!(
            matches!(ended, Err(CallError::Limit(_))),
            "{misdeed}: {ended:?}"
        );
        well(&mut evaluator);
        assert_eq!(common::find(&mut evaluator), ended, "{misdeed}");
    }
}

#[test]
fn a_top_level_without_end_is_no_script() {
    let mut evaluator = Evaluator::new(common::Names);
    let ended = evaluator.load(b"while (true);", common::moment(0));
    assert!(matches!(ended, Err(LoadError::Limit(_))), "{ended:?}");
    assert_eq!(common::find(&mut evaluator), Err(CallError::NotLoaded));
}

#[test]
fn thrown_things_leave_no_trace() {
    for misdeed in [
        "throw 1",
        "throw undefined",
        "null.x",
        "new Array(-1)",
        "new ArrayBuffer(1 << 28)",
        "eval('(')",
        "FindProxyForURL.call.call(5)",
        "throw Object.create(null)",
        "throw Symbol('x')",
        "throw (function f() { return f })()",
    ] {
        let mut evaluator = once(misdeed);
        let ended = common::find(&mut evaluator);
        assert!(
            matches!(ended, Err(CallError::Script(_))),
            "{misdeed}: {ended:?}"
        );
        well(&mut evaluator);
    }
}

#[test]
fn built_in_functions_do_not_care_what_scripts_overwrite() {
    let script = "
        var broken = function() { throw new Error('overwritten'); };
        for (const object of [String, Array, RegExp, Object, Function, Number, Date, Math, Promise]) {
            const names = Object.getOwnPropertyNames(object.prototype || object);
            for (const name of names) {
                if (name === 'constructor' || name === 'call' || name === '__proto__') continue;
                try { (object.prototype || object)[name] = broken; } catch (e) {}
            }
        }
        Object.prototype.get = broken;
        RegExp = String = Date = undefined;
        function FindProxyForURL(url, host) {
            var good = isPlainHostName('a') && dnsDomainIs(host, '.test')
                && localHostOrDomainIs('www', 'www.x') && dnsDomainLevels('a.b') === 1
                && shExpMatch(url, '*example*') && shExpMatch(host, '(a|www)*')
                && isResolvable('four.test') && isInNet('four.test', '192.0.2.0', '255.255.255.0')
                && dnsResolveEx('six.test') === '2001:db8::6' && isInNetEx('::1', '::/8')
                && weekdayRange('MON') && dateRange(21) && timeRange(14)
                && sortIpAddressList('::1') === '::1' && convert_addr('0.0.0.1') === 1;
            alert(good);
            return good ? 'PROXY good:1' : 'PROXY bad:1';
        }";
    let found = common::find(&mut common::evaluator(script)).unwrap();
    let Some(Proxy::Http(endpoint)) = found.proxies.first() else {
        panic!("{found:?}");
    };
    assert_eq!(endpoint.host, "good");
}

#[test]
fn a_script_may_replace_what_it_calls() {
    let script = "function shExpMatch() { return false; }
                  function FindProxyForURL() {
                      return shExpMatch('a', '*') ? 'PROXY a:1' : 'DIRECT';
                  }";
    let found = common::find(&mut common::evaluator(script)).unwrap();
    assert_eq!(found.proxies, [Proxy::Direct]);
}

#[test]
fn calls_share_the_scripts_globals_and_nothing_else() {
    let mut evaluator = common::evaluator(
        "var calls = 0;
         function FindProxyForURL(url, host) {
             if (calls++ === 0) { alert('first'); dnsResolve('four.test'); }
             return 'PROXY p:' + calls;
         }",
    );
    let first = common::find(&mut evaluator).unwrap();
    assert_eq!((first.alerts.len(), first.names.len()), (1, 1));
    let second = common::find(&mut evaluator).unwrap();
    assert_eq!((second.alerts.len(), second.names.len()), (0, 0));
    assert_ne!(first.proxies, second.proxies);

    // A script that comes after another knows nothing of it.
    let next = b"function FindProxyForURL() { return typeof calls; }";
    evaluator.load(next, common::moment(0)).unwrap();
    assert_eq!(
        common::find(&mut evaluator),
        Err(CallError::NoProxy("undefined".to_owned()))
    );
}

#[test]
fn nothing_runs_after_its_call() {
    let mut evaluator = common::evaluator(
        "var late = 'DIRECT';
         function FindProxyForURL() {
             Promise.resolve().then(function() { late = 'PROXY late:1'; });
             return late;
         }",
    );
    for _ in 0..3 {
        let found = common::find(&mut evaluator).unwrap();
        assert_eq!(found.proxies, [Proxy::Direct]);
    }
}

#[test]
fn there_is_nothing_to_reach() {
    for name in [
        "require",
        "process",
        "fetch",
        "XMLHttpRequest",
        "setTimeout",
        "console",
        "window",
        "document",
        "Deno",
        "WebAssembly",
        "importScripts",
        "Handle",
    ] {
        assert_eq!(
            common::value(&format!("typeof {name}")),
            r#""undefined""#,
            "{name}"
        );
    }
    let mut evaluator = common::evaluator(
        "var result = 'none';
         function FindProxyForURL() { import('/etc/passwd'); return 'DIRECT'; }",
    );
    assert_eq!(
        common::find(&mut evaluator).unwrap().proxies,
        [Proxy::Direct]
    );
}

#[test]
fn a_getter_in_the_place_of_the_function_is_held_to_the_same_bounds() {
    let mut evaluator = common::evaluator(
        "FindProxyForURL = function() {
             Object.defineProperty(globalThis, 'FindProxyForURL', {get() { while (true); }});
             return 'DIRECT';
         }",
    );
    assert!(common::find(&mut evaluator).is_ok());
    assert!(matches!(
        common::find(&mut evaluator),
        Err(CallError::Limit(_))
    ));
    // Begun anew.
    assert!(common::find(&mut evaluator).is_ok());
}
