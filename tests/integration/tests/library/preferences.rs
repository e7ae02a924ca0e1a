//! What is preferred of the guests: pushed to each engine, at once.

use fumehood::control::{Cause, DnsPreferences, GuestPreferences, Http1Preferences};
use fumehood_tests::hostile::{Script, Server};

use crate::harness::{Test, test};
use crate::support::{builder, cause, engine, fetch, own};

pub(crate) const TESTS: [Test; 2] = [
    test(
        "preferences::a_bound_holds_from_the_next_request_and_in_the_next_engine",
        || Box::pin(followed()),
    ),
    test(
        "preferences::what_is_out_of_its_bounds_is_moved_to_the_nearest",
        || Box::pin(bounded()),
    ),
];

fn at_most(max_head_bytes: u32) -> GuestPreferences {
    GuestPreferences {
        http1: Http1Preferences {
            max_head_bytes,
            ..Http1Preferences::default()
        },
        dns: DnsPreferences::default(),
    }
}

/// Answers whose heads have some 8 KiB.
fn wide() -> Server {
    let field = format!("x-wide: {}", "x".repeat(8000));
    let answer = format!("HTTP/1.1 200 OK\r\n{field}\r\ncontent-length: 2\r\n\r\nok");
    Server::start(vec![Script::answer(answer)])
}

async fn followed() {
    let engine = engine().await;
    let get = async || fetch(&engine, &wide().url("/")).await;
    assert_eq!(get().await.unwrap(), b"ok");
    let before = engine.revision();
    let revision = engine.set_guest_preferences(at_most(4096)).await.unwrap();
    assert_eq!(
        (revision.number, &revision.digest),
        (before.number + 1, &before.digest)
    );
    assert_eq!(cause(get().await), Cause::Limit("head-bytes".to_owned()));
    // Another engine is told before its first request.
    own("engine").kill().unwrap();
    assert_eq!(cause(get().await), Cause::Limit("head-bytes".to_owned()));
    engine.set_guest_preferences(at_most(16_384)).await.unwrap();
    assert_eq!(get().await.unwrap(), b"ok");
}

async fn bounded() {
    let engine = builder()
        .guest_preferences(at_most(0))
        .launch()
        .await
        .unwrap();
    let least = engine.guest_preferences().http1.max_head_bytes;
    assert_eq!(least, fumehood::control::MIN_HEAD_BYTES);
    engine
        .set_guest_preferences(at_most(u32::MAX))
        .await
        .unwrap();
    assert_eq!(engine.guest_preferences(), GuestPreferences::default());
}
