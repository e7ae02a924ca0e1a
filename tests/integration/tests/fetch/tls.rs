//! TLS: certificates with every flaw, records made by hand, and truncation.

use std::sync::Arc;

use fumehood_tests::certs::{Flaw, Identity, TestCa, WRONG_NAME};
use fumehood_tests::fetch::{Fetch, Finished};
use fumehood_tests::hostile::{Canary, End, Script, Server, Step, server_config};
use fumehood_tests::temp::TempDir;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

const VERSIONS: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];

/// An authority and the file that makes the command trust it.
struct Trust {
    ca: TestCa,
    folder: TempDir,
}

impl Trust {
    fn new() -> Self {
        let ca = TestCa::new();
        let folder = TempDir::new().unwrap();
        folder.write("ca.pem", ca.pem()).unwrap();
        Self { ca, folder }
    }

    fn fetch(&self, server: &Server) -> Fetch {
        Fetch::new(server.url("/"))
            .arg("--cacert")
            .arg(self.folder.join("ca.pem"))
    }
}

fn serve(identity: &Identity, versions: &[&'static SupportedProtocolVersion]) -> Server {
    Server::start_tls(
        server_config(identity, versions),
        vec![Script::answers(&[HELLO, HELLO])],
    )
}

#[track_caller]
fn assert_certificate_refused(finished: &Finished, rejection: &str) {
    finished.assert_failed(60, "certificate", "peer");
    let message = finished.report()["error"]["message"].to_string();
    assert!(message.contains(rejection), "{message}");
}

#[test]
fn both_versions() {
    let trust = Trust::new();
    for (versions, name) in VERSIONS.into_iter().zip(["TLS 1.2", "TLS 1.3"]) {
        let server = serve(&trust.ca.issue(), versions);
        let finished = trust.fetch(&server).arg(server.url("/2")).run();
        assert_eq!(finished.content(), b"hellohello", "{name}");
        assert_eq!(server.connections(), 1, "{name}");
        for report in finished.reports() {
            assert_eq!(report["status"], 200);
        }
        let first = &finished.reports()[0];
        assert_eq!(first["tls"]["version"], name);
        assert_eq!(first["tls"]["verified"], true);
        let modules = first["modules"].as_array().unwrap();
        let names: Vec<_> = modules
            .iter()
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        assert!(
            names.contains(&"tls") && names.contains(&"http1"),
            "{names:?}"
        );
    }
}

#[test]
fn chains_through_an_intermediate() {
    let trust = Trust::new();
    let server = serve(&trust.ca.subordinate().subordinate().issue(), VERSIONS[1]);
    assert_eq!(trust.fetch(&server).run().content(), b"hello");
}

#[test]
fn certificates_larger_than_a_record() {
    let trust = Trust::new();
    let names: Vec<String> = (0..1000)
        .map(|it| format!("name-{it}.fumehood.test"))
        .collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push("127.0.0.1");
    let identity = trust.ca.issue_for(&names);
    assert!(identity.chain[0].len() > 16 * 1024);
    for versions in VERSIONS {
        assert_eq!(
            trust.fetch(&serve(&identity, versions)).run().content(),
            b"hello"
        );
    }
}

#[test]
fn flawed_certificates_are_refused() {
    let trust = Trust::new();
    for (flaw, rejection) in [
        (Flaw::Expired, "expired"),
        (Flaw::NotYetValid, "not-yet-valid"),
        (Flaw::WrongHost, "wrong-name"),
        (Flaw::SelfSigned, "unknown-issuer"),
        (Flaw::ForgedIssuer, ""),
        (Flaw::WrongPurpose, "wrong-purpose"),
    ] {
        let identity = trust.ca.issue_flawed(flaw);
        for versions in VERSIONS {
            let server = serve(&identity, versions);
            assert_certificate_refused(&trust.fetch(&server).run(), rejection);
            let requests = server.requests().concat();
            assert!(
                requests.is_empty(),
                "{flaw:?}: a request was sent: {requests:?}"
            );
        }
    }
}

#[test]
fn a_wrong_name_is_told() {
    let trust = Trust::new();
    let server = serve(&trust.ca.issue_flawed(Flaw::WrongHost), VERSIONS[1]);
    assert_certificate_refused(&trust.fetch(&server).run(), WRONG_NAME);
}

#[test]
fn an_unknown_authority_is_refused() {
    let trust = Trust::new();
    let server = serve(&TestCa::new().issue(), VERSIONS[1]);
    assert_certificate_refused(&trust.fetch(&server).run(), "");
    // The system's own anchors do not know ours either.
    let server = serve(&trust.ca.issue(), VERSIONS[1]);
    assert_certificate_refused(&Fetch::new(server.url("/")).run(), "unknown-issuer");
}

#[test]
fn insecure_accepts_every_flaw() {
    let trust = Trust::new();
    for flaw in Flaw::ALL {
        for versions in VERSIONS {
            let server = serve(&trust.ca.issue_flawed(flaw), versions);
            let finished = Fetch::new(server.url("/")).arg("-k").run();
            assert_eq!(finished.content(), b"hello", "{flaw:?}");
            assert_eq!(finished.report()["tls"]["verified"], false);
        }
    }
}

/// Shows one certificate and signs with the key of another.
#[derive(Debug)]
struct Impostor(Arc<CertifiedKey>);

impl ResolvesServerCert for Impostor {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

fn impostor(
    shown: &Identity,
    held: &Identity,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = provider
        .key_provider
        .load_private_key(held.key.clone_key())
        .unwrap();
    let certified = CertifiedKey::new(shown.chain.clone(), key);
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Impostor(Arc::new(certified))));
    Arc::new(config)
}

#[test]
fn a_certificate_without_its_key_is_worth_nothing() {
    let trust = Trust::new();
    let (shown, held) = (trust.ca.issue(), trust.ca.issue());
    for versions in VERSIONS {
        for arguments in [&[][..], &["-k"]] {
            let server = Server::start_tls(
                impostor(&shown, &held, versions),
                vec![Script::answers(&[HELLO])],
            );
            let finished = trust.fetch(&server).args(arguments).run();
            finished.assert_failed(35, "tls", "peer");
            assert!(server.requests().concat().is_empty());
        }
    }
}

#[test]
fn versions_that_do_not_meet() {
    let trust = Trust::new();
    let identity = trust.ca.issue();
    for (versions, arguments) in [
        (VERSIONS[0], ["--tls-min", "1.3"]),
        (VERSIONS[1], ["--tls-max", "1.2"]),
    ] {
        let server = serve(&identity, versions);
        let finished = trust.fetch(&server).args(arguments).run();
        finished.assert_failed(35, "tls", "peer");
    }
}

#[test]
fn what_is_not_a_handshake() {
    let trust = Trust::new();
    let alert = |description: u8| vec![0x15, 3, 3, 0, 2, 2, description];
    let record = |kind: u8, length: u16| {
        let [high, low] = length.to_be_bytes();
        let mut bytes = vec![kind, 3, 3, high, low];
        bytes.resize(bytes.len() + usize::from(length), 0);
        bytes
    };
    let cases: [(&str, Vec<u8>); 12] = [
        (
            "HTTP",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec(),
        ),
        ("SSH", b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()),
        ("zeros", vec![0; 100]),
        ("alert handshake_failure", alert(40)),
        ("alert unrecognized_name", alert(112)),
        ("alert close_notify", vec![0x15, 3, 3, 0, 2, 1, 0]),
        ("an unknown record", record(99, 10)),
        ("application data first", record(23, 100)),
        ("a record over length", record(22, 0x4801)),
        ("an empty handshake record", record(22, 0)),
        ("an SSLv2 hello", vec![0x80, 0x2e, 1, 0, 2, 0, 0, 0, 0, 0]),
        // A handshake message of 16 MiB is announced.
        ("an endless message", {
            let mut bytes = record(22, 0x4000);
            bytes[5..9].copy_from_slice(&[2, 0xff, 0xff, 0xff]);
            bytes.repeat(64)
        }),
    ];
    for (name, bytes) in cases {
        let script = Script::new().step(Step::FirstBytes).send(bytes);
        let server = Server::start_raw_https(vec![script]);
        let finished = trust.fetch(&server).run();
        assert_eq!(finished.code(), 35, "{name}: {finished:?}");
        finished.assert_failed(35, "tls", "peer");
    }
}

#[test]
fn a_peer_that_leaves_in_the_handshake() {
    let trust = Trust::new();
    let partial = vec![0x16, 3, 3, 0, 100, 2, 0];
    for (script, exit, code, blame) in [
        (Script::new(), 35, "tls", "peer"),
        (Script::new().step(Step::FirstBytes), 35, "tls", "peer"),
        (
            Script::new().step(Step::FirstBytes).send(partial),
            35,
            "tls",
            "peer",
        ),
        (
            Script::new().step(Step::FirstBytes).then_reset(),
            56,
            "receive",
            "network",
        ),
    ] {
        let server = Server::start_raw_https(vec![script]);
        trust.fetch(&server).run().assert_failed(exit, code, blame);
    }
}

#[test]
fn a_peer_that_is_silent_in_the_handshake() {
    let trust = Trust::new();
    let server = Server::start_raw_https(vec![Script::new().then_stall()]);
    let finished = trust.fetch(&server).args(["--max-time", "0.3"]).run();
    finished.assert_failed(28, "timeout", "network");
}

#[test]
fn content_until_close_can_be_cut_by_anybody() {
    let trust = Trust::new();
    let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello";
    for versions in VERSIONS {
        let config = server_config(&trust.ca.issue(), versions);
        let cut = Script::answer(answer).then(End::Truncate);
        let server = Server::start_tls(config.clone(), vec![cut]);
        let finished = trust.fetch(&server).run();
        finished.assert_failed(56, "receive", "peer");
        assert_eq!(finished.stdout, b"hello");

        let server = Server::start_tls(config, vec![Script::answer(answer)]);
        assert_eq!(trust.fetch(&server).run().content(), b"hello");
    }
}

#[test]
fn content_of_known_length_cannot() {
    let trust = Trust::new();
    for versions in VERSIONS {
        let config = server_config(&trust.ca.issue(), versions);
        let whole = Script::answer(HELLO).then(End::Truncate);
        let server = Server::start_tls(config.clone(), vec![whole]);
        assert_eq!(trust.fetch(&server).run().content(), b"hello");

        let cut = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
        let server = Server::start_tls(config.clone(), vec![Script::answer(cut)]);
        trust
            .fetch(&server)
            .run()
            .assert_failed(18, "partial", "peer");

        let forged = Script::answer(cut).then(End::Truncate);
        let server = Server::start_tls(config, vec![forged]);
        let finished = trust.fetch(&server).run();
        finished.assert_failed(56, "receive", "peer");
        assert_eq!(finished.stdout, b"hello");
    }
}

#[test]
fn a_forged_record_is_noticed() {
    let trust = Trust::new();
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    let forged = [&[23, 3, 3, 0, 32][..], &[7; 32]].concat();
    let over_length = [&[23, 3, 3, 0x48, 1][..], &[7; 0x4801]].concat();
    let plain_alert = vec![0x15, 3, 3, 0, 2, 1, 0];
    let in_the_clear = b"world".to_vec();
    for versions in VERSIONS {
        let config = server_config(&trust.ca.issue(), versions);
        for bytes in [&forged, &over_length, &plain_alert, &in_the_clear] {
            let script = Script::answer(head).step(Step::SendRaw(bytes.clone()));
            let server = Server::start_tls(config.clone(), vec![script]);
            let finished = trust.fetch(&server).run();
            let code = finished.code();
            assert!(matches!(code, 35 | 56), "{bytes:?}: {finished:?}");
            assert_eq!(finished.report()["error"]["blame"], "peer");
            assert_eq!(finished.stdout, b"hello", "what was authentic stays");
        }
    }
}

#[test]
fn a_get_on_a_stale_connection_goes_out_again() {
    let trust = Trust::new();
    for versions in VERSIONS {
        for end in [End::Close, End::Truncate, End::Reset] {
            let config = server_config(&trust.ca.issue(), versions);
            let stale = Script::answers(&[HELLO]).step(Step::RequestHead).then(end);
            let server = Server::start_tls(config, vec![stale, Script::answers(&[HELLO])]);
            let finished = trust.fetch(&server).arg(server.url("/2")).run();
            assert_eq!(finished.content(), b"hellohello", "{end:?}");
            assert_eq!(server.connections(), 2, "{end:?}");
        }
    }
}

#[test]
fn large_content_is_byte_exact() {
    let trust = Trust::new();
    let block: Vec<u8> = (0..=255).cycle().take(50_021).collect();
    let times = 400;
    for versions in VERSIONS {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
            block.len() * times
        );
        let script = Script::answer(head).repeat(block.clone(), times);
        let server = Server::start_tls(server_config(&trust.ca.issue(), versions), vec![script]);
        let finished = trust.fetch(&server).run();
        let content = finished.content();
        assert_eq!(content.len(), block.len() * times);
        assert!(content.chunks(block.len()).all(|chunk| chunk == block));
        let bytes = &finished.report()["bytes"];
        assert_eq!(bytes["past_guests"], block.len() * times);
        assert!(
            bytes["through_guests"].as_u64().unwrap() < 32 * 1024,
            "{bytes}"
        );
    }
}

#[test]
fn uploads_are_byte_exact() {
    let trust = Trust::new();
    let content: Vec<u8> = (0..=255).rev().cycle().take(2_000_003).collect();
    for versions in VERSIONS {
        let server = serve(&trust.ca.issue(), versions);
        let finished = trust
            .fetch(&server)
            .args(["--data-binary", "@-"])
            .stdin(content.clone())
            .run();
        assert_eq!(finished.content(), b"hello");
        assert!(server.only_request().content == content);
    }
}

#[test]
fn a_redirect_out_of_tls_leaves_secrets_behind() {
    let trust = Trust::new();
    let plain = Server::start(vec![Script::answers(&[HELLO])]);
    let moved = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        plain.url("/there")
    );
    let config = server_config(&trust.ca.issue(), VERSIONS[1]);
    let server = Server::start_tls(config, vec![Script::answer(moved)]);
    let finished = trust
        .fetch(&server)
        .args(["-L", "-v", "-u", "me:secret"])
        .run();
    assert_eq!(finished.content(), b"hello");
    assert_eq!(plain.only_request().field("authorization"), None);
    assert!(
        finished.stderr.contains("WARNING: from https to http"),
        "{}",
        finished.stderr
    );
}

#[test]
fn the_key_log_is_written_for_those_who_ask() {
    let trust = Trust::new();
    for (versions, label) in VERSIONS
        .into_iter()
        .zip(["CLIENT_RANDOM ", "SERVER_TRAFFIC_SECRET_0 "])
    {
        let server = serve(&trust.ca.issue(), versions);
        let log = trust.folder.join(label.trim());
        let finished = trust.fetch(&server).env("SSLKEYLOGFILE", log.clone()).run();
        assert_eq!(finished.content(), b"hello");
        let text = std::fs::read_to_string(log).unwrap();
        let line = text.lines().find(|line| line.starts_with(label));
        let words: Vec<_> = line.unwrap().split(' ').collect();
        assert_eq!(words.len(), 3, "{text}");
        assert_eq!(words[1].len(), 64, "{text}");
        assert!(
            words[2].len() >= 64 && words[2].bytes().all(|it| it.is_ascii_hexdigit()),
            "{text}"
        );
    }
    // And for nobody else.
    let server = serve(&trust.ca.issue(), VERSIONS[1]);
    let folder = TempDir::new().unwrap();
    let finished = trust.fetch(&server).folder(folder.path()).run();
    assert_eq!(finished.content(), b"hello");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn anchors_that_cannot_be_read_are_told() {
    let folder = TempDir::new().unwrap();
    let canary = Canary::start();
    let url = format!("https://127.0.0.1:{}/", canary.port());
    let not_pem = folder.write("not.pem", "hello").unwrap();
    for file in [folder.join("absent"), not_pem, folder.path().to_owned()] {
        let finished = Fetch::new(&url).arg("--cacert").arg(&file).run();
        assert_eq!(finished.code(), 77, "{}: {finished:?}", file.display());
    }
    assert_eq!(canary.connections(), 0);
    canary.assert_alive();
}

#[test]
fn the_journey_tells_of_tls() {
    let trust = Trust::new();
    let server = serve(&trust.ca.issue(), VERSIONS[1]);
    let finished = trust.fetch(&server).arg("-v").run();
    assert!(
        finished.stderr.contains("* TLS 1.3, TLS_"),
        "{}",
        finished.stderr
    );
    assert!(
        finished.stderr.contains("certificate verified"),
        "{}",
        finished.stderr
    );
    let finished = Fetch::new(server.url("/")).args(["-v", "-k"]).run();
    assert!(
        finished.stderr.contains("NOT verified, as you asked"),
        "{}",
        finished.stderr
    );
}
