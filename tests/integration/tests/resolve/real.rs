//! Against unbound.

use fumehood_tests::peers::Unbound;

use crate::{ask, at, data, found, steps};

#[test]
fn every_type_is_told_as_zone_files_have_it() {
    let unbound = Unbound::start().unwrap();
    for (arguments, expected) in [
        (
            &["www.fumehood.test"][..],
            &["2001:db8::10", "192.0.2.10"][..],
        ),
        (&["WWW.Fumehood.Test.", "a"], &["192.0.2.10"]),
        (&["www.fumehood.test", "AAAA"], &["2001:db8::10"]),
        (&["alias.fumehood.test", "A"], &["192.0.2.10"]),
        (
            &["fumehood.test", "soa"],
            &["ns.fumehood.test mail.fumehood.test 7 3600 600 86400 45"],
        ),
        (&["fumehood.test", "ns"], &["ns.fumehood.test"]),
        (&["fumehood.test", "mx"], &["10 mx.fumehood.test"]),
        (&["fumehood.test", "caa"], &["0 issue \"ca.test\""]),
        (
            &["_http._tcp.fumehood.test", "srv"],
            &["1 2 8080 www.fumehood.test"],
        ),
        (
            &["svc.fumehood.test", "https"],
            &["1 . alpn=\"h2,h3\" port=8443"],
        ),
        (&["192.0.2.10"], &["www.fumehood.test"]),
    ] {
        let report = found(&ask(&unbound, arguments));
        assert_eq!(data(&report), expected, "{arguments:?}");
        let source = report["source"].as_str().unwrap();
        assert_eq!(source, unbound.address().to_string());
    }
}

#[test]
fn what_udp_cannot_carry_comes_by_tcp() {
    let unbound = Unbound::start().unwrap();
    let report = found(&ask(&unbound, &["big.fumehood.test", "txt"]));
    let text = data(&report).concat();
    assert!(text.len() > 20 * 200, "{text}");
    let steps = steps(&report);
    assert_eq!(
        steps,
        ["sent", "received", "truncated", "sent", "received"],
        "{report}"
    );
}

#[test]
fn what_is_not_there_is_told_apart_by_code_and_cause() {
    let unbound = Unbound::start().unwrap();
    for (name, kind, exit, cause) in [
        ("nobody.fumehood.test", "a", 6, "no-such-name"),
        ("www.fumehood.test", "mx", 6, "no-such-record"),
        ("a.onion", "a", 6, "special-name"),
    ] {
        let finished = ask(&unbound, &[name, kind]);
        let report = finished.report();
        assert_eq!(finished.code(), exit, "{report}");
        assert_eq!(report["cause"], cause, "{report}");
        assert_eq!(report["exit_code"], exit, "{report}");
    }
    let finished = ask(&unbound, &["no name at all"]);
    assert_eq!(
        (finished.code(), &finished.report()["error"]),
        (2, &"usage".into())
    );
}

#[test]
fn private_answers_are_refused_unless_they_are_allowed() {
    let unbound = Unbound::start().unwrap();
    let refused = || at(unbound.address()).args(["--json", "private.fumehood.test", "a"]);
    let finished = refused().run();
    let report = finished.report();
    assert_eq!(
        (finished.code(), &report["cause"]),
        (110, &"private-address".into())
    );
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("10.0.0.1") && message.contains("--private-answers"));
    // By the flag, by the setting, and for hosts that the policy names.
    for allowed in [
        refused().arg("--private-answers"),
        refused().env("FUMEHOOD_DNS_PRIVATE_ANSWERS", "answered"),
        refused().env("FUMEHOOD_POLICY_PRIVATE_HOSTS", "*.fumehood.test"),
    ] {
        assert_eq!(data(&found(&allowed.run())), ["10.0.0.1"]);
    }
}

#[test]
fn people_get_lines_and_the_steps_where_they_ask_for_them() {
    let unbound = Unbound::start().unwrap();
    let server = unbound.address();
    let finished = at(server)
        .args(["--private-answers", "--trace", "alias.fumehood.test", "A"])
        .run();
    assert_eq!(
        String::from_utf8_lossy(finished.content()),
        "alias.fumehood.test  300  CNAME  www.fumehood.test\n\
         www.fumehood.test  300  A  192.0.2.10\n"
    );
    for told in [
        &format!("asked {server} over UDP: alias.fumehood.test A")[..],
        "NOERROR",
        "it is an alias of www.fumehood.test",
        &format!("answered by {server}"),
    ] {
        assert!(finished.stderr.contains(told), "{}", finished.stderr);
    }
    let finished = at(server).args(["nobody.fumehood.test"]).run();
    assert_eq!(finished.code(), 6);
    assert_eq!(
        finished.stderr,
        "fumehood: nobody.fumehood.test does not resolve: the name does not exist\n"
    );
}
