//! The module directory, watched.

use std::fs;

use fumehood::OnChange;

use crate::setting::{Setting, in_state, put, until};

pub(crate) fn what_is_put_there_is_taken(it: &Setting) {
    it.run(async {
        fs::create_dir(it.path("dir")).unwrap();
        let outside = it.guest("outside.wasm");
        let builder = it
            .builder()
            .module_directory(it.path("dir"), OnChange::Candidate);
        let engine = builder.launch().await.unwrap();
        let modules = engine.modules();
        put(&outside, &it.path("dir/http1@9.0.0.wasm"));
        let candidate = until(async || in_state(&modules, "candidate").await).await;
        assert_eq!(
            (candidate.version.as_str(), candidate.origin.as_str()),
            ("9.0.0", "directory")
        );
    });
}

pub(crate) fn becomes_current_if_asked(it: &Setting) {
    it.run(async {
        let there = it.guest("dir/http1@9.0.0.wasm");
        let builder = it
            .builder()
            .module_directory(it.path("dir"), OnChange::Swap);
        let engine = builder.launch().await.unwrap();
        let modules = engine.modules();
        let is_current = async || {
            in_state(&modules, "current")
                .await
                .filter(|it| it.version == "9.0.0")
        };
        until(is_current).await;
        // An older one is a candidate and no more.
        let mut older = fs::read(&there).unwrap();
        older.extend(b"\0\x02\x01x"); // another digest: a custom section
        fs::write(it.path("part"), older).unwrap();
        put(&it.path("part"), &it.path("dir/http1@0.0.1.wasm"));
        until(async || {
            in_state(&modules, "candidate")
                .await
                .filter(|it| it.version == "0.0.1")
        })
        .await;
        assert_eq!(
            in_state(&modules, "current").await.unwrap().version,
            "9.0.0"
        );
    });
}

pub(crate) fn what_is_refused_is_listed(it: &Setting) {
    it.run(async {
        fs::create_dir(it.path("dir")).unwrap();
        fs::write(it.path("dir/nameless.wasm"), "x").unwrap();
        fs::write(it.path("dir/http1@1.0.0.wasm"), "no component").unwrap();
        let builder = it
            .builder()
            .module_directory(it.path("dir"), OnChange::Candidate);
        let engine = builder.launch().await.unwrap();
        let modules = engine.modules();
        let refused = until(async || {
            Some(modules.list().await.unwrap().refused).filter(|refused| refused.len() == 2)
        });
        let refused = refused.await;
        assert!(
            refused
                .iter()
                .any(|it| it.file.ends_with("nameless.wasm") && it.why.contains("NAME@VERSION"))
        );
        assert!(
            refused
                .iter()
                .any(|it| it.why.contains("not a WebAssembly component"))
        );
        // Replaced by something better, it is forgiven.
        put(&it.guest("outside.wasm"), &it.path("dir/http1@1.0.0.wasm"));
        until(async || in_state(&modules, "candidate").await).await;
        assert_eq!(modules.list().await.unwrap().refused.len(), 1);
    });
}
