//! The direction of dependencies, and what the product may not contain.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use crate::command;
use crate::workspace::Workspace;

/// Which crates of this workspace a crate may depend on (tests aside). What
/// is not listed is not allowed: nothing points back, and no guest knows the
/// host.
const DIRECTIONS: [(&str, &[&str]); 25] = [
    (
        "fumehood",
        &[
            "fumehood-broker",
            "fumehood-control",
            "fumehood-engine",
            "fumehood-policy",
            "fumehood-sandbox",
            "fumehood-wasm",
        ],
    ),
    (
        "fumehood-broker",
        &["fumehood-control", "fumehood-policy", "fumehood-sandbox"],
    ),
    (
        "fumehood-compiler",
        &["fumehood-control", "fumehood-sandbox", "fumehood-wasm"],
    ),
    ("fumehood-control", &["fumehood-policy"]),
    ("fumehood-crypto", &[]),
    (
        "fumehood-engine",
        &[
            "fumehood-control",
            "fumehood-crypto",
            "fumehood-policy",
            "fumehood-sandbox",
            "fumehood-wasm",
        ],
    ),
    ("fumehood-policy", &[]),
    ("fumehood-sandbox", &["fumehood-control"]),
    ("fumehood-wasm", &[]),
    ("fumehood-guest-dns", &["fumehood-guest-sdk"]),
    ("fumehood-guest-http1", &["fumehood-guest-sdk"]),
    ("fumehood-guest-sdk", &[]),
    ("fumehood-guest-socks", &["fumehood-guest-sdk"]),
    ("fumehood-guest-tls", &["fumehood-guest-sdk"]),
    ("fumehood-guest-x509", &["fumehood-guest-sdk"]),
    (
        "fumehood-guest-http1-faulty",
        &["fumehood-guest-http1", "fumehood-guest-sdk"],
    ),
    ("fumehood-program-faults", &[]),
    (
        "fumehood-guest-tls-faulty",
        &["fumehood-guest-tls", "fumehood-program-faults"],
    ),
    (
        "fumehood-guest-x509-faulty",
        &["fumehood-guest-x509", "fumehood-program-faults"],
    ),
    (
        "fumehood-guest-socks-faulty",
        &["fumehood-guest-socks", "fumehood-program-faults"],
    ),
    (
        "fumehood-guest-dns-faulty",
        &["fumehood-guest-dns", "fumehood-program-faults"],
    ),
    ("fumehood-driver-gopher", &[]),
    ("fumehood-driver-probe", &["fumehood-guest-sdk"]),
    ("fumehood-pac", &["fumehood-guest-sdk"]),
    ("xtask", &[]),
];

/// What must not be in the product: parsers of protocol text (they live in
/// guests), second crypto libraries, and compilers. A name ending in `-`
/// stands for all that begin so. (wasmtime's runtime does contain three of
/// Cranelift's crates: data structures, no code generation.)
const NOT_IN_THE_PRODUCT: [&str; 21] = [
    "boa_engine",
    "cranelift-codegen",
    "cranelift-frontend",
    "fumehood-compiler",
    "fumehood-guest-",
    "fumehood-pac",
    "h2",
    "hickory-",
    "httparse",
    "hyper",
    "native-tls",
    "openssl",
    "reqwest",
    "ring",
    "rustls",
    "rustls-webpki",
    "wasmtime-internal-cranelift",
    "wasmtime-internal-winch",
    "winch-codegen",
    "wit-component",
    "x509-parser",
];

pub(super) fn check(workspace: &Workspace, problems: &mut Vec<String>) -> Result<()> {
    for package in workspace.packages() {
        if !is_test_package(workspace, package) {
            check_direction(workspace, package, problems);
        }
    }
    check_product(workspace, problems)
}

/// What lies under `tests/`, guests excepted, may look everywhere.
fn is_test_package(workspace: &Workspace, package: &Value) -> bool {
    let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
    let manifest = workspace.relative(manifest);
    manifest.starts_with("tests") && !manifest.starts_with("tests/programs")
}

fn check_direction(workspace: &Workspace, package: &Value, problems: &mut Vec<String>) {
    let name = package["name"].as_str().unwrap_or_default();
    let Some((_, allowed)) = DIRECTIONS
        .iter()
        .find(|(crate_name, _)| *crate_name == name)
    else {
        problems.push(format!(
            "{name}: say in xtask/src/tidy/dependencies.rs what it may depend on"
        ));
        return;
    };
    let dependencies = package["dependencies"]
        .as_array()
        .map_or(&[][..], |all| all);
    for dependency in dependencies {
        let target = dependency["name"].as_str().unwrap_or_default();
        let for_tests = dependency["kind"] == "dev";
        if !for_tests && workspace.package(target).is_some() && !allowed.contains(&target) {
            problems.push(format!(
                "{name} depends on {target}: that points the wrong way"
            ));
        }
    }
}

fn check_product(workspace: &Workspace, problems: &mut Vec<String>) -> Result<()> {
    let tree = command::capture(workspace.cargo().args([
        "tree",
        "--package=fumehood",
        // The demonstration brings a TLS server of its own; what users embed
        // and what the command does is all the rest.
        "--no-default-features",
        "--features=cli",
        "--edges=normal,no-proc-macro",
        "--prefix=none",
        "--format={p}",
    ]))?;
    let mut names: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        if is_forbidden(name) {
            problems.push(format!(
                "fumehood depends on {name}, which has no place in the product \
                 (`cargo tree -p fumehood --edges normal --invert {name}` tells why)"
            ));
        }
    }
    Ok(())
}

fn is_forbidden(name: &str) -> bool {
    NOT_IN_THE_PRODUCT.iter().any(|forbidden| {
        name == *forbidden || (forbidden.ends_with('-') && name.starts_with(forbidden))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_forbidden_whole_and_names_exactly() {
        assert!(is_forbidden("cranelift-codegen"));
        assert!(!is_forbidden("cranelift-entity"));
        assert!(is_forbidden("hickory-proto"));
        assert!(is_forbidden("rustls"));
        assert!(!is_forbidden("rustls-pki-types"));
        assert!(!is_forbidden("openssl-probe"));
    }
}
