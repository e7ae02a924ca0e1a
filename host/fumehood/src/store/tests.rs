//! Files of others, files too large, and many at once.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::thread;

use super::{Store, StoreError};

fn store() -> (tempfile::TempDir, Store) {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(&temp.path().join("a/b")).unwrap();
    (temp, store)
}

fn chmod(path: impl AsRef<std::path::Path>, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_is_made_is_private() {
    let (_temp, store) = store();
    store.write("a", &[b"one", b"two"]).unwrap();
    assert_eq!(store.read("a", 6).unwrap(), b"onetwo");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(store.path().to_owned()), 0o700);
    assert_eq!(mode(store.path().join("a")), 0o600);
}

#[test]
fn what_others_could_change_is_not_read() {
    let (_temp, store) = store();
    store.write("a", &[b"x"]).unwrap();
    for mode in [0o620, 0o602, 0o640, 0o604] {
        chmod(store.path().join("a"), mode);
        assert!(
            matches!(store.read("a", 9), Err(StoreError::Mode { .. })),
            "{mode:o}"
        );
    }
    chmod(store.path(), 0o770);
    assert!(matches!(
        Store::open(store.path()),
        Err(StoreError::Mode { mode: 0o770 })
    ));
}

#[test]
fn neither_pipes_nor_links_out_nor_large_files_are_read() {
    let (temp, store) = store();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        store.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    assert!(matches!(store.read("pipe", 9), Err(StoreError::Kind)));
    fs::write(temp.path().join("outside"), "x").unwrap();
    symlink(temp.path().join("outside"), store.path().join("link")).unwrap();
    assert!(store.read("link", 9).is_err());
    assert!(store.read("../../outside", 9).is_err());
    store.write("large", &[&[0; 10]]).unwrap();
    assert!(matches!(
        store.read("large", 9),
        Err(StoreError::TooLarge {
            bytes: 10,
            bound: 9
        })
    ));
}

#[test]
fn the_oldest_go_first() {
    let (_temp, store) = store();
    for index in 0..20 {
        store.write(&format!("{index:02}"), &[&[0; 100]]).unwrap();
    }
    store.prune(10, 10_000).unwrap();
    let names = |store: &Store| -> Vec<String> {
        store
            .list()
            .unwrap()
            .into_iter()
            .map(|entry| entry.name)
            .collect()
    };
    assert_eq!(names(&store).len(), 10);
    assert_eq!(names(&store).first().unwrap(), "10");
    store.prune(10, 350).unwrap();
    assert_eq!(names(&store), ["17", "18", "19"]);
    store.prune(0, 0).unwrap();
    assert!(names(&store).is_empty());
}

#[test]
fn writers_at_once_leave_one_whole_file() {
    let (_temp, store) = store();
    thread::scope(|scope| {
        for byte in 0..8_u8 {
            let store = &store;
            scope.spawn(move || {
                for _ in 0..50 {
                    store.write("a", &[&[byte; 5000]]).unwrap();
                    let read = store.read("a", 5000).unwrap();
                    assert!(read.len() == 5000 && read.iter().all(|b| *b == read[0]));
                }
            });
        }
    });
    assert_eq!(fs::read_dir(store.path()).unwrap().count(), 1);
}
