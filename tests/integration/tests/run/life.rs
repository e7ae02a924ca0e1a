//! How it begins and ends: streams, environment, exit codes, signals.

use std::fs;
use std::process::Command;
use std::time::Duration;

use fumehood_tests::artifacts::{program, unmoved};
use fumehood_tests::processes::wait_for;
use fumehood_tests::temp::TempDir;
use rustix::process::{Pid, Signal, kill_process};

use super::support::{run, text, wait_until_there};

/// Only a test that fails waits so long.
const READY_LIMIT: Duration = Duration::from_secs(30);

#[test]
fn the_exit_code_is_the_commands_own() {
    for code in [0, 1, 7, 255] {
        let script = format!("exit {code}");
        assert_eq!(run(["--", "sh", "-c", &script]).run().code(), code);
    }
    assert_eq!(run(["--", "sh", "-c", "kill -TERM $$"]).run().code(), 143);
    assert_eq!(run(["--", "sh", "-c", "kill -KILL $$"]).run().code(), 137);
}

#[test]
fn what_cannot_be_run_is_told_as_a_shell_tells_it() {
    let finished = run(["--", "/nonexistent/program"]).run();
    assert_eq!(finished.code(), 127);
    assert!(
        finished.stderr.contains("/nonexistent/program"),
        "{finished:?}"
    );
    let folder = TempDir::new().unwrap();
    let file = folder.write("text", "no program\n").unwrap();
    let finished = run(["--"]).arg(file).run();
    assert_eq!(finished.code(), 126, "{finished:?}");
}

#[test]
fn streams_folder_and_arguments_are_the_commands_own() {
    let folder = TempDir::new().unwrap();
    let folder = fs::canonicalize(folder.path()).unwrap();
    let finished = run(["sh", "-c", "cat; pwd; echo $1 >&2", "sh", "--allow"])
        .folder(&folder)
        .stdin("what is typed\n")
        .run();
    let expected = format!("what is typed\n{}\n", folder.display());
    assert_eq!(text(finished.content()), expected);
    assert_eq!(finished.stderr, "--allow\n");
}

#[test]
fn the_environment_names_the_proxy_whatever_was_there() {
    let folder = TempDir::new().unwrap();
    let authorities = folder.write("ca.pem", "").unwrap();
    let authorities = fs::canonicalize(authorities).unwrap();
    let script = "echo $http_proxy $HTTPS_PROXY $CARGO_HTTP_PROXY $SSL_CERT_FILE $KEPT; \
                  echo $JAVA_TOOL_OPTIONS";
    let finished = run(["--verbose", "--cacert"])
        .arg(&authorities)
        .args(["--", "sh", "-c", script])
        .env("http_proxy", "http://192.0.2.1:8080")
        .env("KEPT", "kept")
        .run();
    let told = text(finished.content());
    let proxy = "http://127.0.0.1:3128";
    let first = format!("{proxy} {proxy} {proxy} {} kept", authorities.display());
    assert_eq!(told.lines().next(), Some(first.as_str()));
    assert!(told.contains("-Dhttps.proxyPort=3128"), "{told}");
    let overridden = "http_proxy was \"http://192.0.2.1:8080\"";
    assert!(finished.stderr.contains(overridden), "{}", finished.stderr);
}

#[test]
fn signals_are_passed_on() {
    // Where this test was started in the background of a script, SIGINT is ignored,
    // and stays so for the command.
    let ignored = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = ignored_signals(&ignored);
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::INT, "INT")] {
        if ignored & (1 << (signal.as_raw() - 1)) != 0 {
            continue;
        }
        let folder = TempDir::new().unwrap();
        let ready = folder.join("ready");
        let script = format!(
            "trap 'echo caught; exit 3' {name}; touch {}; while :; do sleep 0.01; done",
            ready.display()
        );
        let running = run(["--", "sh", "-c", &script]).start();
        wait_until_there(&ready);
        kill_process(Pid::from_raw(running.pid()).unwrap(), signal).unwrap();
        let finished = running.finish();
        assert_eq!(finished.code(), 3, "{finished:?}");
        assert_eq!(text(&finished.stdout), "caught\n");
    }
}

#[test]
fn what_a_terminal_sends_to_all_leaves_the_proxy_alone() {
    let running = run(["--", "sleep", "60"]).start();
    for role in ["engine", "broker"] {
        let process = running.process(role);
        let ignored = wait_for(READY_LIMIT, || {
            let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap();
            // Bits of SIGHUP, SIGINT and SIGQUIT.
            (ignored_signals(&status) & 0b111 == 0b111).then_some(())
        });
        assert!(ignored.is_some(), "the {role} ends by Ctrl-C");
    }
    kill_process(Pid::from_raw(running.pid()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(running.finish().code(), 143);
}

/// Of `/proc/PID/status`: bit 0 is signal 1.
fn ignored_signals(status: &str) -> u64 {
    let mask = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
    u64::from_str_radix(mask.unwrap().trim(), 16).unwrap()
}

#[test]
fn what_is_ignored_stays_ignored() {
    // As `nohup` has it. The last digit is odd where the first signal is ignored.
    let script = "trap '' HUP; \
                  exec \"$0\" run -- grep -q '^SigIgn:.*[13579bdf]$' /proc/self/status";
    let mut shell = unmoved(Command::new("sh"));
    shell.args(["-c", script]).arg(program("fumehood"));
    let output = shell.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
