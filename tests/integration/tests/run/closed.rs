//! Where there is no network of its own to be had, nothing is run.

use std::process::Command;

use fumehood_tests::artifacts::{fumehood, program, unmoved};

use super::support::text;

#[test]
fn without_namespaces_nothing_is_run() {
    // In a user namespace of its own, where anybody may forbid further ones.
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && \
                  exec \"$0\" run --allow '*' -- echo was run";
    let mut command = unmoved(Command::new("unshare"));
    command.args(["--user", "--map-root-user", "sh", "-c", script]);
    command.arg(program("fumehood"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert_eq!(text(&output.stdout), "");
    let told = text(&output.stderr);
    for part in [
        "user-namespace is missing",
        "user.max_user_namespaces is 0",
        "sysctl",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
}

#[test]
fn a_bad_configuration_runs_nothing() {
    let mut command = fumehood();
    command.args([
        "run",
        "--config",
        "/nonexistent/file",
        "--",
        "echo",
        "was run",
    ]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert_eq!(text(&output.stdout), "");
    assert!(text(&output.stderr).contains("/nonexistent/file"));
}
