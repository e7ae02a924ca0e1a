//! A proxy under trial: ours, or any other that is started in the bottle.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, interval, sleep, timeout};

use super::bottle::Bottle;
use super::tries::{Route, SOCKS_GREETING, Try};
use crate::cli::args::MissingLayers;
use crate::cli::exit::{Exit, Failed};

/// How long a proxy may take to listen.
const START: Duration = Duration::from_secs(20);

/// How often a proxy that starts is looked at.
const POLL: Duration = Duration::from_millis(10);

/// How long it may take to answer a message; all there is to wait for is here.
const ANSWER: Duration = Duration::from_secs(5);

/// How often the policy is read again while a race for it is on.
const RELOAD: Duration = Duration::from_millis(5);

/// Longest answer read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// What goes through a tunnel once there is one.
const INNER: &[u8] = b"GET / HTTP/1.1\r\nHost: prove.test\r\nConnection: close\r\n\r\n";

/// A proxy that runs; killed on drop.
#[derive(Debug)]
pub(super) struct Target<'a> {
    address: SocketAddr,
    child: Child,
    reload: Reload<'a>,
}

/// How it is told to read its policy again.
#[derive(Clone, Copy, Debug)]
enum Reload<'a> {
    /// It follows its configuration, which is written anew.
    Rewrite(&'a Bottle),
    /// By SIGHUP, as daemons are.
    HangUp,
}

impl<'a> Target<'a> {
    /// Starts ours, and returns once it listens there.
    pub(super) async fn ours(
        address: SocketAddr,
        bottle: &'a Bottle,
        missing: &MissingLayers,
    ) -> Result<Self, Failed> {
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["proxy", "--listen", &address.to_string(), "--config"])
            .arg(bottle.configuration());
        missing.add_to(&mut command);
        Target::start(command, address, Reload::Rewrite(bottle)).await
    }

    /// Starts another by its command, likewise.
    pub(super) async fn other(address: SocketAddr, words: &[OsString]) -> Result<Self, Failed> {
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| failed(&"there is no command behind --"))?;
        let mut command = Command::new(program);
        command.args(arguments);
        Target::start(command, address, Reload::HangUp).await
    }

    async fn start(
        mut command: Command,
        address: SocketAddr,
        reload: Reload<'a>,
    ) -> Result<Self, Failed> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| failed(&e))?;
        let limit = Instant::now() + START;
        while TcpStream::connect(address).await.is_err() {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(failed(&format!("it ended at once: {status}")));
            }
            if Instant::now() > limit {
                return Err(failed(&format!("it does not listen on {address}")));
            }
            sleep(POLL).await;
        }
        Ok(Target {
            address,
            child,
            reload,
        })
    }

    /// Makes all tries of a proxy's routes, and writes down what it answered.
    pub(super) async fn run(&mut self, tries: &mut [Try]) -> Result<(), Failed> {
        for one in tries.iter_mut().filter(|it| !it.route.is_clients()) {
            one.answer = if one.is_reload() {
                let asking = self.ask(&one.sent, one.route);
                while_reloading(async { Ok(asking.await) }, |version| {
                    self.read_again(version)
                })
                .await?
            } else {
                self.ask(&one.sent, one.route).await
            };
            if let Ok(Some(status)) = self.child.try_wait() {
                if one.is_reload() {
                    // What SIGHUP ends has nothing to read again; no more to try.
                    one.answer = format!("ended: {status}");
                    return Ok(());
                }
                let why = format!("the proxy under trial ended at {}: {status}", one.case.name);
                return Err(Failed::new(Exit::Engine, why));
            }
        }
        Ok(())
    }

    /// Sends what there is to send; gives what came back, in a few words.
    async fn ask(&self, messages: &[Vec<u8>], route: Route) -> String {
        // Its own messages share a connection, the others have one each.
        let connections: Vec<&[Vec<u8>]> = match route {
            Route::Messages => vec![messages],
            _ => messages.chunks(1).collect(),
        };
        let mut words = Vec::new();
        for messages in connections {
            words = self
                .converse(messages)
                .await
                .unwrap_or_else(|e| vec![e.to_string()]);
        }
        words.join(", ")
    }

    async fn converse(&self, messages: &[Vec<u8>]) -> io::Result<Vec<String>> {
        let mut stream = TcpStream::connect(self.address).await?;
        let (mut words, mut unread) = (Vec::new(), Vec::new());
        for message in messages {
            stream.write_all(message).await?;
            let tunnel = message.starts_with(b"CONNECT ");
            let (status, opened) = match message.starts_with(SOCKS_GREETING) {
                true => reply(&mut stream).await?,
                false => {
                    let status = answer(&mut stream, &mut unread, tunnel).await?;
                    let opened = tunnel && status.starts_with('2');
                    (status, opened)
                }
            };
            words.push(status);
            if opened && messages.len() == 1 {
                stream.write_all(INNER).await?;
                words.push(answer(&mut stream, &mut unread, false).await?);
            }
        }
        Ok(words)
    }

    /// Has it read its policy again, which says the same.
    fn read_again(&self, version: usize) -> io::Result<()> {
        if let Reload::Rewrite(bottle) = self.reload {
            return bottle.rewrite_configuration(version);
        }
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let pid = id.and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
        Ok(kill_process(pid, Signal::HUP)?)
    }

    /// Ends it, and waits until it is gone.
    pub(super) async fn end(mut self) -> io::Result<()> {
        self.child.kill().await
    }
}

fn failed(why: &dyn std::fmt::Display) -> Failed {
    Failed::new(Exit::Launch, format!("the proxy under trial: {why}"))
}

/// Does `work`, and has the policy read again all the while.
pub(super) async fn while_reloading<T>(
    work: impl Future<Output = Result<T, Failed>>,
    again: impl Fn(usize) -> io::Result<()>,
) -> Result<T, Failed> {
    let reloading = async {
        let mut ticks = interval(RELOAD);
        for version in 1.. {
            ticks.tick().await;
            if let Err(e) = again(version) {
                return Failed::new(Exit::Launch, format!("the policy cannot be changed: {e}"));
            }
        }
        unreachable!("versions do not come to an end")
    };
    tokio::select! {
        done = work => done,
        failed = reloading => Err(failed),
    }
}

/// Reads what SOCKS 5 says to a greeting and to CONNECT (RFC 1928 sections 3 and
/// 6): the reply's code, and whether a tunnel stands.
async fn reply(stream: &mut TcpStream) -> io::Result<(String, bool)> {
    // Ours says that it is bound to no address of IPv4.
    let mut bytes = [0; 2 + 10];
    let told = match timeout(ANSWER, stream.read_exact(&mut bytes)).await {
        Ok(Ok(_)) => format!("reply {}", bytes[3]),
        Ok(Err(_)) => "closed".to_owned(),
        Err(_) => "silent".to_owned(),
    };
    let opened = told == "reply 0";
    Ok((told, opened))
}

/// Reads a response: its status, `closed`, or `silent`. What follows it stays
/// unread.
async fn answer(stream: &mut TcpStream, bytes: &mut Vec<u8>, tunnel: bool) -> io::Result<String> {
    let read = timeout(ANSWER, async {
        let mut buffer = [0; 4096];
        while whole(bytes, tunnel).is_none() && bytes.len() < MAX_ANSWER_BYTES {
            let read = stream.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            bytes.extend_from_slice(&buffer[..read]);
        }
        io::Result::Ok(())
    });
    let ended = read.await;
    let length = whole(bytes, tunnel).unwrap_or(bytes.len());
    let response: Vec<u8> = bytes.drain(..length).collect();
    let status = String::from_utf8_lossy(&response);
    match (status.split(' ').nth(1), ended) {
        (Some(code), _) if status.starts_with("HTTP/") => Ok(code.chars().take(3).collect()),
        (_, Err(_)) => Ok("silent".to_owned()),
        (_, Ok(_)) => Ok("closed".to_owned()),
    }
}

/// The length of a response that has come in full: its head, and as much as it
/// announces. Without an announcement it ends with the connection.
fn whole(bytes: &[u8], tunnel: bool) -> Option<usize> {
    let end = bytes.windows(4).position(|it| it == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    if tunnel && head.split(' ').nth(1).is_some_and(|it| it.starts_with('2')) {
        return Some(end + 4);
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|it| it.trim().parse::<usize>().ok());
    let all = end.saturating_add(4).saturating_add(length?);
    (bytes.len() >= all).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_whole_when_its_content_is() {
        let response = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
        for length in 0..response.len() {
            assert_eq!(whole(&response[..length], true), None, "{length}");
        }
        let two = [&response[..], response].concat();
        assert_eq!(whole(&two, true), Some(response.len()));
        assert_eq!(whole(b"HTTP/1.1 200 OK\r\n\r\n", true), Some(19));
        assert_eq!(whole(b"HTTP/1.1 200 OK\r\n\r\n", false), None);
    }
}
