//! Embeds the guests, compiled to native code by `cargo xtask guests`.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The guests of an engine, in the order they are loaded.
const DEFAULTS: [&str; 5] = ["http1", "tls", "x509", "dns", "socks"];

/// The guest that comes with the first script.
const PAC: &str = "pac";

/// The demonstration's `http1` with a trap in it.
const FAULTY: &str = "http1-faulty";

fn main() {
    println!("cargo::rerun-if-env-changed=FUMEHOOD_GUESTS_DIR");
    if let Err(why) = embed() {
        println!("cargo::error={why}");
    }
}

fn embed() -> Result<(), String> {
    let folder = guests_folder()?;
    let manifest = folder.join("guests.json");
    println!("cargo::rerun-if-changed={}", manifest.display());
    let absent = |path: &Path| {
        format!(
            "the guests are not built ({}): run `cargo xtask guests` first",
            path.display()
        )
    };
    let text = fs::read_to_string(&manifest).map_err(|_| absent(&manifest))?;
    let json: serde_json::Value = serde_json::from_str(&text)
        .map_err(|e| format!("{}: {e}; run `cargo xtask guests`", manifest.display()))?;
    let entry = |name: &str| -> Result<String, String> {
        let code = folder.join(format!("{name}.cwasm"));
        println!("cargo::rerun-if-changed={}", code.display());
        if !code.is_file() {
            return Err(absent(&code));
        }
        let damaged = || format!("{} does not describe {name}", manifest.display());
        let guests = json["guests"].as_array().ok_or_else(damaged)?;
        let guest = guests
            .iter()
            .find(|guest| guest["name"] == name)
            .ok_or_else(damaged)?;
        let version = guest["version"].as_str().ok_or_else(damaged)?;
        let digest = guest["component_sha256"]
            .as_str()
            .and_then(digest)
            .ok_or_else(damaged)?;
        // The faulty one plays the part of `http1`.
        let role = if name == FAULTY { "http1" } else { name };
        Ok(format!(
            "Embedded {{ name: {role:?}, version: {version:?}, digest: {digest:?}, \
             code: include_bytes!({code:?}) }}"
        ))
    };
    let mut source = format!("static EMBEDDED: [Embedded; {}] = [\n", DEFAULTS.len());
    for name in DEFAULTS {
        writeln!(source, "    {},", entry(name)?).map_err(|e| e.to_string())?;
    }
    source.push_str("];\n");
    writeln!(source, "static PAC: Embedded = {};", entry(PAC)?).map_err(|e| e.to_string())?;
    if env::var_os("CARGO_FEATURE_DEMO").is_some() {
        writeln!(
            source,
            "static FAULTY_HTTP1: Embedded = {};",
            entry(FAULTY)?
        )
        .map_err(|e| e.to_string())?;
    }
    let out = env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?;
    let out = Path::new(&out).join("embedded.rs");
    fs::write(&out, source).map_err(|e| format!("{}: {e}", out.display()))
}

fn guests_folder() -> Result<PathBuf, String> {
    if let Some(folder) = env::var_os("FUMEHOOD_GUESTS_DIR") {
        return Ok(folder.into());
    }
    let package = env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets no CARGO_MANIFEST_DIR")?;
    let workspace = Path::new(&package)
        .ancestors()
        .nth(2)
        .ok_or("there is no workspace")?;
    Ok(workspace.join("target/guests/out"))
}

/// 64 hexadecimal digits to 32 bytes.
fn digest(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}
