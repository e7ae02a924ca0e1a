//! A guest that traps: its report, its recording, and the same end again.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use fumehood::control::Blame;
use fumehood::crashes;
use fumehood::replay::{Replayed, replay};
use http_body_util::Empty;

use crate::setting::Setting;

/// What the faulty guest traps at.
const PROVOCATION: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-fumehood-fault: trap\r\n\r\n";

pub(crate) fn is_reported_and_replayed(it: &Setting) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        // As often as the request is sent again; ends with the test's process.
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let _some = stream.read(&mut head).unwrap();
            stream.write_all(PROVOCATION).unwrap();
        }
    });
    drop(server);
    it.run(async {
        let host = format!("127.0.0.1:{port}").parse().unwrap();
        let faulty = fumehood::Module::embedded_faulty_http1();
        let mut modules = fumehood::Module::embedded_defaults();
        modules.retain(|module| module.name != "http1");
        modules.push(faulty);
        let builder = it
            .builder()
            .modules(modules)
            .record(true)
            .allow_private(host)
            .unwrap();
        let engine = builder.launch().await.unwrap();
        let request = http::Request::get(format!("http://127.0.0.1:{port}/secret-path"));
        let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
        let error = engine.client().send(request).await.unwrap_err();
        assert_eq!(error.blame(), Blame::Guest, "{error}");
        engine.flush_reports().await;
        let reports = crashes::list(&it.path("crashes")).unwrap();
        let report = reports.first().unwrap();
        assert_eq!(
            (report.module.as_str(), report.kind.as_str()),
            ("http1", "trap")
        );
        assert!(!report.trail.is_empty() && !report.backtrace.is_empty());
        assert!(report.layers.contains(&"seccomp".to_owned()));
        let text = serde_json::to_string(report).unwrap();
        assert!(
            !text.contains("secret-path") && !text.contains("x-fumehood-fault"),
            "{text}"
        );

        let recording = it.path("crashes").join(report.recording.as_ref().unwrap());
        let trail = crashes::read_trail(&recording).unwrap();
        for _ in 0..2 {
            let replayed = replay(&trail, None).await.unwrap();
            assert!(
                trail.is_reproduced_by(&replayed),
                "{replayed:?} and not {trail:?}"
            );
        }
        // Without its last call it comes to no bad end.
        let mut shorter = trail.clone();
        shorter.calls.pop();
        assert_eq!(replay(&shorter, None).await.unwrap(), Replayed::Survived);
        let mut damaged = trail;
        damaged.digest = "00".repeat(32);
        assert!(
            replay(&damaged, None)
                .await
                .unwrap_err()
                .to_string()
                .contains("--module")
        );
    });
}
