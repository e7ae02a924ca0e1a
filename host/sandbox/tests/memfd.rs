//! Sealed memory: what is sealed stays, and what is not sealed is refused.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs::File;
use std::io::{PipeReader, Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::time::Duration;

use fumehood_sandbox::{MemfdError, map_code, map_sealed, scratch, seal_scratch, sealed};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create, sendfile};

const BOUND: usize = 1024;

#[test]
fn parts_are_read_back_as_one() {
    let fd = sealed("test", &[b"native ", b"", b"code"]).unwrap();
    let map = map_sealed(&fd, BOUND).unwrap();
    drop(fd);
    assert_eq!(&*map, b"native code");
}

#[test]
fn nothing_is_a_length_too() {
    let fd = sealed("test", &[]).unwrap();
    assert_eq!(&*map_sealed(&fd, 0).unwrap(), b"");
}

#[test]
fn nobody_changes_it() {
    let fd = sealed("test", &[b"as it is"]).unwrap();
    assert!(ftruncate(&fd, 0).is_err());
    assert!(ftruncate(&fd, 100).is_err());
    assert!(fcntl_add_seals(&fd, SealFlags::FUTURE_WRITE).is_err());
    assert!(File::from(fd).write_all(b"x").is_err());
}

/// Memory whose pages are held, as the kernel itself holds some where it moves them;
/// here a pipe does, until it is read.
fn held() -> (OwnedFd, PipeReader) {
    let memory = scratch("test").unwrap();
    File::from(memory.try_clone().unwrap())
        .write_all(b"as it is")
        .unwrap();
    let (reader, writer) = pipe().unwrap();
    assert_eq!(sendfile(writer, &memory, Some(&mut 0), 8), Ok(8));
    (memory, reader)
}

#[test]
fn what_is_held_for_a_while_is_sealed_then() {
    let (memory, mut reader) = held();
    assert!(fcntl_add_seals(&memory, SealFlags::WRITE).is_err());
    std::thread::scope(|scope| {
        let sealing = scope.spawn(|| seal_scratch(&memory));
        // Whether it has begun by now or not, it ends well.
        std::thread::sleep(Duration::from_millis(300));
        reader.read_exact(&mut [0; 8]).unwrap();
        sealing.join().unwrap().unwrap();
    });
    assert_eq!(&*map_sealed(&memory, BOUND).unwrap(), b"as it is");
}

#[test]
fn what_is_held_for_ever_is_not_sealed() {
    let (memory, _reader) = held();
    let refused = seal_scratch(&memory).unwrap_err();
    let MemfdError::Io { source, .. } = refused else {
        panic!("{refused}");
    };
    assert_eq!(source.kind(), std::io::ErrorKind::ResourceBusy);
}

#[test]
fn the_bound_is_exact() {
    let fd = sealed("test", &[&[0; BOUND]]).unwrap();
    assert_eq!(map_sealed(&fd, BOUND).unwrap().len(), BOUND);
    let refused = map_sealed(&fd, BOUND - 1).unwrap_err();
    assert!(
        matches!(
            refused,
            MemfdError::TooLarge {
                bytes: 1024,
                bound: 1023
            }
        ),
        "{refused}"
    );
}

#[test]
fn any_seal_lacking_is_refused() {
    let all = [
        SealFlags::SEAL,
        SealFlags::SHRINK,
        SealFlags::GROW,
        SealFlags::WRITE,
    ];
    for lacking in all {
        let fd = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        let some = all
            .into_iter()
            .filter(|seal| *seal != lacking)
            .collect::<SealFlags>();
        fcntl_add_seals(&fd, some).unwrap();
        let refused = map_sealed(&fd, BOUND).unwrap_err();
        assert!(
            matches!(refused, MemfdError::Unsealed),
            "{lacking:?}: {refused}"
        );
    }
}

#[test]
fn what_cannot_be_sealed_is_refused() {
    let file = File::open("/proc/self/exe").unwrap();
    assert!(matches!(
        map_sealed(&file, usize::MAX),
        Err(MemfdError::Unsealed)
    ));
    let (other, _) = pipe().unwrap();
    assert!(matches!(
        map_sealed(&other, BOUND),
        Err(MemfdError::Unsealed)
    ));
}

#[test]
fn a_name_with_a_nul_is_an_error() {
    assert!(matches!(sealed("a\0b", &[]), Err(MemfdError::Io { .. })));
}

#[test]
fn a_part_of_code_becomes_executable_and_reads_the_same() {
    let page = rustix::param::page_size();
    let mut content = vec![b'h'; page];
    content.extend(vec![0x90; page]);
    content.extend(b"tail");
    let fd = sealed("test", &[&content]).unwrap();
    let code = map_code(fd, content.len()).unwrap();
    code.make_executable(page, page).unwrap();
    assert_eq!(code.bytes(), content);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let start = format!("{:x}-", code.bytes()[page..].as_ptr() as usize);
    let line = maps.lines().find(|line| line.starts_with(&start)).unwrap();
    assert!(line.contains(" r-xp "), "{line}");
}

#[test]
fn only_whole_pages_of_the_code_itself_become_executable() {
    let page = rustix::param::page_size();
    let code = map_code(sealed("test", &[&vec![0; 2 * page]]).unwrap(), 2 * page).unwrap();
    for (offset, length) in [
        (0, 0),
        (0, 3 * page),
        (2 * page, page),
        (usize::MAX, page),
        (usize::MAX - page + 1, page),
        (1, page),
    ] {
        assert!(
            code.make_executable(offset, length).is_err(),
            "{offset} {length}"
        );
    }
}
