//! Connections of others, lines that are no requests, sockets in the way.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Weak;

use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn requests_have_one_shape_each() {
    let cases = [
        (r#"{"command":"list"}"#, Some(Request::List {})),
        (
            r#"{"command":"swap","name":"a","digest":"0011"}"#,
            Some(Request::Swap {
                name: "a".into(),
                digest: "0011".into(),
            }),
        ),
        (
            r#"{"command":"load","path":"/a"}"#,
            Some(Request::Load {
                path: "/a".into(),
                name: None,
                version: None,
            }),
        ),
        (r#"{"command":"list","name":"a"}"#, None),
        (r#"{"command":"swap","name":"a"}"#, None),
        (r#"{"command":"rollback","name":"a","force":true}"#, None),
        (r#"{"command":"shutdown"}"#, None),
        (r#"{"name":"a"}"#, None),
        ("[]", None),
    ];
    for (line, want) in cases {
        let got = serde_json::from_str::<Request>(line).ok();
        assert_eq!(got, want, "{line}");
        if let Some(request) = want {
            assert_eq!(serde_json::to_string(&request).unwrap(), line);
        }
    }
}

#[test]
fn another_user_is_turned_away_even_with_a_descriptor() {
    assert!(listener::admit(1000, 1000).is_ok());
    let refusal = listener::admit(1001, 1000).unwrap_err();
    assert_eq!(refusal.error.unwrap().code, "wrong-user");
    assert!(listener::admit(0, 1000).is_err());
}

#[test]
fn the_socket_is_its_owner_s_and_goes_with_the_engine() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("run/a.sock");
    runtime().block_on(async {
        let listener = Listener::bind(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let second = Listener::bind(&path).unwrap_err().to_string();
        assert!(second.contains("another program listens"), "{second}");
        drop(listener);
        assert!(!path.exists());
    });
}

#[test]
fn what_is_in_the_way_is_removed_only_where_it_is_a_dead_socket() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a.sock");
    runtime().block_on(async {
        std::fs::write(&path, "precious").unwrap();
        assert!(Listener::bind(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        Listener::bind(&path).unwrap();
    });
    let long = temp.path().join("x".repeat(200));
    runtime().block_on(async { assert!(Listener::bind(&long).is_err()) });
}

#[test]
fn a_line_without_end_is_refused_and_a_gone_engine_says_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a.sock");
    runtime().block_on(async {
        let listener = Listener::bind(&path).unwrap();
        let serving = tokio::spawn(listener.serve(Weak::new()));
        let mut stream = UnixStream::connect(&path).await.unwrap();
        // More than the bound by one: no newline ever comes.
        stream
            .write_all(&vec![b'x'; MAX_REQUEST + 1])
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let answer: Answer = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer.error.unwrap().code, "line-too-long");
        let error = ask(&path, &Request::List {}).await.unwrap_err();
        assert!(matches!(error, AdminError::Socket { .. }), "{error}");
        serving.abort();
    });
}
