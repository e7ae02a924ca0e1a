//! The admin socket, from the outside.

use fumehood::admin::{AdminError, Request, ask};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use crate::setting::Setting;

pub(crate) fn all_commands(it: &Setting) {
    it.run(async {
        let socket = it.path("run/test.sock");
        let engine = it.builder().admin_socket(&socket).launch().await.unwrap();
        let listing = ask(&socket, &Request::List {}).await.unwrap();
        assert_eq!(listing["modules"].as_array().unwrap().len(), 5);
        let shape = [
            "component_bytes",
            "digest",
            "exports",
            "file",
            "imports",
            "name",
            "native_bytes",
            "origin",
            "schemes",
            "signature",
            "state",
            "use",
            "version",
        ];
        let first = listing["modules"][0].as_object().unwrap();
        let mut keys: Vec<&str> = first.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, shape);
        assert_eq!(first["state"], "current");

        let path = it.guest("http1@9.0.0.wasm");
        let verify = Request::Verify {
            path: path.clone(),
            name: None,
            version: None,
        };
        let verified = ask(&socket, &verify).await.unwrap();
        assert_eq!(verified["signature"], "unsigned");
        let load = Request::Load {
            path,
            name: None,
            version: None,
        };
        let loaded = ask(&socket, &load).await.unwrap();
        assert_eq!(
            (&loaded["digest"], &loaded["cached"]),
            (&verified["digest"], &true.into())
        );
        let digest = loaded["digest"].as_str().unwrap();
        let swap = Request::Swap {
            name: "http1".into(),
            digest: digest[..10].to_uppercase(),
        };
        assert_eq!(ask(&socket, &swap).await.unwrap()["to"], digest);
        let inspect = Request::Inspect {
            name: "http1".into(),
        };
        assert_eq!(
            ask(&socket, &inspect)
                .await
                .unwrap()
                .as_array()
                .unwrap()
                .len(),
            2
        );
        let rollback = Request::Rollback {
            name: "http1".into(),
        };
        assert_eq!(ask(&socket, &rollback).await.unwrap()["from"], digest);
        let unknown = Request::Inspect {
            name: "gopher".into(),
        };
        let error = ask(&socket, &unknown).await.unwrap_err();
        assert!(matches!(error, AdminError::Refused { code, .. } if code == "unknown-module"));
        drop(engine);
        crate::setting::until(async || (!socket.exists()).then_some(())).await;
    });
}

pub(crate) fn odd_lines_get_an_answer(it: &Setting) {
    it.run(async {
        let socket = it.path("test.sock");
        let _engine = it.builder().admin_socket(&socket).launch().await.unwrap();
        let mut stream = BufReader::new(UnixStream::connect(&socket).await.unwrap());
        let cases = [
            ("not json", "malformed"),
            ("", "malformed"),
            ("\u{0}", "malformed"),
            ("[]", "unknown-command"),
            ("{}", "unknown-command"),
            (r#"{"command":"format-disk"}"#, "unknown-command"),
            (r#"{"command":"swap"}"#, "malformed"),
            (r#"{"command":"list","and":"more"}"#, "malformed"),
            (
                r#"{"command":"load","path":"/nowhere/http1@1.0.0.wasm"}"#,
                "file",
            ),
            (
                r#"{"command":"load","path":"/dev/zero","name":"http1","version":"1.0.0"}"#,
                "file",
            ),
            (
                r#"{"command":"load","path":"/dev/null","name":"http1"}"#,
                "name",
            ),
            (
                r#"{"command":"swap","name":"http1","digest":""}"#,
                "ambiguous",
            ),
            (
                r#"{"command":"swap","name":"http1","digest":"zzzz"}"#,
                "unknown-module",
            ),
        ];
        for (line, code) in cases {
            stream
                .write_all(format!("{line}\n").as_bytes())
                .await
                .unwrap();
            let mut answer = String::new();
            stream.read_line(&mut answer).await.unwrap();
            let answer: fumehood::admin::Answer = serde_json::from_str(&answer).unwrap();
            assert!(!answer.ok, "{line}");
            assert_eq!(answer.error.unwrap().code, code, "{line}");
        }
    });
}
