//! A network that changes under a proxy: one of its own, where the test gives the
//! addresses.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use fumehood_tests::artifacts::{program, unmoved};
use fumehood_tests::processes::wait_for;
use fumehood_tests::temp::TempDir;

use crate::support::{PATIENCE, Proxy};

/// Becomes what follows it, and runs each line that is written into the pipe `$1`.
const SCRIPT: &str = "mkfifo \"$1\" && ip link set lo up && ip address add 10.9.8.1/32 dev lo && \
                      pipe=$1 && shift && \
                      { while read -r line < \"$pipe\"; do eval \"$line\"; done > /dev/null & } && \
                      exec \"$0\" \"$@\"";

/// Names a proxy where nobody is, by what it is told of this machine.
const PAC: &str = "data:,function FindProxyForURL(url, host) \
                   { return 'PROXY ' + myIpAddress() + ':81'; }";

/// All that a client is told which asks through this socket.
fn told(socket: &Path) -> String {
    let mut client = UnixStream::connect(socket).unwrap();
    let request = "GET http://origin.test/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    client.write_all(request.as_bytes()).unwrap();
    let mut told = String::new();
    client.read_to_string(&mut told).unwrap();
    told
}

#[test]
fn a_script_is_told_another_address_when_there_is_one() {
    let folder = TempDir::new().unwrap();
    let (pipe, socket) = (folder.join("pipe"), folder.join("proxy.sock"));
    let mut command = unmoved(Command::new("unshare"));
    command
        .args(["--user", "--map-user=1000", "--map-group=1000"])
        .args(["--keep-caps", "--net", "sh", "-c", SCRIPT])
        .args([program("fumehood"), pipe.clone()])
        .args(["proxy", "--json", "--proxy-pac", PAC, "--listen"])
        .arg(format!("unix:{}", socket.display()))
        .stdin(Stdio::null());
    let _proxy = Proxy::spawn(command, TempDir::new().unwrap());
    let before = told(&socket);
    assert!(before.contains("10.9.8.1"), "{before}");
    // In one line: what is written while nobody reads is gone with who read.
    let change = "ip address add 10.9.8.7/32 dev lo && ip address del 10.9.8.1/32 dev lo\n";
    fs::write(&pipe, change).unwrap();
    let after = wait_for(PATIENCE, || {
        Some(told(&socket)).filter(|told| !told.contains("10.9.8.1"))
    });
    assert!(after.as_ref().unwrap().contains("10.9.8.7"), "{after:?}");
}
