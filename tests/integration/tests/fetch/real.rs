//! A real server: nginx, in the clear and under both versions of TLS.

use std::fs;

use fumehood_tests::certs::TestCa;
use fumehood_tests::fetch::Fetch;
use fumehood_tests::peers::{Nginx, Service, Site};
use fumehood_tests::temp::TempDir;

const SERVICES: [Service; 3] = [Service::Http, Service::Tls12, Service::Tls13];

struct World {
    nginx: Nginx,
    folder: TempDir,
    large: Vec<u8>,
}

impl World {
    fn new() -> Self {
        let ca = TestCa::new();
        let folder = TempDir::new().unwrap();
        folder.write("ca.pem", ca.pem()).unwrap();
        let large = noise(24 << 20);
        let site = Site::new()
            .file("hello.txt", "hello\n")
            .file("empty.bin", "")
            .file("large.bin", large.clone());
        let nginx = Nginx::start(&ca.subordinate().issue(), &site).unwrap();
        Self {
            nginx,
            folder,
            large,
        }
    }

    fn fetch(&self, service: Service, path: &str) -> Fetch {
        Fetch::new(self.nginx.url(service, path))
            .arg("--cacert")
            .arg(self.folder.join("ca.pem"))
    }
}

/// Looks random, is the same every time (xorshift).
fn noise(bytes: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend(state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

#[test]
fn every_service_and_framing() {
    let world = World::new();
    for service in SERVICES {
        for path in [
            "hello.txt",
            "chunked/hello.txt",
            "close/hello.txt",
            "slow/hello.txt",
        ] {
            let finished = world.fetch(service, path).run();
            assert_eq!(finished.content(), b"hello\n", "{service:?} {path}");
        }
        let tls = world.fetch(service, "empty.bin").run().report()["tls"]["version"].clone();
        match service {
            Service::Http => assert!(tls.is_null()),
            Service::Tls12 => assert_eq!(tls, "TLS 1.2"),
            Service::Tls13 => assert_eq!(tls, "TLS 1.3"),
        }
        assert_eq!(world.fetch(service, "empty").run().content(), b"");
        let moved = world.fetch(service, "redirect/hello.txt").arg("-L").run();
        assert_eq!(moved.content(), b"hello\n");
        world
            .fetch(service, "absent")
            .arg("-f")
            .run()
            .assert_failed(22, "http-error", "peer");
    }
}

#[test]
fn large_files_are_byte_exact() {
    let world = World::new();
    for service in SERVICES {
        for path in ["large.bin", "chunked/large.bin", "close/large.bin"] {
            let file = world.folder.join("large");
            let finished = world.fetch(service, path).arg("-o").arg(&file).run();
            assert_eq!(finished.code(), 0, "{service:?} {path}: {finished:?}");
            assert!(
                fs::read(&file).unwrap() == world.large,
                "{service:?} {path}"
            );
            fs::remove_file(file).unwrap();
        }
        // Through this test's pipe.
        assert!(world.fetch(service, "large.bin").run().content() == world.large);
    }
}

#[test]
fn connections_are_kept() {
    let world = World::new();
    for (index, service) in SERVICES.into_iter().enumerate() {
        let finished = world
            .fetch(service, "hello.txt")
            .arg(world.nginx.url(service, "chunked/hello.txt"))
            .arg(world.nginx.url(service, "empty"))
            .arg(world.nginx.url(service, "hello.txt"))
            .run();
        assert_eq!(finished.content(), b"hello\nhello\nhello\n");
        let log = world.nginx.wait_for_requests(4 * (index + 1));
        let ours = &log[4 * index..];
        assert!(
            ours.iter().all(|it| it.connection == ours[0].connection),
            "{ours:?}"
        );
        let numbers: Vec<_> = ours.iter().map(|it| it.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
    }
}

#[test]
fn a_closing_server_gets_a_connection_a_request() {
    let world = World::new();
    let finished = world
        .fetch(Service::Tls13, "close/hello.txt")
        .arg(world.nginx.url(Service::Tls13, "close/hello.txt"))
        .run();
    assert_eq!(finished.content(), b"hello\nhello\n");
    let log = world.nginx.wait_for_requests(2);
    assert_ne!(log[0].connection, log[1].connection);
}

#[test]
fn downloads_are_resumed() {
    let world = World::new();
    for service in SERVICES {
        let half = &world.large[..world.large.len() / 2 + 17];
        let file = world.folder.write("half", half).unwrap();
        let resume = || {
            world
                .fetch(service, "large.bin")
                .args(["-C", "-", "-o"])
                .arg(&file)
                .run()
        };
        let finished = resume();
        assert_eq!(finished.code(), 0, "{service:?}: {finished:?}");
        assert_eq!(finished.report()["status"], 206);
        assert!(fs::read(&file).unwrap() == world.large, "{service:?}");
        // All of it is there: 416, and nothing changes.
        let again = resume();
        assert_eq!(again.code(), 0, "{service:?}: {again:?}");
        assert_eq!(again.report()["status"], 416);
        assert!(fs::read(&file).unwrap() == world.large, "{service:?}");
    }
}

#[test]
fn uploads_arrive() {
    let world = World::new();
    for (service, name) in SERVICES.into_iter().zip(["a", "b", "c"]) {
        let path = format!("upload/{name}");
        let put = world
            .fetch(service, &path)
            .args(["-X", "PUT", "--data-binary", "@-"])
            .stdin(world.large.clone())
            .run();
        assert_eq!(put.code(), 0, "{service:?}: {put:?}");
        assert_eq!(put.report()["status"], 201);
        assert!(
            world.nginx.uploaded(name).unwrap() == world.large,
            "{service:?}"
        );
    }
}

#[test]
fn heads_are_asked_for_alone() {
    let world = World::new();
    for service in SERVICES {
        let finished = world.fetch(service, "large.bin").arg("-I").run();
        let head = String::from_utf8_lossy(finished.content()).to_lowercase();
        assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
        let length = format!("content-length: {}\r\n", world.large.len());
        assert!(
            head.contains(&length) && head.ends_with("\r\n\r\n"),
            "{head}"
        );
    }
}

#[test]
fn names_are_verified_as_they_are_asked_for() {
    let world = World::new();
    let ca = world.folder.join("ca.pem");
    let url = world.nginx.url_at("localhost", Service::Tls13, "hello.txt");
    let finished = Fetch::plain()
        .args([
            "--json",
            "--silent",
            "--allow-private",
            "localhost",
            "--cacert",
        ])
        .arg(ca)
        .arg(url)
        .run();
    assert_eq!(finished.content(), b"hello\n");
}
