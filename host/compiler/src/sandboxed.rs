//! One module from a program that runs: into the sandbox first, then a look.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use fumehood_control::{FromCompiler, PROTOCOL_VERSION, ToCompiler};
use fumehood_sandbox::{Bootstrap, Channel, ChannelError, Refusal, Role, map_sealed};

use crate::component::{self, Interfaces};

/// Largest component, in bytes: 20 times the largest of ours.
const MAX_COMPONENT_BYTES: usize = 16 << 20;

/// Longest sentence about a failure, in bytes; the module had a hand in it.
const MAX_WHY_BYTES: usize = 1024;

type Control = Channel<FromCompiler, ToCompiler>;

/// Plays the role, from the first thing in `main` to the end of the process.
pub(crate) fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            crate::report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Why the child ended without an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("the program that started it speaks another protocol, or out of turn")]
    OutOfOrder,
}

fn serve() -> Result<(), Stop> {
    let (bootstrap, control) = Bootstrap::enter()?;
    let control = Control::from_fd(control)?;
    let (
        ToCompiler::Hello {
            version: PROTOCOL_VERSION,
            required,
        },
        _,
    ) = control.recv()?
    else {
        return Err(Stop::OutOfOrder);
    };
    let sealed = bootstrap
        .isolate(Role::Compiler)
        .and_then(|isolated| isolated.seal(&required));
    if let Err(refusal) = sealed {
        let layers = refusal.layers().to_vec();
        control.send(
            &FromCompiler::Refused {
                layers,
                why: refusal.to_string(),
            },
            &[],
        )?;
        return Ok(());
    }
    let build = fumehood_wasm::code_build();
    control.send(
        &FromCompiler::Ready {
            version: PROTOCOL_VERSION,
            build,
        },
        &[],
    )?;
    // Only now does anything come that a stranger may have made.
    let (ToCompiler::Compile, fds) = control.recv()? else {
        return Err(Stop::OutOfOrder);
    };
    let [module, code] = <[OwnedFd; 2]>::try_from(fds).map_err(|_| Stop::OutOfOrder)?;
    let answer =
        compile(&module, code).unwrap_or_else(|why| FromCompiler::Failed { why: cut(why) });
    Ok(control.send(&answer, &[])?)
}

fn compile(module: &OwnedFd, code: OwnedFd) -> Result<FromCompiler, String> {
    let component = map_sealed(module, MAX_COMPONENT_BYTES).map_err(|e| e.to_string())?;
    // The names first: they are cheap, and bounded before much work is done.
    let Interfaces { imports, exports } =
        component::interfaces(&component).map_err(|e| e.to_string())?;
    let native = component::precompile(&component).map_err(|e| e.to_string())?;
    File::from(code).write_all(&native).map_err(|e| {
        format!(
            "its native code of {} bytes cannot be written: {e}",
            native.len()
        )
    })?;
    Ok(FromCompiler::Compiled {
        bytes: native.len() as u64,
        imports,
        exports,
    })
}

/// Cuts a sentence at a character's boundary.
fn cut(mut why: String) -> String {
    if why.len() > MAX_WHY_BYTES {
        let end = (0..=MAX_WHY_BYTES)
            .rev()
            .find(|end| why.is_char_boundary(*end));
        why.truncate(end.unwrap_or(0));
    }
    why
}
