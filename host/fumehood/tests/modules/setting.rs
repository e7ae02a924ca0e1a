//! Folders, guests, and a runtime for each test.

use std::path::{Path, PathBuf};

use fumehood::{Anchors, CrashReports, Engine, EngineBuilder, ModuleInfo, Modules};

/// A test's folders, gone with it.
pub(crate) struct Setting {
    temp: tempfile::TempDir,
}

impl Setting {
    pub(crate) fn new() -> Self {
        Setting {
            temp: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// An engine that touches nothing outside of the test's folders.
    pub(crate) fn builder(&self) -> EngineBuilder {
        Engine::builder()
            .anchors(Anchors::Nothing)
            .crash_reports(CrashReports::In(self.path("crashes")))
            .module_cache(self.path("cache"))
            .compiler(release_folder().join("fumehood-compiler"))
    }

    /// The faulty guest, which is an `http1` with another digest, as a file.
    pub(crate) fn guest(&self, file: &str) -> PathBuf {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(component("http1-faulty"), &path).unwrap();
        path
    }

    pub(crate) fn run(&self, test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(test);
    }
}

/// A guest that `cargo xtask guests` has built.
pub(crate) fn component(name: &str) -> PathBuf {
    let path = release_folder()
        .join("../guests/out")
        .join(format!("{name}.wasm"));
    assert!(
        path.exists(),
        "{} is not there: cargo xtask build",
        path.display()
    );
    path
}

pub(crate) fn release_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(2).unwrap().to_owned()
}

/// The version of `http1` in a state.
pub(crate) async fn in_state(modules: &Modules, state: &str) -> Option<ModuleInfo> {
    let all = modules.inspect("http1").await.unwrap();
    all.into_iter()
        .find(|info| info.state.as_deref() == Some(state))
}

/// How long something may take to come about; it takes milliseconds, and a
/// compiler's work where code is made.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Asks until it holds.
pub(crate) async fn until<T>(mut asked: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(found) = asked().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap()
}

/// Puts a file in place in one step.
pub(crate) fn put(from: &Path, to: &Path) {
    let beside = to.with_extension("part");
    std::fs::copy(from, &beside).unwrap();
    std::fs::rename(beside, to).unwrap();
}
