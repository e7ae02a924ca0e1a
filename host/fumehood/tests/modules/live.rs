//! Load, swap, roll back; what is refused on the way.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use fumehood::{Engine, ModuleError, ModuleKey, ModuleTrust};

use crate::setting::{Setting, component, in_state, until};

pub(crate) fn a_file_becomes_current_and_goes_back(it: &Setting) {
    it.run(async {
        let engine = it.builder().launch().await.unwrap();
        let modules = engine.modules();
        let before = in_state(&modules, "current").await.unwrap();
        assert_eq!(before.origin, "embedded");
        let file = it.guest("http1@9.0.0.wasm");
        let loaded = modules.load(&file, None).await.unwrap();
        let candidate = in_state(&modules, "candidate").await.unwrap();
        assert_eq!(candidate.digest, loaded.digest_hex());
        assert_eq!(
            (candidate.version.as_str(), candidate.origin.as_str()),
            ("9.0.0", "file")
        );
        assert_eq!(
            candidate.imports,
            [
                "fumehood:guest/panic@0.1.0",
                "fumehood:http1/preferences@0.1.0"
            ]
        );
        assert!(candidate.component_bytes > 0 && candidate.native_bytes > 0);
        let swapped = modules
            .swap_to("http1", &loaded.digest_hex()[..8])
            .await
            .unwrap();
        assert_eq!(swapped.to, loaded.digest);
        let current = in_state(&modules, "current").await.unwrap();
        assert_eq!(current.digest, loaded.digest_hex());
        let back = modules.rollback("http1").await.unwrap();
        assert_eq!((back.from, back.to), (swapped.to, swapped.from));
        println!(
            "  loaded in {} µs, swapped in {} µs",
            loaded.took_us, swapped.took_us
        );
    });
}

pub(crate) fn code_is_made_once(it: &Setting) {
    it.run(async {
        let file = it.guest("http1@9.0.0.wasm");
        let engine = it.builder().launch().await.unwrap();
        assert!(!engine.modules().load(&file, None).await.unwrap().cached);
        let engine = it.builder().launch().await.unwrap();
        assert!(engine.modules().load(&file, None).await.unwrap().cached);
        let entry = fs::read_dir(it.path("cache"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
    });
}

pub(crate) fn damaged_code_is_made_anew(it: &Setting) {
    it.run(async {
        let file = it.guest("http1@9.0.0.wasm");
        it.builder()
            .launch()
            .await
            .unwrap()
            .modules()
            .load(&file, None)
            .await
            .unwrap();
        let entry = fs::read_dir(it.path("cache"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let mut bytes = fs::read(&entry).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&entry, &bytes).unwrap();
        let engine = it.builder().launch().await.unwrap();
        assert!(!engine.modules().load(&file, None).await.unwrap().cached);
        bytes[last] ^= 1;
        assert!(
            fs::read(&entry).unwrap() == bytes,
            "it is as it was before the damage"
        );
    });
}

pub(crate) fn without_a_compiler_it_says_so(it: &Setting) {
    it.run(async {
        let engine = it
            .builder()
            .compiler(it.path("absent"))
            .launch()
            .await
            .unwrap();
        let error = engine
            .modules()
            .load(&it.guest("http1@9.0.0.wasm"), None)
            .await
            .unwrap_err();
        assert_eq!(error.code(), "no-compiler");
        assert!(error.to_string().contains("FUMEHOOD_COMPILER"), "{error}");
        // A program that is no compiler ends without a word.
        let engine = it.builder().compiler("/bin/true").launch().await.unwrap();
        let error = engine
            .modules()
            .load(&it.guest("http1@9.0.0.wasm"), None)
            .await
            .unwrap_err();
        assert_eq!(error.code(), "compiler");
    });
}

pub(crate) fn what_the_engine_refuses_changes_nothing(it: &Setting) {
    it.run(async {
        let engine = it.builder().launch().await.unwrap();
        let modules = engine.modules();
        let before = in_state(&modules, "current").await.unwrap();
        // A component of another kind under this name.
        let file = it.path("http1@9.0.0.wasm");
        fs::copy(component("x509"), &file).unwrap();
        let error = modules.load(&file, None).await.unwrap_err();
        assert_eq!(error.code(), "refused", "{error}");
        // One of this kind for another engine.
        let sound = fs::read(component("http1")).unwrap();
        fs::write(&file, replaced(&sound, CLIENT, LATER_CLIENT)).unwrap();
        let error = modules.load(&file, None).await.unwrap_err();
        assert_eq!(error.code(), "refused", "{error}");
        let said = format!("it exports {LATER_CLIENT}, and this engine needs {CLIENT}");
        assert!(error.to_string().contains(&said), "{error}");
        fs::write(&file, b"\0asm\x0d\0\x01\0garbage").unwrap();
        assert_eq!(
            modules.load(&file, None).await.unwrap_err().code(),
            "compile"
        );
        fs::write(&file, b"\0asm\x0d\0\x01\0").unwrap();
        assert_eq!(
            modules.load(&file, None).await.unwrap_err().code(),
            "refused"
        );
        assert_eq!(
            modules.swap("http1", [7; 32]).await.unwrap_err().code(),
            "refused"
        );
        assert_eq!(
            modules.rollback("http1").await.unwrap_err().code(),
            "refused"
        );
        assert_eq!(
            modules.rollback("nothing").await.unwrap_err().code(),
            "refused"
        );
        assert_eq!(
            modules.inspect("nothing").await.unwrap_err().code(),
            "unknown-module"
        );
        assert_eq!(
            in_state(&modules, "current").await.unwrap().digest,
            before.digest
        );
    });
}

/// What an engine needs of `http1`, and what there is not.
const CLIENT: &str = "fumehood:http1/client@0.1.0";
const LATER_CLIENT: &str = "fumehood:http1/client@9.0.0";

/// With another name of the same length wherever this one is.
fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() - from.len() {
        let here = &mut bytes[at..][..from.len()];
        if here == from.as_bytes() {
            here.copy_from_slice(to.as_bytes());
        }
    }
    bytes
}

pub(crate) fn only_what_is_trusted_is_loaded(it: &Setting) {
    it.run(async {
        let file = it.guest("http1@9.0.0.wasm");
        let trust = ModuleTrust::new()
            .signed_only()
            .key(ModuleKey::new([1; 32]));
        let engine = it.builder().trust(trust).launch().await.unwrap();
        let error = engine.modules().load(&file, None).await.unwrap_err();
        assert_eq!(error.code(), "unsigned");
        fs::write(it.path("http1@9.0.0.wasm.sig"), "00".repeat(64)).unwrap();
        let error = engine.modules().load(&file, None).await.unwrap_err();
        assert_eq!(error.code(), "bad-signature");

        let trust = ModuleTrust::new().no_older(it.path("state/accepted.json"));
        let engine = it.builder().trust(trust).launch().await.unwrap();
        engine.modules().load(&file, None).await.unwrap();
        let old = it.guest("http1@8.0.0.wasm");
        assert_eq!(
            engine.modules().load(&old, None).await.unwrap_err().code(),
            "rolled-back"
        );
    });
}

pub(crate) fn a_new_engine_has_what_the_old_one_had(it: &Setting) {
    it.run(async {
        let file = it.guest("http1@9.0.0.wasm");
        let engine = it.builder().launch().await.unwrap();
        let modules = engine.modules();
        let loaded = modules.load(&file, None).await.unwrap();
        modules.swap("http1", loaded.digest).await.unwrap();
        kill_engine();
        // Whether or not this side knows already, the next question but one is
        // answered by another engine.
        let current = until(async || {
            let all = modules.inspect("http1").await.ok()?;
            all.into_iter()
                .find(|info| info.state.as_deref() == Some("current"))
        });
        assert_eq!(current.await.digest, loaded.digest_hex());
        let back = modules.rollback("http1").await.unwrap();
        assert_eq!(back.from, loaded.digest);
    });
}

/// Has engines die until none is launched for a while.
pub(crate) async fn until_resting(engine: &Engine) {
    let modules = engine.modules();
    let answered = async || modules.list().await.ok();
    loop {
        kill_engine();
        until(async || (!engine.status().await.engine.alive).then_some(())).await;
        match modules.list().await {
            Err(ModuleError::Engine(error)) if error.rest().is_some() => {
                if error.rest().unwrap().left() >= A_WHILE {
                    return;
                }
            }
            listed => drop(listed.unwrap()),
        }
        until(answered).await;
    }
}

/// Longer than it takes to see a change of a directory.
const A_WHILE: Duration = Duration::from_millis(700);

/// The engine is a child of ours whose first argument says so.
fn kill_engine() {
    let children = fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id()));
    let children = children.unwrap();
    let is_engine = |pid: &&str| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"fumehood-engine")
    };
    let engine = children.split_whitespace().find(is_engine).unwrap();
    let pid = rustix::process::Pid::from_raw(engine.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

pub(crate) fn two_at_once_leave_one_whole_file(it: &Setting) {
    it.run(async {
        let file = it.guest("http1@9.0.0.wasm");
        let (a, b) = (
            it.builder().launch().await.unwrap(),
            it.builder().launch().await.unwrap(),
        );
        let (a, b) = (a.modules(), b.modules());
        let (a, b) = tokio::join!(a.load(&file, None), b.load(&file, None));
        assert_eq!(a.unwrap().digest, b.unwrap().digest);
        assert_eq!(fs::read_dir(it.path("cache")).unwrap().count(), 1);
        let engine = it.builder().launch().await.unwrap();
        assert!(engine.modules().load(&file, None).await.unwrap().cached);
    });
}
