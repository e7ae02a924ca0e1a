//! The module directory, watched.

use std::fs;

use fumehood::{Engine, OnChange};

use crate::live::until_resting;
use crate::setting::{Setting, component, in_state, put, until};

/// What comes into its directory is current from then on.
async fn watching(it: &Setting) -> Engine {
    let builder = it.builder();
    let builder = builder.module_directory(it.path("dir"), OnChange::Swap);
    builder.launch().await.unwrap()
}

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
        // The engine may list it a moment before it is known where it came from.
        let taken = async || {
            let candidate = in_state(&modules, "candidate").await;
            candidate.filter(|it| it.origin == "directory")
        };
        assert_eq!(until(taken).await.version, "9.0.0");
    });
}

pub(crate) fn becomes_current_if_asked(it: &Setting) {
    it.run(async {
        let there = it.guest("dir/http1@9.0.0.wasm");
        let engine = watching(it).await;
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

pub(crate) fn what_is_deleted_is_withdrawn(it: &Setting) {
    it.run(async {
        let first = it.guest("dir/http1@9.0.0.wasm");
        let engine = watching(it).await;
        let modules = engine.modules();
        let find = async |version: &str| {
            let all = modules.inspect("http1").await.unwrap();
            let found = all.into_iter().find(|it| it.version == version);
            found.map(|it| (it.state.unwrap_or_default(), it.digest))
        };
        let stands =
            async |version: &str, state: &str| find(version).await.filter(|found| found.0 == state);
        until(async || stands("9.0.0", "current").await).await;
        // A candidate goes with its file, and cannot be asked for any more.
        let older = other_digest(it, &first, "dir/http1@0.0.1.wasm");
        let (_, digest) = until(async || stands("0.0.1", "candidate").await).await;
        fs::remove_file(older).unwrap();
        until(async || find("0.0.1").await.is_none().then_some(())).await;
        let error = modules.swap_to("http1", &digest).await.unwrap_err();
        assert_eq!(error.code(), "unknown-module");
        // What is current stays until another is, and is nothing to go back to then.
        let second = other_digest(it, &first, "outside.wasm");
        fs::remove_file(&first).unwrap();
        fs::write(it.path("dir/nameless.wasm"), "x").unwrap();
        let seen = async || !modules.list().await.unwrap().refused.is_empty();
        until(async || seen().await.then_some(())).await;
        assert!(stands("9.0.0", "current").await.is_some());
        put(&second, &it.path("dir/http1@9.1.0.wasm"));
        until(async || stands("9.1.0", "current").await).await;
        until(async || find("9.0.0").await.is_none().then_some(())).await;
        let back = modules.rollback("http1").await.unwrap();
        let (state, digest) = find("0.1.0").await.unwrap();
        assert_eq!((state.as_str(), back.to), ("current", digest_of(&digest)));
    });
}

pub(crate) fn what_changes_in_a_rest_is_not_lost(it: &Setting) {
    it.run(async {
        let first = it.guest("dir/http1@9.0.0.wasm");
        let engine = watching(it).await;
        let modules = engine.modules();
        // In what state a version is, while there is somebody to say so.
        let state = async |version: &str| {
            let mut all = modules.list().await.ok()?.modules.into_iter();
            let found = all.find(|it| it.name == "http1" && it.version == version);
            Some(found.and_then(|it| it.state).unwrap_or_default())
        };
        let comes_to = async |version: &str, wanted: &str| {
            until(async || state(version).await.filter(|it| it == wanted)).await
        };
        comes_to("9.0.0", "current").await;
        let older = other_digest(it, &first, "dir/http1@0.0.1.wasm");
        comes_to("0.0.1", "candidate").await;
        until_resting(&engine).await;
        fs::remove_file(older).unwrap();
        other_digest(it, &first, "dir/http1@9.1.0.wasm");
        comes_to("9.1.0", "current").await;
        comes_to("0.0.1", "").await;
        assert!(modules.list().await.unwrap().refused.is_empty());
    });
}

/// Whether there is a driver for it cannot be known before the rest is over.
pub(crate) fn no_scheme_is_unknown_for_a_rest(it: &Setting) {
    it.run(async {
        fs::create_dir(it.path("dir")).unwrap();
        let engine = watching(it).await;
        // Made beforehand, so that it can be asked for while the rest lasts.
        let gopher = it.path("gopher@1.0.0.wasm");
        put(&component("gopher"), &gopher);
        engine.modules().verify(&gopher, None).await.unwrap();
        until_resting(&engine).await;
        put(&gopher, &it.path("dir/gopher@1.0.0.wasm"));
        let known = async || match engine.parse_url("gopher://origin.test/").await {
            Ok(_) => Some(()),
            Err(error) => {
                assert!(error.rest().is_some(), "{error:?}");
                None
            }
        };
        until(known).await;
    });
}

pub(crate) fn a_driver_goes_with_its_files(it: &Setting) {
    it.run(async {
        let first = it.path("dir/gopher@1.0.0.wasm");
        fs::create_dir(it.path("dir")).unwrap();
        put(&component("gopher"), &first);
        let engine = watching(it).await;
        // Each version and its state.
        let all = async || {
            let mut all = engine.modules().list().await.unwrap().modules;
            all.retain(|info| info.name == "gopher");
            let all = all.into_iter();
            all.map(|info| (info.version, info.state.unwrap_or_default()))
                .collect::<Vec<_>>()
        };
        let current = |version: &str| (version.to_owned(), "current".to_owned());
        let serves = async || engine.parse_url("gopher://origin.test/").await.is_ok();
        until(async || (all().await == [current("1.0.0")]).then_some(())).await;
        assert!(serves().await);
        // Where there is one that was current before, it is so again.
        let second = other_digest(it, &first, "dir/gopher@1.1.0.wasm");
        until(async || all().await.contains(&current("1.1.0")).then_some(())).await;
        fs::remove_file(second).unwrap();
        until(async || (all().await == [current("1.0.0")]).then_some(())).await;
        assert!(serves().await);
        // With the last its scheme goes, and nothing is refused.
        fs::remove_file(&first).unwrap();
        until(async || all().await.is_empty().then_some(())).await;
        assert!(!serves().await);
        assert!(engine.modules().list().await.unwrap().refused.is_empty());
        // Another brings it back.
        other_digest(it, &component("gopher"), "dir/gopher@2.0.0.wasm");
        until(async || (all().await == [current("2.0.0")]).then_some(())).await;
        assert!(serves().await);
    });
}

/// The guest with a custom section more, under another name.
fn other_digest(it: &Setting, from: &std::path::Path, name: &str) -> std::path::PathBuf {
    let mut bytes = fs::read(from).unwrap();
    let section = [&[0, 2, 1][..], &name.as_bytes()[name.len() - 8..][..1]].concat();
    bytes.extend(section);
    fs::write(it.path("part"), bytes).unwrap();
    let path = it.path(name);
    put(&it.path("part"), &path);
    path
}

fn digest_of(hex: &str) -> [u8; 32] {
    let digits = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(digits)
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
