//! A peer that found a fault in every version there is.

use fumehood::control::{Cause, RetrySafety};
use fumehood::crashes;
use fumehood::{CrashReports, Error, Module};
use fumehood_tests::hostile::{Script, Server};
use fumehood_tests::temp::TempDir;

use crate::harness::{Test, test};
use crate::support::{HELLO, builder, fetch};

pub(crate) const TESTS: [Test; 1] = [test(
    "last_resort::each_request_ends_once_and_then_nothing_is_begun",
    || Box::pin(every_version_traps()),
)];

const POISON: &str = "HTTP/1.1 200 OK\r\nx-fumehood-fault: trap\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello";

/// The faulty version twice, and no sound one.
fn nothing_sound() -> Vec<Module> {
    let faulty = Module::embedded_faulty_http1();
    let mut twin = faulty.clone();
    twin.version = "0.0.1".into();
    twin.digest = [7; 32];
    let mut modules = Module::embedded_defaults();
    modules.retain(|module| module.name != "http1");
    modules.extend([twin, faulty]);
    modules
}

async fn every_version_traps() {
    let folder = TempDir::new().unwrap();
    let engine = builder()
        .modules(nothing_sound())
        .crash_reports(CrashReports::In(folder.join("crashes")))
        .launch()
        .await
        .unwrap();
    let reports = async || {
        engine.flush_reports().await;
        crashes::list(&folder.join("crashes")).unwrap()
    };
    let server = Server::start(vec![Script::answer(POISON)]);
    let mut written = 0;
    // The current one, itself once more, the one before. With the second
    // request the first has had too many faults; the other takes over with a
    // clean record, and has too many with the fourth.
    for (request, faults) in [(1, 3), (2, 3), (3, 2), (4, 2)] {
        let error = fetch(&engine, &server.url("/")).await.unwrap_err();
        assert!(matches!(error, Error::Guest(_)), "{error:?}");
        assert_eq!(server.connections(), request, "it was asked once more");
        written += faults;
        assert_eq!(reports().await.len(), written);
    }
    let quarantined = reports().await.iter().filter(|it| it.quarantined).count();
    assert_eq!(quarantined, 2);

    // Nothing is left: no byte is sent, and what to do is said.
    let error = fetch(&engine, &server.url("/")).await.unwrap_err();
    let Some(Cause::Guest { kind, .. }) = error.cause() else {
        panic!("{error:?}");
    };
    assert_eq!(kind, "no-instance");
    assert_eq!(error.retry_safety(), RetrySafety::NotSent);
    let text = error.to_string();
    for words in [
        "quarantined",
        "fumehood modules load",
        "fumehood modules swap",
    ] {
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(server.requests().concat().len(), 4);
    assert_eq!(reports().await.len(), written);

    // What was quarantined begins anew when it is asked for by name.
    let modules = engine.modules();
    let listed = modules.inspect("http1").await.unwrap();
    assert!(
        listed
            .iter()
            .all(|it| it.state.as_deref() == Some("quarantined")),
        "{listed:?}"
    );
    modules.swap("http1", [7; 32]).await.unwrap();
    let honest = Server::start(vec![Script::answers(&[HELLO])]);
    assert_eq!(fetch(&engine, &honest.url("/")).await.unwrap(), b"hello");
}
