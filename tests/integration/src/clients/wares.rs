//! The goods, packed as each client wants them, by the programs that pack
//! such things for real.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{Client, GOODS, NAME};
use crate::peers::Site;

/// What a wheel of the goods is called.
pub(super) const WHEEL: &str = "goods-1.0.0-py3-none-any.whl";

/// Makes a wheel: a zip file with two files that say what it is.
const MAKE_WHEEL: &str = r#"
import sys, zipfile
about = "goods-1.0.0.dist-info/"
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("goods.txt", sys.argv[2])
    wheel.writestr(about + "METADATA", "Metadata-Version: 2.1\nName: goods\nVersion: 1.0.0\n")
    wheel.writestr(about + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(about + "RECORD", "")
"#;

/// What a server has to serve so that `client` finds its goods at `origin`.
pub(super) fn pack(client: Client, origin: &str, folder: &Path) -> Site {
    fs::create_dir_all(folder).expect("a folder to pack in");
    match client {
        Client::Wget => Site::new().file("file", GOODS),
        Client::Git => repository(folder),
        Client::Pip => index(folder),
        Client::Npm => registry(origin, folder),
        Client::Cargo => crates(origin, folder),
    }
}

/// A repository that needs no more of its server than files.
fn repository(folder: &Path) -> Site {
    let git = |arguments: &[&str]| {
        let mut command = tool("git", folder);
        let whoever = ["-c", "user.name=x", "-c", "user.email=x@fumehood.test"];
        command.args(whoever).args(arguments);
        done(&mut command);
    };
    git(&["init", "--quiet", "work"]);
    fs::write(folder.join("work/file"), GOODS).expect("written");
    git(&["-C", "work", "add", "file"]);
    git(&["-C", "work", "commit", "--quiet", "--message=x"]);
    git(&["clone", "--quiet", "--bare", "work", "goods.git"]);
    git(&["-C", "goods.git", "update-server-info"]);
    Site::new().folder("goods.git", &folder.join("goods.git"))
}

/// A simple index (PEP 503) with a wheel.
fn index(folder: &Path) -> Site {
    let wheel = folder.join(WHEEL);
    let mut python = tool("python3", folder);
    done(python.args(["-c", MAKE_WHEEL]).arg(&wheel).arg(GOODS));
    let page = format!("<!DOCTYPE html><a href=\"{WHEEL}\">{WHEEL}</a>");
    let wheel = fs::read(wheel).expect("a wheel");
    Site::new()
        .file("simple/goods/index.html", page)
        .file(&format!("simple/goods/{WHEEL}"), wheel)
}

/// A package and what the registry says of it.
fn registry(origin: &str, folder: &Path) -> Site {
    let manifest = json!({"name": NAME, "version": "1.0.0"});
    fs::write(folder.join("package.json"), manifest.to_string()).expect("written");
    fs::write(folder.join("file"), GOODS).expect("written");
    let mut npm = tool("npm", folder);
    done(npm.args(["pack", "--silent", "--offline", "--no-update-notifier"]));
    let tarball = fs::read(folder.join("goods-1.0.0.tgz")).expect("a tarball");
    let about = json!({
        "name": NAME,
        "dist-tags": {"latest": "1.0.0"},
        "versions": {"1.0.0": {
            "name": NAME,
            "version": "1.0.0",
            "dist": {"tarball": format!("{origin}npm/-/goods-1.0.0.tgz")},
        }},
    });
    Site::new()
        .file("npm/goods", about.to_string())
        .file("npm/-/goods-1.0.0.tgz", tarball)
}

/// A crate and a sparse registry's index (The Cargo Book, "Registry Index").
fn crates(origin: &str, folder: &Path) -> Site {
    let package = folder.join(NAME);
    fs::create_dir_all(package.join("src")).expect("a folder");
    let manifest = "[package]\nname = \"goods\"\nversion = \"1.0.0\"\nedition = \"2021\"\n\
                    description = \"x\"\nlicense = \"MIT\"\n[workspace]\n";
    fs::write(package.join("Cargo.toml"), manifest).expect("written");
    fs::write(package.join("src/lib.rs"), "").expect("written");
    fs::write(package.join("file"), GOODS).expect("written");
    let mut cargo = tool(env!("CARGO"), &package);
    cargo.args([
        "package",
        "--quiet",
        "--no-verify",
        "--offline",
        "--allow-dirty",
    ]);
    done(cargo.arg("--target-dir").arg(folder.join("target")));
    let packed = folder.join("target/package/goods-1.0.0.crate");
    let sum = done(tool("sha256sum", folder).arg(&packed));
    let sum = sum.split_whitespace().next().expect("a sum");
    let about = json!({
        "name": NAME, "vers": "1.0.0", "deps": [], "features": {}, "yanked": false, "cksum": sum,
    });
    let config = json!({"dl": format!("{origin}crates/{{crate}}-{{version}}.crate")});
    Site::new()
        .file("index/config.json", config.to_string())
        .file("index/go/od/goods", format!("{about}\n"))
        .file(
            "crates/goods-1.0.0.crate",
            fs::read(packed).expect("a crate"),
        )
}

/// A package that needs the goods, and knows where their registry is.
pub(super) fn write_dependent(folder: &Path, index: &str) {
    let manifest = "[package]\nname = \"dependent\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
                    [lib]\npath = \"lib.rs\"\n[workspace]\n\
                    [dependencies]\ngoods = { version = \"1\", registry = \"here\" }\n";
    fs::write(folder.join("Cargo.toml"), manifest).expect("written");
    fs::write(folder.join("lib.rs"), "").expect("written");
    fs::create_dir_all(folder.join(".cargo")).expect("a folder");
    let config = format!("[registries.here]\nindex = \"sparse+{index}\"\n");
    fs::write(folder.join(".cargo/config.toml"), config).expect("written");
}

/// A program that packs, without anybody's settings.
fn tool(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(name);
    command
        .env("HOME", folder)
        .env("XDG_CONFIG_HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("CARGO_HOME", folder.join("cargo"))
        .current_dir(folder);
    command
}

/// Runs it to its good end; what it wrote.
fn done(command: &mut Command) -> String {
    let output = command.output();
    let output = output.unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
    String::from_utf8(output.stdout).expect("words")
}
