//! The embedder's part, played by a test.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use fumehood_control::{FromCompiler, PROTOCOL_VERSION, ToCompiler};
use fumehood_sandbox::{Channel, ChannelError, scratch, sealed};

/// The least that is a component.
pub(crate) const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// A guest that `cargo xtask guests` has built.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let program = PathBuf::from(crate::PROGRAM);
    let target = program.parent().unwrap().parent().unwrap();
    let path = target.join("guests/out").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; cargo xtask guests", path.display()))
}

/// A compiler that runs. Ends with the test.
pub(crate) struct Compiler {
    child: Child,
    channel: Channel<ToCompiler, FromCompiler>,
}

impl Compiler {
    pub(crate) fn start() -> Self {
        let (channel, theirs) = Channel::pair().unwrap();
        let child = Command::new(crate::PROGRAM)
            .arg("--sandboxed")
            .env_clear()
            .stdin(theirs.into_fd())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Compiler { child, channel }
    }

    pub(crate) fn say(&self, message: &ToCompiler, fds: &[BorrowedFd<'_>]) {
        self.channel.send(message, fds).unwrap();
    }

    /// `None` when it has ended.
    pub(crate) fn hear(&self) -> Option<FromCompiler> {
        match self.channel.recv() {
            Ok((message, _)) => Some(message),
            Err(ChannelError::Closed) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// To where its sandbox holds.
    pub(crate) fn hello(&self) {
        self.say(
            &ToCompiler::Hello {
                version: PROTOCOL_VERSION,
                required: Vec::new(),
            },
            &[],
        );
        let answer = self.hear();
        assert!(
            matches!(answer, Some(FromCompiler::Ready { .. })),
            "{answer:?}"
        );
    }

    /// Gives it a component; what it makes of it can be read from what is returned.
    pub(crate) fn offer(&self, component: &[u8]) -> File {
        let component = sealed("component", &[component]).unwrap();
        let code = scratch("code").unwrap();
        self.say(&ToCompiler::Compile, &[component.as_fd(), code.as_fd()]);
        code.into()
    }

    /// What killed it.
    pub(crate) fn signal(&mut self) -> i32 {
        self.child.wait().unwrap().signal().unwrap_or(0)
    }
}

impl Drop for Compiler {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Start to end.
pub(crate) fn compile(component: &[u8]) -> (FromCompiler, Vec<u8>) {
    let compiler = Compiler::start();
    compiler.hello();
    let mut code = compiler.offer(component);
    let answer = compiler.hear().expect("it says how it went");
    let mut bytes = Vec::new();
    code.rewind().unwrap();
    code.read_to_end(&mut bytes).unwrap();
    (answer, bytes)
}
