//! The tables are held to what their reader expects of them.

use std::collections::BTreeSet;

use super::{BROKER, COMPILER, ENGINE, Rule, Table};

/// What an engine must never be able to call, whatever else changes.
const NEVER_IN_ENGINE: [i64; 24] = [
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kill,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pidfd_getfd,
    libc::SYS_bpf,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_seccomp,
    libc::SYS_splice,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
];

fn tables() -> [(&'static str, &'static Table); 3] {
    [
        ("engine", &ENGINE),
        ("broker", &BROKER),
        ("compiler", &COMPILER),
    ]
}

#[test]
fn every_row_has_a_name_and_a_reason() {
    for (table, rows) in tables() {
        for row in rows.all_rows() {
            assert!(!row.name.is_empty(), "{table}: a row has no name");
            assert!(!row.who.is_empty(), "{table}: nobody needs {}", row.name);
        }
    }
}

#[test]
fn no_call_is_listed_twice() {
    for (table, rows) in tables() {
        let mut names = BTreeSet::new();
        let mut numbers = BTreeSet::new();
        let soft = rows
            .no_such_call
            .iter()
            .chain(rows.no_access)
            .map(|s| (s.name, s.number));
        for (name, number) in rows.all_rows().map(|r| (r.name, r.number)).chain(soft) {
            assert!(names.insert(name), "{table}: {name} is listed twice");
            assert!(
                numbers.insert(number),
                "{table}: {name} has another row's number"
            );
        }
    }
}

#[test]
fn a_rule_that_lists_nothing_would_allow_everything() {
    for (table, rows) in tables() {
        for row in rows.all_rows() {
            if let Rule::When(lines) = &row.rule {
                assert!(!lines.is_empty(), "{table}: {} has no line", row.name);
                assert!(
                    lines.iter().all(|l| !l.is_empty()),
                    "{table}: {} has an empty line",
                    row.name
                );
            }
        }
    }
}

#[test]
fn what_reaches_out_is_not_in_the_engine() {
    for number in NEVER_IN_ENGINE {
        for table in [&ENGINE, &COMPILER] {
            let found = table
                .all_rows()
                .find(|r| r.number == number)
                .map(|r| r.name);
            assert_eq!(found, None);
        }
    }
}

#[test]
fn the_compiler_looks_for_no_file() {
    assert!(COMPILER.no_access.is_empty());
    let opens = [libc::SYS_openat, libc::SYS_newfstatat, libc::SYS_accept4];
    assert!(!COMPILER.all_rows().any(|row| opens.contains(&row.number)));
}

#[test]
fn the_broker_starts_no_process_and_looks_into_none() {
    let never = [
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_kill,
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        libc::SYS_ftruncate,
    ];
    for number in never {
        let found = BROKER
            .all_rows()
            .find(|r| r.number == number)
            .map(|r| r.name);
        assert_eq!(found, None);
    }
}

#[test]
fn all_compile_to_filters_the_kernel_takes() {
    /// `BPF_MAXINSNS`.
    const MOST_INSTRUCTIONS: usize = 4096;
    for (table, rows) in tables() {
        let programs = rows.compile().unwrap_or_else(|e| panic!("{table}: {e}"));
        for program in programs {
            assert!(
                (1..=MOST_INSTRUCTIONS).contains(&program.len()),
                "{table}: {}",
                program.len()
            );
        }
    }
}
