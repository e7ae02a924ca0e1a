//! A browser that a PAC URL sends to the proxy: the page must be seen.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use fumehood_tests::certs::TestCa;
use fumehood_tests::peers::{Nginx, Service, Site};
use fumehood_tests::processes::wait_for;
use fumehood_tests::temp::TempDir;

use crate::support::{PATIENCE, Proxy};

/// A name that only the proxy can resolve.
const HOST: &str = "fumehood.test";

/// Teal, and a script that comes by a request of its own says so.
const PAGE: &str = "<!DOCTYPE html><title>page</title>\
    <style>html { background: #008080 }</style>\
    <p id=said>nothing</p><script src=/said.js></script>";

const SCRIPT: &str = "document.getElementById('said').textContent = 'rendered';";

/// The page's colour, as a PNG has it.
const TEAL: [u8; 3] = [0, 0x80, 0x80];

#[test]
fn a_page_is_rendered_over_connect() {
    let ca = TestCa::new();
    let site = Site::new().file("page.html", PAGE).file("said.js", SCRIPT);
    let nginx = Nginx::start(&ca.issue(), &site).unwrap();
    let folder = TempDir::new().unwrap();
    let hosts = folder
        .write("hosts", format!("127.0.0.1 {HOST}\n"))
        .unwrap();
    let configuration = format!(
        "[dns]\nmode = \"guest\"\nhosts-file = {hosts:?}\n\
         [[policy.allow]]\nhosts = [\"{HOST}\"]\n"
    );
    let configuration = folder.write("config.toml", configuration).unwrap();
    let proxy = Proxy::strict(&[
        "--config",
        configuration.to_str().unwrap(),
        "--allow-private",
        HOST,
    ]);
    let script = format!(
        "function FindProxyForURL(url, host) {{ return 'PROXY {}'; }}",
        proxy.address
    );
    nginx.serve(&Site::new().file("proxy.pac", script)).unwrap();
    let pac = nginx.url(Service::Http, "proxy.pac");
    let page = nginx.url_at(HOST, Service::Tls13, "page.html");

    let shown = browse(folder.path(), &pac, &["--dump-dom", &page]);
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(text.contains("rendered"), "{shown:?}");

    let picture = folder.join("page.png");
    let screenshot = format!("--screenshot={}", picture.display());
    let size = "--window-size=200,100";
    let shown = browse(folder.path(), &pac, &[&screenshot, size, &page]);
    assert_eq!(corner(&picture), TEAL, "{shown:?}");

    let endpoint = format!("{HOST}:{}", nginx.port(Service::Tls13));
    // Others of the browser's own may be denied before these end.
    let tunnels = wait_for(PATIENCE, || {
        let mut all = proxy.log(0);
        all.retain(|line| line["target"] == *endpoint);
        (all.len() >= 2).then_some(all)
    });
    for tunnel in tunnels.unwrap() {
        assert_eq!(tunnel["method"], "CONNECT");
        assert_eq!(tunnel["outcome"], "tunnelled");
    }
}

/// Only one that hangs takes a minute; it is killed 5 seconds later, with its
/// children.
const LIMIT: [&str; 3] = ["timeout", "--kill-after=5", "60"];

/// Chromium without a window. It is not what is confined here, and in a
/// container its own sandbox cannot be had.
fn browse(folder: &Path, pac: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(LIMIT[0]);
    command
        .args(&LIMIT[1..])
        .args([
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .args(["--disable-sync", "--disable-dev-shm-usage"])
        // What it thinks of the certificate is not in question.
        .arg("--ignore-certificate-errors")
        .arg(format!("--proxy-pac-url={pac}"))
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .args(arguments)
        .env("HOME", folder);
    command.output().unwrap()
}

/// The first pixel.
fn corner(picture: &Path) -> [u8; 3] {
    let file = std::io::BufReader::new(fs::File::open(picture).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let _frame = reader.next_frame(&mut pixels).unwrap();
    [pixels[0], pixels[1], pixels[2]]
}
