//! Where content goes, and what happens when it cannot.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use fumehood_tests::fetch::Fetch;
use fumehood_tests::hostile::{Script, Server};
use fumehood_tests::temp::TempDir;

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// Enough to fill every buffer between server and reader.
const LARGE: usize = 16 << 20;

/// A bound on files, below [`LARGE`]. The guests' code passes between the
/// processes as files too, and must fit.
const LARGEST: u64 = 8 << 20;

fn large() -> Script {
    Script::answer(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n"
    ))
    .repeat(vec![b'x'; 64 * 1024], LARGE / (64 * 1024))
}

#[test]
fn files_by_name() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(vec![Script::answers(&[HELLO, HELLO])]);
    let finished = Fetch::new(server.url("/a/one.txt?x=/y"))
        .arg(server.url("/two.txt"))
        .arg("-O")
        .folder(folder.path())
        .run();
    assert_eq!(finished.code(), 0, "{finished:?}");
    assert_eq!(fs::read(folder.join("one.txt")).unwrap(), b"hello");
    assert_eq!(fs::read(folder.join("two.txt")).unwrap(), b"hello");
    // The reports are alone on standard output then.
    assert_eq!(finished.reports().len(), 2);
    assert_eq!(finished.stderr, "");
}

#[test]
fn a_url_without_a_name_is_no_file() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    for path in ["/", "/a/", "/..", "/a/%2e%2e"] {
        let finished = Fetch::new(server.url(path))
            .arg("-O")
            .folder(folder.path())
            .run();
        finished.assert_failed(23, "write", "caller");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn an_existing_file_is_replaced_by_a_good_answer_only() {
    let folder = TempDir::new().unwrap();
    let file = folder.write("file", "what was there before").unwrap();
    let server = Server::start(vec![
        Script::answer("garbage\r\n\r\n"),
        Script::answers(&["HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nsorry"]),
        Script::answers(&[HELLO]),
    ]);
    let fetch = || {
        Fetch::new(server.url("/"))
            .arg("-f")
            .arg("-o")
            .arg(&file)
            .run()
    };
    fetch().assert_failed(8, "weird-reply", "peer");
    assert_eq!(fs::read(&file).unwrap(), b"what was there before");
    fetch().assert_failed(22, "http-error", "peer");
    assert_eq!(fs::read(&file).unwrap(), b"what was there before");
    assert_eq!(fetch().code(), 0);
    assert_eq!(fs::read(&file).unwrap(), b"hello");
}

#[test]
fn folders_are_made_for_those_who_ask() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    let file = folder.join("deep/er/file");
    let fetch = || Fetch::new(server.url("/")).arg("-o").arg(&file);
    fetch().run().assert_failed(23, "write", "caller");
    assert_eq!(fetch().arg("--create-dirs").run().code(), 0);
    assert_eq!(fs::read(&file).unwrap(), b"hello");
}

#[test]
fn a_device_that_is_full_is_an_error() {
    let server = Server::start(vec![Script::answers(&[HELLO])]);
    for arguments in [&[][..], &["-L"], &["-i"]] {
        let finished = Fetch::new(server.url("/"))
            .args(["-o", "/dev/full"])
            .args(arguments)
            .run();
        finished.assert_failed(23, "write", "caller");
        let message = finished.report()["error"]["message"].to_string();
        assert!(
            message.contains("/dev/full") && message.contains("No space"),
            "{message}"
        );
    }
}

#[test]
fn a_file_that_may_not_grow_is_an_error() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(vec![large()]);
    for (name, arguments) in [
        ("direct", &[][..]),
        ("judged", &["-L"]),
        ("through", &["-i"]),
    ] {
        let file = folder.join(name);
        let finished = Fetch::new(server.url("/"))
            .args(arguments)
            .arg("-o")
            .arg(&file)
            .largest_file(LARGEST)
            .run();
        finished.assert_failed(23, "write", "caller");
        let length = fs::metadata(&file).unwrap().len();
        assert!(length <= LARGEST, "{name}: {length}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let Some(disk) = SmallDisk::mount() else {
        // Only root may mount; /dev/full and the bound on files stand in for it.
        return;
    };
    let server = Server::start(vec![large()]);
    for (name, arguments) in [("direct", &[][..]), ("through", &["-i"])] {
        let file = disk.path().join(name);
        let finished = Fetch::new(server.url("/"))
            .args(arguments)
            .arg("-o")
            .arg(&file)
            .run();
        finished.assert_failed(23, "write", "caller");
        let message = finished.report()["error"]["message"].to_string();
        assert!(message.contains("No space"), "{message}");
        fs::remove_file(file).unwrap();
    }
}

/// A file system of one mebibyte.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// `None` for those who may not mount.
    fn mount() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("tmpfs", folder.path(), "tmpfs", flags, Some(c"size=1m")).ok()?;
        Some(Self { folder })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The folder below it goes next.
        let _unmounted =
            rustix::mount::unmount(self.folder.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
fn a_reader_that_leaves_early_is_an_error() {
    for arguments in [&[][..], &["-L"], &["-i"]] {
        let server = Server::start(vec![large()]);
        let (mut reader, writer) = std::io::pipe().unwrap();
        let running = Fetch::new(server.url("/"))
            .args(arguments)
            .stdout(writer)
            .start();
        let mut first = [0; 10];
        reader.read_exact(&mut first).unwrap();
        drop(reader);
        let finished = running.finish();
        finished.assert_failed(23, "write", "caller");
    }
}

#[test]
fn a_slow_reader_holds_nothing_up_for_ever() {
    let server = Server::start(vec![large()]);
    let (mut reader, writer) = std::io::pipe().unwrap();
    let running = Fetch::new(server.url("/")).stdout(writer).start();
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    assert_eq!(running.finish().code(), 0);
    assert_eq!(all.len(), LARGE);
}

#[test]
fn standard_output_may_be_a_file() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(vec![Script::answers(&[HELLO, HELLO])]);
    let path = folder.join("file");
    let finished = Fetch::new(server.url("/1"))
        .arg(server.url("/2"))
        .stdout(File::create(&path).unwrap())
        .run();
    assert_eq!(finished.code(), 0, "{finished:?}");
    assert_eq!(fs::read(path).unwrap(), b"hellohello");
}
