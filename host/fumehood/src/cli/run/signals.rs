//! Signals that are for the program, and reach us.

use std::fs;
use std::io;

use rustix::process::{Pid, Signal as Number, getpgrp, kill_process};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The field of `/proc/self/stat`, counted behind the name in brackets, with
/// the process group that the terminal talks to.
const FOREGROUND_FIELD: usize = 5;

/// What is listened for. What the program does about it is its own.
pub(super) struct Signals {
    interrupt: Signal,
    quit: Signal,
    terminate: Signal,
    hang_up: Signal,
    user1: Signal,
    user2: Signal,
}

impl Signals {
    /// From now on they do not end us. To be called once the launcher is there,
    /// since what was ignored before (`nohup`) is the program's to ignore too.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Number {
        tokio::select! {
            _ = self.interrupt.recv() => Number::INT,
            _ = self.quit.recv() => Number::QUIT,
            _ = self.terminate.recv() => Number::TERM,
            _ = self.hang_up.recv() => Number::HUP,
            _ = self.user1.recv() => Number::USR1,
            _ = self.user2.recv() => Number::USR2,
        }
    }
}

/// Passes a signal on to the program, unless it has ended or has it already:
/// what is typed at a terminal goes to all of the foreground.
pub(super) fn pass_on(signal: Number, program: Option<u32>) {
    let typed = matches!(signal, Number::INT | Number::QUIT) && in_foreground();
    let program = program.and_then(|it| Pid::from_raw(it.cast_signed()));
    if let Some(program) = program.filter(|_| !typed) {
        // It may have ended meanwhile; it has not been waited for, so the
        // number is still its own.
        let _gone = kill_process(program, signal);
    }
}

/// Whether a terminal talks to our process group. Without a terminal it is not so.
fn in_foreground() -> bool {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, behind)| behind);
    let group = fields.and_then(|it| it.split_whitespace().nth(FOREGROUND_FIELD));
    group.and_then(|it| it.parse::<i32>().ok()) == Some(getpgrp().as_raw_nonzero().get())
}
