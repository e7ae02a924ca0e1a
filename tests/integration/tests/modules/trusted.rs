//! Which modules of files are taken, as the configuration says: with a key that
//! signs, and with others.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fumehood_tests::artifacts::component;
use fumehood_tests::fetch::Fetch;
use fumehood_tests::processes::wait_for;
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _, SigningKey as _};
use serde_json::Value;

use crate::support::Setting;

/// A compiler's work on a crowded machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A key that signs.
struct Signer(KeyPair);

impl Signer {
    fn new() -> Self {
        Signer(KeyPair::generate_for(&PKCS_ED25519).unwrap())
    }

    /// As configurations have it.
    fn public(&self) -> String {
        hex(self.0.der_bytes())
    }

    /// Puts a signature beside a file, as the documents say to.
    fn sign(&self, file: &Path) {
        let asked = Fetch::command("modules").arg("verify").arg(file);
        let statement = asked.arg("--statement").run();
        let signature = self.0.sign(statement.content()).unwrap();
        let beside = format!("{}.sig", file.display());
        fs::write(beside, hex(&signature) + "\n").unwrap();
    }
}

/// A guest in the module directory, with a digest of its own.
fn put(it: &Setting, guest: &str, name: &str) -> PathBuf {
    let folder = it.path("modules");
    fs::create_dir_all(&folder).unwrap();
    let mut bytes = fs::read(component(guest)).unwrap();
    // A custom section whose content is the name.
    let length = u8::try_from(name.len() + 2).unwrap();
    bytes.extend([0, length, 1, b'n']);
    bytes.extend(name.as_bytes());
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// What a proxy that goes by this table lists once so much is refused and settled.
fn listed(it: &Setting, table: &str, refused: usize) -> Value {
    let folder = it.path("modules");
    let config = it.path("config.toml");
    let table = format!("[modules]\ndirectory = {folder:?}\non-change = \"swap\"\n{table}");
    fs::write(&config, table).unwrap();
    let mut proxy = Fetch::command("proxy")
        .args(["--listen", "127.0.0.1:0", "--config"])
        .arg(&config)
        .arg("--admin-socket")
        .arg(it.socket())
        .env("XDG_CACHE_HOME", it.path("home"))
        .env("XDG_STATE_HOME", it.path("home"))
        .start();
    let files = fs::read_dir(&folder).unwrap();
    let names = files.map(|it| it.unwrap().file_name().into_string().unwrap());
    let modules = names.filter(|name| name.ends_with(".wasm")).count();
    let settled = || {
        let listing = it.socket().exists().then(|| it.ask(&["list"]))?;
        let all = listing["modules"].as_array().unwrap();
        let taken = all.iter().filter(|it| it["origin"] == "directory").count();
        let told = listing["refused"].as_array().unwrap().len();
        (told >= refused && told + taken == modules).then_some(listing)
    };
    let listing = wait_for(PATIENCE, settled).unwrap();
    proxy.kill();
    let _killed = proxy.finish();
    fs::remove_file(it.socket()).unwrap();
    listing
}

/// Why a file was refused.
fn why(listing: &Value, file: &str) -> String {
    let mut refused = listing["refused"].as_array().unwrap().iter();
    let found = refused.find(|it| it["file"].as_str().unwrap().ends_with(file));
    let found = found.unwrap_or_else(|| panic!("{file} is not refused: {listing}"));
    found["why"].as_str().unwrap().to_owned()
}

#[test]
fn what_a_trusted_key_signed_is_taken_and_nothing_else() {
    let it = Setting::new();
    let (signer, other) = (Signer::new(), Signer::new());
    signer.sign(&put(&it, "http1-faulty", "http1@9.0.0.wasm"));
    put(&it, "http1-faulty", "http1@9.1.0.wasm");
    other.sign(&put(&it, "http1-faulty", "http1@9.2.0.wasm"));
    let signed_before = put(&it, "http1-faulty", "http1@9.3.0.wasm");
    signer.sign(&signed_before);
    put(&it, "gopher", "http1@9.3.0.wasm");
    signer.sign(&put(&it, "tls", "tls@9.0.0.wasm"));
    fs::create_dir(it.path("home")).unwrap();
    let table = format!(
        "keys = [\"{}\"]\npins = [\"tls {}\"]\naccepted-versions = {:?}\n",
        signer.public(),
        "00".repeat(32),
        it.path("home/fumehood/versions.json"),
    );
    let listing = listed(&it, &table, 4);
    let all = listing["modules"].as_array().unwrap();
    let of_http1 = all.iter().find(|it| it["version"] == "9.0.0").unwrap();
    let signed_by = format!("signed-by:{}", signer.public());
    assert_eq!(of_http1["signature"], signed_by.as_str());
    for (file, part) in [
        ("http1@9.1.0.wasm", "http1 9.1.0 is not signed"),
        ("http1@9.2.0.wasm", "by none of the 1 keys"),
        ("http1@9.3.0.wasm", "by none of the 1 keys"),
        ("tls@9.0.0.wasm", "not one that is allowed for it"),
    ] {
        let why = why(&listing, file);
        assert!(why.contains(part), "{file}: {why}");
    }
    // What was taken once is the oldest taken again, by another process too.
    fs::remove_dir_all(it.path("modules")).unwrap();
    signer.sign(&put(&it, "http1-faulty", "http1@8.0.0.wasm"));
    let why = why(&listed(&it, &table, 1), "http1@8.0.0.wasm");
    assert!(why.contains("http1 8.0.0 is older than 9.0.0"), "{why}");
}

#[test]
fn a_driver_serves_where_it_is_trusted_and_nowhere_else() {
    let it = Setting::new();
    let signer = Signer::new();
    let driver = put(&it, "gopher", "gopher@1.0.0.wasm");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("gopher://{}/9x", listener.local_addr().unwrap());
    let fetch = || {
        Fetch::new(&url)
            .env("XDG_CACHE_HOME", it.path("home"))
            .env("XDG_STATE_HOME", it.path("home"))
            .env("FUMEHOOD_MODULES_DIRECTORY", it.path("modules"))
            .env("FUMEHOOD_MODULES_KEYS", signer.public())
    };
    let message = |fetch: Fetch| {
        let finished = fetch.run();
        assert_ne!(finished.code(), 0, "{finished:?}");
        finished.report()["error"]["message"].to_string()
    };
    assert!(message(fetch()).contains("gopher"));
    let refused = Fetch::command("modules").arg("verify").arg(&driver);
    let refused = refused.env("FUMEHOOD_MODULES_KEYS", signer.public()).run();
    assert!(refused.stderr.contains("is not signed"), "{refused:?}");
    signer.sign(&driver);
    // A flag's key is believed in place of the others.
    let other = Signer::new().public();
    assert!(message(fetch().args(["--module-key", &other])).contains("gopher"));
    let serving = std::thread::spawn(move || {
        let mut peer = BufReader::new(listener.accept().unwrap().0);
        let mut asked = String::new();
        peer.read_line(&mut asked).unwrap();
        peer.get_mut().write_all(b"served").unwrap();
    });
    assert_eq!(fetch().run().content(), b"served");
    serving.join().unwrap();
}

#[test]
fn a_signature_is_verified_without_an_engine() {
    let it = Setting::new();
    let file = it.faulty("http1@9.0.0.wasm");
    let (ours, theirs) = (Signer::new(), Signer::new());
    let verify = |key: &str| it.verify(&file, &["--json", "--key", key]);
    let refused = |key: &str, words: &str| {
        let finished = verify(key);
        assert_eq!(finished.code(), 114, "{finished:?}");
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    };
    refused(&ours.public(), "is not signed");
    ours.sign(&file);
    refused(&theirs.public(), "is by none of the 1 keys");
    let finished = verify(&ours.public());
    let told: Value = serde_json::from_slice(finished.content()).unwrap();
    assert_eq!(told["signature"], format!("signed-by:{}", ours.public()));
    assert_eq!(told["version"], "9.0.0");
    // It is one over name, version and content: of another version it is not.
    let older = it.faulty("http1@9.0.1.wasm");
    let beside = it.path("http1@9.0.0.wasm.sig");
    fs::copy(&beside, it.path("http1@9.0.1.wasm.sig")).unwrap();
    let finished = it.verify(&older, &["--key", &ours.public()]);
    assert_eq!(finished.code(), 114, "{finished:?}");
    // Where no key is named there is nothing to say of it.
    let finished = it.verify(&file, &["--json"]);
    let told: Value = serde_json::from_slice(finished.content()).unwrap();
    assert_eq!(told["signature"], "unchecked");
}
