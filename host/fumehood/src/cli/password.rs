//! `fumehood password`: a line of the file with the proxy's users.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use fumehood::policy::ClientName;
use fumehood::{Users, UsersError};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::exit::{Exit, Failed};
use super::modules::complain;

/// Longest line that is read, in bytes; a password has fewer.
const MAX_LINE_BYTES: u64 = 1024;

/// Runs the command.
pub(crate) fn run(name: &ClientName) -> ExitCode {
    match line(name) {
        Ok(line) => {
            let told = writeln!(io::stdout().lock(), "{line}");
            match told {
                Ok(()) => ExitCode::SUCCESS,
                Err(why) => complain(&Failed::new(Exit::Write, why.to_string())),
            }
        }
        Err(why) => complain(&why),
    }
}

fn line(name: &ClientName) -> Result<String, Failed> {
    let unread = |why: io::Error| Failed::new(Exit::Usage, format!("no password came: {why}"));
    let password = read().map_err(unread)?;
    Users::line(name, &password).map_err(|why| {
        let exit = match &why {
            UsersError::Password => Exit::Usage,
            _ => Exit::Engine,
        };
        Failed::new(exit, why.to_string())
    })
}

/// A line of standard input, without its end.
fn read() -> io::Result<Vec<u8>> {
    let stdin = io::stdin();
    let _quiet = stdin.is_terminal().then(Quiet::new).transpose()?;
    let mut line = Vec::new();
    stdin
        .lock()
        .take(MAX_LINE_BYTES)
        .read_until(b'\n', &mut line)?;
    let end = line.iter().rposition(|byte| !b"\r\n".contains(byte));
    line.truncate(end.map_or(0, |at| at + 1));
    Ok(line)
}

/// A terminal that asks for a password, and does not show what is typed.
struct Quiet(Termios);

impl Quiet {
    fn new() -> io::Result<Quiet> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        let guard = Quiet(before);
        let mut stderr = io::stderr().lock();
        write!(stderr, "Password: ").and_then(|()| stderr.flush())?;
        Ok(guard)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // What cannot be put back was not changed.
        let _same = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
        let _unheard = writeln!(io::stderr().lock());
    }
}
