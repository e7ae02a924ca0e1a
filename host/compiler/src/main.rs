//! Turns a guest into native code: core module → component → `.cwasm`.
//!
//! ```text
//! fumehood-compiler IN.wasm OUT       writes OUT.wasm (component) and OUT.cwasm
//! fumehood-compiler --imports IN.wasm prints what the component imports
//! fumehood-compiler --sandboxed       compiles one module, as a program asks for
//! ```
//!
//! The first two are for whoever builds guests, and trust their input. In the
//! last the program is a short-lived child: standard input is its channel, and
//! it looks at the module from inside a sandbox.
//! `--probe` makes it the throw-away child of a test.
//!
//! IN is a core module with its world in a custom section, as `wit-bindgen`
//! makes it, or already a component.

mod component;
mod heap;
mod sandboxed;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str =
    "usage: fumehood-compiler IN.wasm OUT\n       fumehood-compiler --imports IN.wasm";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--sandboxed"] => return sandboxed::run(),
        ["--probe"] => return fumehood_sandbox::serve_probe(),
        ["--imports", input] => imports(Path::new(input)),
        [input, output] if !input.starts_with('-') => compile(Path::new(input), Path::new(output)),
        _ => Err(Error::Usage),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the program's one way to say why")]
fn report(error: &dyn std::error::Error) {
    eprintln!("fumehood-compiler: {error}");
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{USAGE}")]
    Usage,
    #[error("cannot read or write {path}: {source}")]
    File {
        path: String,
        source: std::io::Error,
    },
    #[error("{path}: {source:#}")]
    Component {
        path: String,
        source: component::Error,
    },
}

fn compile(input: &Path, output: &Path) -> Result<(), Error> {
    let refused = |source| Error::Component {
        path: input.display().to_string(),
        source,
    };
    let component = component::wrap(&read(input)?).map_err(refused)?;
    let code = component::precompile(&component).map_err(refused)?;
    write(&output.with_extension("wasm"), &component)?;
    write(&output.with_extension("cwasm"), &code)
}

#[expect(clippy::print_stdout, reason = "the list is what was asked for")]
fn imports(input: &Path) -> Result<(), Error> {
    let refused = |source| Error::Component {
        path: input.display().to_string(),
        source,
    };
    let component = component::wrap(&read(input)?).map_err(refused)?;
    for name in component::interfaces(&component).map_err(refused)?.imports {
        println!("{name}");
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File {
        path: path.display().to_string(),
        source,
    })
}

/// Writes beside and renames: native code is mapped while it runs, so a file
/// that is in use must never change.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| Error::File {
        path: path.display().to_string(),
        source,
    };
    let beside = path.with_extension(format!("tmp{}", std::process::id()));
    std::fs::write(&beside, bytes).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}
