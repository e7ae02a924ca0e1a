//! The compiler as a child: what it makes, what it refuses, what ends it.
//!
//! A word as argument runs only the tests whose names contain it.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(
    clippy::print_stdout,
    reason = "a test harness of its own, since children of probes re-execute it"
)]

mod bomb;
mod talk;

use std::os::fd::AsFd as _;
use std::panic::catch_unwind;
use std::process::{Command, ExitCode};
use std::time::Instant;

use fumehood_control::{FromCompiler, ToCompiler};
use fumehood_sandbox::{Attack, Role, Verdict, probe_attack_on, probe_layers, scratch, sealed};
use talk::{Compiler, EMPTY_COMPONENT, compile, guest};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_fumehood-compiler");

const TESTS: [(&str, fn()); 10] = [
    ("a_guest_becomes_native_code", a_guest_becomes_native_code),
    (
        "the_build_says_which_wasmtime_makes_the_code",
        the_build_says_which_wasmtime_makes_the_code,
    ),
    ("every_attack_ends_as_it_must", every_attack_ends_as_it_must),
    (
        "its_time_and_memory_are_bounded",
        its_time_and_memory_are_bounded,
    ),
    (
        "a_module_made_to_be_hard_ends_typed",
        a_module_made_to_be_hard_ends_typed,
    ),
    (
        "damaged_components_are_refused_in_words",
        damaged_components_are_refused_in_words,
    ),
    (
        "too_many_interfaces_are_refused",
        too_many_interfaces_are_refused,
    ),
    (
        "memory_that_could_change_is_not_compiled",
        memory_that_could_change_is_not_compiled,
    ),
    ("out_of_turn_it_says_nothing", out_of_turn_it_says_nothing),
    (
        "on_the_command_line_it_wraps_and_lists",
        on_the_command_line_it_wraps_and_lists,
    ),
];

fn main() -> ExitCode {
    let filter = std::env::args()
        .nth(1)
        .filter(|word| !word.starts_with('-'))
        .unwrap_or_default();
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(&filter)) {
        let passed = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += u8::from(!passed);
    }
    ExitCode::from(failed)
}

fn a_guest_becomes_native_code() {
    let began = Instant::now();
    let (answer, code) = compile(&guest("tls"));
    println!("  tls took {:?}", began.elapsed());
    let FromCompiler::Compiled {
        bytes,
        imports,
        exports,
    } = answer
    else {
        panic!("{answer:?}");
    };
    assert_eq!(bytes, code.len() as u64);
    assert!(code.starts_with(b"\x7fELF"));
    let wanted = [
        "fumehood:crypto/keys@0.1.0",
        "fumehood:guest/panic@0.1.0",
        "fumehood:tls/verify@0.1.0",
    ];
    assert_eq!(imports, wanted);
    assert!(!exports.is_empty() && exports.is_sorted());
    // What is made in the sandbox is what is made outside of it.
    let temp = tempfile::tempdir().unwrap();
    let (input, output) = (temp.path().join("in.wasm"), temp.path().join("out"));
    std::fs::write(&input, guest("tls")).unwrap();
    assert!(
        Command::new(PROGRAM)
            .args([&input, &output])
            .status()
            .unwrap()
            .success()
    );
    assert!(code == std::fs::read(output.with_extension("cwasm")).unwrap());
}

/// The version that caches are keyed by is the one that is built with.
fn the_build_says_which_wasmtime_makes_the_code() {
    let manifest = include_str!("../../../../Cargo.toml");
    let pinned = format!("wasmtime = {{ version = \"={}\"", fumehood_wasm::WASMTIME);
    assert!(manifest.contains(&pinned), "{pinned}");
    assert!(fumehood_wasm::code_build().contains(fumehood_wasm::WASMTIME));
}

fn every_attack_ends_as_it_must() {
    for &attack in Attack::ALL {
        let mut probe = Command::new(PROGRAM);
        let verdict = probe_attack_on(probe.arg("--probe"), Role::Compiler, attack).unwrap();
        let expected = attack.expected_in_compiler();
        assert!(
            verdict.is(expected),
            "{}: {verdict:?} and not {expected:?}",
            attack.name()
        );
    }
    let mut probe = Command::new(PROGRAM);
    let opens = probe_attack_on(probe.arg("--probe"), Role::Compiler, Attack::OpenFile);
    assert_eq!(opens.unwrap(), Verdict::Killed);
}

fn its_time_and_memory_are_bounded() {
    let layers = probe_layers(Command::new(PROGRAM).arg("--probe"), Role::Compiler).unwrap();
    let limits = format!(
        "{:?}",
        layers
            .iter()
            .find(|it| it.layer.name() == "rlimits")
            .unwrap()
    );
    assert!(
        limits.contains("30 s of processor time, 1024 MiB of memory"),
        "{limits}"
    );
}

fn a_module_made_to_be_hard_ends_typed() {
    for (name, component) in bomb::all() {
        let began = Instant::now();
        let mut compiler = Compiler::start();
        compiler.hello();
        compiler.offer(&component);
        match compiler.hear() {
            Some(FromCompiler::Compiled { .. } | FromCompiler::Failed { .. }) => {}
            Some(other) => panic!("{name}: {other:?}"),
            None => {
                let signal = compiler.signal();
                assert!([6, 9, 11, 24].contains(&signal), "{name}: signal {signal}");
            }
        }
        println!("  {name}: {:?}", began.elapsed());
    }
}

fn damaged_components_are_refused_in_words() {
    let whole = guest("http1");
    for step in 0..24 {
        let mut damaged = whole.clone();
        let place = (step * 7919 + 8) % damaged.len();
        damaged[place] = damaged[place].wrapping_add(0x55);
        // Some bytes do not matter (names of functions); none may kill it.
        let (answer, _) = compile(&damaged);
        match answer {
            FromCompiler::Compiled { .. } => {}
            FromCompiler::Failed { why } => assert!(!why.is_empty() && why.len() <= 1024),
            other => panic!("{other:?}"),
        }
    }
    for short in [
        &b""[..],
        b"\0asm",
        b"\0asm\x01\0\0\0",
        &whole[..whole.len() / 2],
    ] {
        assert!(matches!(compile(short).0, FromCompiler::Failed { .. }));
    }
}

fn too_many_interfaces_are_refused() {
    let (answer, _) = compile(&bomb::imports(65, "a"));
    let FromCompiler::Failed { why } = answer else {
        panic!("{answer:?}");
    };
    assert!(why.contains("64"), "{why}");
    let (answer, _) = compile(&bomb::imports(1, &"a".repeat(200)));
    assert!(matches!(answer, FromCompiler::Failed { .. }), "{answer:?}");
}

fn memory_that_could_change_is_not_compiled() {
    let compiler = Compiler::start();
    compiler.hello();
    let (component, code) = (scratch("component").unwrap(), scratch("code").unwrap());
    compiler.say(&ToCompiler::Compile, &[component.as_fd(), code.as_fd()]);
    let answer = compiler.hear().unwrap();
    assert!(
        matches!(&answer, FromCompiler::Failed { why } if why.contains("not sealed")),
        "{answer:?}"
    );
}

fn out_of_turn_it_says_nothing() {
    let compiler = Compiler::start();
    let (component, code) = (
        sealed("c", &[EMPTY_COMPONENT]).unwrap(),
        scratch("code").unwrap(),
    );
    compiler.say(&ToCompiler::Compile, &[component.as_fd(), code.as_fd()]);
    assert_eq!(compiler.hear(), None);
    let compiler = Compiler::start();
    compiler.say(
        &ToCompiler::Hello {
            version: 0,
            required: Vec::new(),
        },
        &[],
    );
    assert_eq!(compiler.hear(), None);
}

fn on_the_command_line_it_wraps_and_lists() {
    let temp = tempfile::tempdir().unwrap();
    let input = temp.path().join("x509.wasm");
    std::fs::write(&input, guest("x509")).unwrap();
    let listed = Command::new(PROGRAM)
        .arg("--imports")
        .arg(&input)
        .output()
        .unwrap();
    assert!(listed.status.success());
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(
        listed,
        "fumehood:crypto/signatures@0.1.0\nfumehood:guest/panic@0.1.0\n"
    );
    let usage = Command::new(PROGRAM).arg("--what").output().unwrap();
    assert!(!usage.status.success() && String::from_utf8_lossy(&usage.stderr).contains("usage"));
}
