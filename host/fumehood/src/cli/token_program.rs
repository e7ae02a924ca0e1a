//! Tokens for a proxy, made by a program that the user names: one process for each
//! connection, which is told and tells lines, as those of Samba's `ntlm_auth` do
//! (`--helper-protocol=ntlmssp-client-1` and `gss-spnego-client`).
//!
//! ```text
//! YR          what is the first token?
//! TT CHALLENGE    the proxy said this: what is the next?
//! ```
//!
//! An answer is `YR`, `TT`, `KK` or `AF` and a token, or `BH` or `NA` and why there
//! is none. Tokens are in base64. What the proxy said last, where it said anything,
//! is told by `TT` as well, and any of the first four is a yes.

use std::path::PathBuf;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fumehood::control::{MAX_TOKEN_BYTES, TokenScheme};
use fumehood::policy::ProxyServer;
use fumehood::{TokenConversation, TokenError, TokenFuture, TokenSource};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Longest answer, in bytes: the longest token in base64, and the word before it.
const MAX_ANSWER_BYTES: u64 = (MAX_TOKEN_BYTES / 3 * 4 + 16) as u64;

/// The program.
#[derive(Debug)]
pub(crate) struct TokenProgram(pub(crate) PathBuf);

impl TokenSource for TokenProgram {
    fn begin(&self, proxy: &ProxyServer, scheme: TokenScheme) -> Box<dyn TokenConversation> {
        let mut command = Command::new(&self.0);
        command
            .env("FUMEHOOD_AUTH_HOST", proxy.host.to_string())
            .env("FUMEHOOD_AUTH_PORT", proxy.port.to_string())
            .env("FUMEHOOD_AUTH_SCHEME", scheme.name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        Box::new(Spoken {
            program: self.0.clone(),
            command,
            running: None,
        })
    }
}

/// A process, begun when it is first asked. It ends with this.
struct Spoken {
    program: PathBuf,
    command: Command,
    running: Option<Running>,
}

struct Running {
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl TokenConversation for Spoken {
    fn token<'a>(&'a mut self, challenge: Option<&'a [u8]>) -> TokenFuture<'a, Vec<u8>> {
        Box::pin(async move {
            let answer = self.ask(challenge).await?;
            let token = STANDARD.decode(&answer);
            token.map_err(|_| self.refused("its token is not base64"))
        })
    }

    fn end<'a>(&'a mut self, last: Option<&'a [u8]>) -> TokenFuture<'a, ()> {
        Box::pin(async move {
            match last {
                Some(last) => self.ask(Some(last)).await.map(drop),
                None => Ok(()),
            }
        })
    }
}

impl Spoken {
    /// What stands behind the word of a yes.
    async fn ask(&mut self, challenge: Option<&[u8]>) -> Result<String, TokenError> {
        let line = match challenge {
            None => "YR\n".to_owned(),
            Some(challenge) => format!("TT {}\n", STANDARD.encode(challenge)),
        };
        let answer = match self.talk(line.as_bytes()).await {
            Ok(answer) => answer,
            Err(why) => return Err(self.refused(&why.to_string())),
        };
        let (word, rest) = answer.split_once(' ').unwrap_or((&answer, ""));
        match word {
            "YR" | "TT" | "KK" | "AF" => Ok(rest.trim().to_owned()),
            "BH" | "NA" => Err(self.refused(rest)),
            "" => Err(self.refused("it ended without an answer")),
            _ => Err(self.refused("its answer begins with none of YR, TT, KK, AF, BH and NA")),
        }
    }

    async fn talk(&mut self, line: &[u8]) -> std::io::Result<String> {
        if self.running.is_none() {
            let mut process = self.command.spawn()?;
            let gone = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
            self.running = Some(Running {
                input: process.stdin.take().ok_or_else(gone)?,
                output: BufReader::new(process.stdout.take().ok_or_else(gone)?),
                _process: process,
            });
        }
        let Some(Running { input, output, .. }) = &mut self.running else {
            return Ok(String::new());
        };
        match input.write_all(line).await {
            // It may have said why before it ended.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
        let mut answer = String::new();
        output.take(MAX_ANSWER_BYTES).read_line(&mut answer).await?;
        Ok(answer.trim_end().to_owned())
    }

    fn refused(&self, why: &str) -> TokenError {
        TokenError(format!("{}: {why}", self.program.display()))
    }
}
