//! The compiler's bounds, each of them reached. So that it does not take as
//! long as it may, a shell lowers them first: a lower bound stays.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fumehood::{CompileLimit, ModuleError};

use crate::setting::{Setting, component, release_folder};

/// Bytes of a function that is hard to compile, near the most that one may have.
const HARD_BYTES: usize = 7 * 1_085_000;

/// How many of them a component has. A second of processor time is far too
/// little, and they fit the most bytes of a component.
const HARD_FUNCTIONS: u32 = 2;

/// The compiler under bounds of `ulimit`.
fn bounded(it: &Setting, bounds: &str) -> PathBuf {
    let program = release_folder().join("fumehood-compiler");
    let script = format!("#!/bin/sh\n{bounds}\nexec {} \"$@\"\n", program.display());
    let path = it.path("compiler");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

/// What loading this file with this compiler comes to.
fn limit_reached(it: &Setting, file: &Path, compiler: PathBuf, within: Duration) -> CompileLimit {
    let mut reached = None;
    it.run(async {
        let builder = it.builder().compiler(compiler).compile_within(within);
        let engine = builder.launch().await.unwrap();
        let error = engine.modules().load(file, None).await.unwrap_err();
        assert_eq!(error.code(), "compile-limit", "{error}");
        assert!(error.to_string().contains("http1 9.0.0"), "{error}");
        // What was current is current.
        let current = crate::setting::in_state(&engine.modules(), "current").await;
        assert_eq!(current.unwrap().origin, "embedded");
        let ModuleError::CompileLimit { limit, .. } = error else {
            panic!("{error}");
        };
        reached = Some(limit);
    });
    reached.unwrap()
}

pub(crate) fn processor_time(it: &Setting) {
    let compiler = bounded(it, "ulimit -t 2");
    let limit = limit_reached(it, &hard(it), compiler, Duration::from_secs(60));
    assert_eq!(limit, CompileLimit::ProcessorTime);
    assert!(limit.to_string().contains("processor time"));
}

pub(crate) fn memory(it: &Setting) {
    // In KiB: enough to begin with.
    let compiler = bounded(it, "ulimit -v 131072");
    let limit = limit_reached(it, &hard(it), compiler, Duration::from_secs(60));
    assert_eq!(limit, CompileLimit::Memory);
    assert!(limit.to_string().contains("memory"));
}

pub(crate) fn time(it: &Setting) {
    let file = it.path("http1@9.0.0.wasm");
    fs::copy(component("tls"), &file).unwrap();
    let compiler = release_folder().join("fumehood-compiler");
    let within = Duration::from_millis(20);
    let limit = limit_reached(it, &file, compiler, within);
    assert_eq!(limit, CompileLimit::Time { milliseconds: 20 });
}

/// A component of functions that add a number to itself again and again.
fn hard(it: &Setting) -> PathBuf {
    let add = [0x20, 0, 0x20, 0, 0x6a, 0x21, 0];
    let code: Vec<u8> = add.into_iter().cycle().take(HARD_BYTES).collect();
    let body = [&[0], &code[..], &[0x0b]].concat();
    let body = vector(&body);
    let count = HARD_FUNCTIONS as usize;
    let functions = [leb(HARD_FUNCTIONS), body.repeat(count)].concat();
    let types = [leb(HARD_FUNCTIONS), vec![0; count]].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 1, 0x7f, 0]),
        section(3, &types),
        section(10, &functions),
    ]
    .concat();
    let component = [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &module)].concat();
    let file = it.path("http1@9.0.0.wasm");
    fs::write(&file, component).unwrap();
    file
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], vector(content)].concat()
}

fn vector(content: &[u8]) -> Vec<u8> {
    [leb(u32::try_from(content.len()).unwrap()), content.to_vec()].concat()
}

/// LEB128.
fn leb(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
