//! Every built-in function, as the Netscape document, MDN and browsers have it.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{check, check_bool};

#[test]
fn is_plain_host_name() {
    check_bool(&[
        ("isPlainHostName('www')", true),
        ("isPlainHostName('www.example.test')", false),
        ("isPlainHostName('')", true),
        ("isPlainHostName('::1')", false),
    ]);
}

#[test]
fn dns_domain_is() {
    check_bool(&[
        ("dnsDomainIs('www.example.test', '.example.test')", true),
        ("dnsDomainIs('www', '.example.test')", false),
        ("dnsDomainIs('example.test', '.example.test')", false),
        // A quirk that scripts and browsers share.
        ("dnsDomainIs('badexample.test', 'example.test')", true),
        ("dnsDomainIs('www.EXAMPLE.test', '.example.test')", false),
        ("dnsDomainIs('x', '')", true),
        ("dnsDomainIs('x')", false),
        ("dnsDomainIs('wäw.test', '.test')", true),
    ]);
}

#[test]
fn local_host_or_domain_is() {
    check_bool(&[
        (
            "localHostOrDomainIs('www.example.test', 'www.example.test')",
            true,
        ),
        ("localHostOrDomainIs('www', 'www.example.test')", true),
        (
            "localHostOrDomainIs('www.other.test', 'www.example.test')",
            false,
        ),
        ("localHostOrDomainIs('home', 'www.example.test')", false),
        ("localHostOrDomainIs('ww', 'www.example.test')", false),
        ("localHostOrDomainIs('www.', 'www.example.test')", false),
        ("localHostOrDomainIs('', '.test')", true),
    ]);
}

#[test]
fn dns_domain_levels() {
    check(&[
        ("dnsDomainLevels('www')", "0"),
        ("dnsDomainLevels('www.example.test')", "2"),
        ("dnsDomainLevels('')", "0"),
    ]);
}

#[test]
fn sh_exp_match() {
    check_bool(&[
        (
            "shExpMatch('http://home/people/ari/index.html', '*/ari/*')",
            true,
        ),
        (
            "shExpMatch('http://home/people/montulli/index.html', '*/ari/*')",
            false,
        ),
        ("shExpMatch('abc', 'a?c')", true),
        ("shExpMatch('ac', 'a?c')", false),
        ("shExpMatch('a.c', 'a.c')", true),
        ("shExpMatch('abc', 'a.c')", false),
        ("shExpMatch('', '*')", true),
        ("shExpMatch('', '')", true),
        ("shExpMatch('a', '')", false),
        ("shExpMatch('aaab', '*a*b')", true),
        ("shExpMatch('ABC', 'abc')", false),
        // The whole text has to match, with a regular expression too.
        ("shExpMatch('xabc', '(abc)')", false),
        ("shExpMatch('b.test', '(a|b).test')", true),
        ("shExpMatch('c1', '[a-c]?')", true),
        ("shExpMatch('d1', '[a-c]?')", false),
        ("shExpMatch('aaa', 'a+')", true),
        ("shExpMatch('€uro', '?uro')", true),
        ("shExpMatch('euro', '€uro')", false),
        ("shExpMatch('€uro', '€*')", true),
        ("shExpMatch(123, '1*3')", true),
        ("shExpMatch('undefined')", true),
    ]);
    check(&[(
        "(() => { try { shExpMatch('a', '('); } catch (e) { return e instanceof SyntaxError; } })()",
        "true",
    )]);
}

#[test]
fn names_are_resolved_or_not() {
    check(&[
        ("dnsResolve('four.test')", r#""192.0.2.4""#),
        ("dnsResolve('FOUR.test.')", r#""192.0.2.4""#),
        ("dnsResolve('both.test')", r#""192.0.2.1""#),
        ("dnsResolve('six.test')", "null"),
        ("dnsResolve('nowhere.test')", "null"),
        ("dnsResolve('10.0.0.1')", r#""10.0.0.1""#),
        ("dnsResolve('::1')", "null"),
        ("dnsResolve(5)", "null"),
        ("dnsResolve()", "null"),
        ("dnsResolve('')", "null"),
        ("dnsResolve('ä.test')", "null"),
        ("dnsResolve('a b')", "null"),
        ("dnsResolve('x'.repeat(300))", "null"),
        ("isResolvable('four.test')", "true"),
        ("isResolvable('six.test')", "false"),
        ("isResolvable(null)", "false"),
        ("myIpAddress()", r#""10.1.2.3""#),
    ]);
}

#[test]
fn the_ex_functions_know_ipv6() {
    check(&[
        ("isResolvableEx('six.test')", "true"),
        ("isResolvableEx('nowhere.test')", "false"),
        (
            "dnsResolveEx('both.test')",
            r#""2001:db8::1;192.0.2.1;192.0.2.2""#,
        ),
        ("dnsResolveEx('nowhere.test')", r#""""#),
        ("dnsResolveEx('::1')", r#""::1""#),
        ("myIpAddressEx()", r#""2001:db8::5;10.1.2.3""#),
        ("getClientVersion()", r#""1.0""#),
    ]);
}

#[test]
fn is_in_net() {
    check_bool(&[
        ("isInNet('192.0.2.4', '192.0.2.0', '255.255.255.0')", true),
        ("isInNet('192.0.3.4', '192.0.2.0', '255.255.255.0')", false),
        ("isInNet('four.test', '192.0.2.4', '255.255.255.255')", true),
        ("isInNet('nowhere.test', '0.0.0.0', '0.0.0.0')", false),
        ("isInNet('six.test', '0.0.0.0', '0.0.0.0')", false),
        ("isInNet('10.9.8.7', '10.0.0.0', '255.0.0.0')", true),
        // The network may have more bits than the mask.
        ("isInNet('10.9.8.7', '10.1.2.3', '255.0.0.0')", true),
        ("isInNet('010.9.8.7', '10.0.0.0', '255.0.0.0')", true),
        ("isInNet('10.9.8.256', '10.0.0.0', '255.0.0.0')", false),
        ("isInNet('10.9.8', '10.0.0.0', '255.0.0.0')", false),
        ("isInNet('10.9.8.7', '10.0.0', '255.0.0.0')", false),
        ("isInNet('10.9.8.7', '10.0.0.0', '/8')", false),
        ("isInNet(null, '0.0.0.0', '0.0.0.0')", false),
        ("isInNet()", false),
    ]);
}

#[test]
fn is_in_net_ex() {
    check_bool(&[
        ("isInNetEx('192.0.2.4', '192.0.2.0/24')", true),
        ("isInNetEx('192.0.3.4', '192.0.2.0/24')", false),
        ("isInNetEx('192.0.3.4', '192.0.2.0/0')", true),
        ("isInNetEx('2001:db8::6', '2001:db8::/32')", true),
        ("isInNetEx('2001:db9::6', '2001:db8::/32')", false),
        ("isInNetEx('2001:db8::6', '::/0')", true),
        ("isInNetEx('2001:db8::6', '2001:db8::6/128')", true),
        ("isInNetEx('192.0.2.4', '::/0')", false),
        ("isInNetEx('::ffff:192.0.2.4', '192.0.2.0/24')", false),
        ("isInNetEx('192.0.2.4', '192.0.2.0/33')", false),
        ("isInNetEx('2001:db8::6', '::/129')", false),
        ("isInNetEx('192.0.2.4', '192.0.2.0')", false),
        ("isInNetEx('192.0.2.4', '192.0.2.0/+8')", false),
        // Names are not resolved.
        ("isInNetEx('four.test', '0.0.0.0/0')", false),
        ("isInNetEx()", false),
    ]);
}

#[test]
fn addresses_are_sorted_six_before_four() {
    check(&[
        (
            "sortIpAddressList('10.2.3.9;2001:4898:28:3:201:2ff:feea:fc14;::1;127.0.0.1;::9')",
            r#""::1;::9;2001:4898:28:3:201:2ff:feea:fc14;10.2.3.9;127.0.0.1""#,
        ),
        (
            "sortIpAddressList(' 9.9.9.9 ; 8.8.8.8')",
            r#""8.8.8.8;9.9.9.9""#,
        ),
        (
            "sortIpAddressList('0:0:0:0:0:0:0:2;::1')",
            r#""::1;0:0:0:0:0:0:0:2""#,
        ),
        ("sortIpAddressList('1.1.1.1')", r#""1.1.1.1""#),
        ("sortIpAddressList('')", "false"),
        ("sortIpAddressList('1.1.1.1;x')", "false"),
        ("sortIpAddressList('1.1.1.1;')", "false"),
        ("sortIpAddressList(5)", "false"),
        ("sortIpAddressList()", "false"),
    ]);
}

#[test]
fn convert_addr() {
    check(&[
        ("convert_addr('104.16.41.2')", "1745889538"),
        ("convert_addr('255.255.255.255')", "-1"),
        ("convert_addr('0.0.0.1')", "1"),
        ("convert_addr('1')", "16777216"),
        ("convert_addr('x.y')", "0"),
        ("convert_addr('257.0.0.0')", "16777216"),
    ]);
}

#[test]
fn annex_b_is_there() {
    check(&[
        ("'abc'.substr(1, 1)", r#""b""#),
        ("escape('ä')", r#""%E4""#),
        ("unescape('%41')", r#""A""#),
        ("/a(.)/.compile('b(.)').exec('bc')[1]", r#""c""#),
    ]);
}

#[test]
fn chance_is_the_callers() {
    let script = "[Math.random(), Math.random()]";
    assert_eq!(common::value(script), common::value(script));
    check_bool(&[
        ("Math.random() !== Math.random()", true),
        ("Math.random() >= 0 && Math.random() < 1", true),
    ]);
}

#[test]
fn a_name_is_asked_for_once_and_twenty_at_most() {
    let mut evaluator = common::evaluator(
        "function FindProxyForURL() {
             for (var round = 0; round < 2; round++)
                 for (var i = 0; i < 25; i++)
                     if (dnsResolve('many' + i + '.test') === null && i < 20) return 'x';
             return 'DIRECT';
         }",
    );
    let found = common::find(&mut evaluator).unwrap();
    assert_eq!(found.names.len(), 20);
    assert_eq!(found.refused_names, 10);
    // Each call has its own.
    assert_eq!(common::find(&mut evaluator).unwrap().names.len(), 20);
}

#[test]
fn a_call_that_needs_a_name_ends_past_every_catch_and_can_be_made_again() {
    use fumehood_pac::{CallError, LoadError};
    let needs = || CallError::Needs("later.test".to_owned());
    for body in [
        "dnsResolve('later.test')",
        "try { dnsResolve('later.test') } catch (e) { return 'PROXY caught:1' }",
        "try { dnsResolve('later.test') } finally { return 'PROXY finally:1' }",
        "[2, 1].sort(function() { return dnsResolve('later.test') })",
        "'x'.replace('x', function() { return isInNet('later.test', '0.0.0.0', '0.0.0.0') })",
        "var g = (function*() { yield isResolvableEx('later.test') })(); g.next()",
        "(async function() { dnsResolveEx('later.test') })()",
        "new Proxy({}, { get: function() { dnsResolve('later.test') } }).x",
    ] {
        let mut evaluator = common::evaluator(&format!(
            "var calls = 0;
             function ask() {{ {body}; return 'PROXY after:1'; }}
             function FindProxyForURL(url, host) {{ return ++calls > 30 ? 'DIRECT' : ask(); }}"
        ));
        for _ in 0..30 {
            assert_eq!(common::find(&mut evaluator), Err(needs()), "{body}");
        }
        // Its globals were kept all the while.
        let found = common::find(&mut evaluator).unwrap();
        assert_eq!(found.proxies, [fumehood_pac::Proxy::Direct], "{body}");
    }
    let mut evaluator = common::evaluator("function FindProxyForURL() {}");
    let top = b"var a = dnsResolve('later.test'); function FindProxyForURL() {}";
    let loaded = evaluator.load(top, common::moment(0));
    assert_eq!(loaded, Err(LoadError::Needs("later.test".to_owned())));
    assert_eq!(common::find(&mut evaluator), Err(CallError::NotLoaded));
}

#[test]
fn alerts_are_kept_bounded() {
    let mut evaluator = common::evaluator(
        "function FindProxyForURL() {
             alert('x'.repeat(9999));
             alert('a\\nb');
             for (var i = 0; i < 50; i++) alert(i);
             return 'DIRECT';
         }",
    );
    let found = common::find(&mut evaluator).unwrap();
    assert_eq!(found.alerts.len(), 32);
    assert_eq!(found.dropped_alerts, 20);
    assert_eq!(found.alerts[0].len(), 2048);
    assert_eq!(found.alerts[1], "a\u{fffd}b");
    assert_eq!(found.alerts[2], "0");
}
