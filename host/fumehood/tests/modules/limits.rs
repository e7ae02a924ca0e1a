//! The compiler's bounds, each of them reached. So that it does not take as
//! long as it may, a shell lowers them first: a lower bound stays.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fumehood::{CompileLimit, ModuleError};
use wasm_encoder::{
    CodeSection, Function, FunctionSection, Module, RawSection, Section as _, TypeSection, ValType,
};

use crate::setting::{Setting, component, release_folder};

/// Additions of a function that is hard to compile, of 7 bytes each: near the
/// most bytes that one may have.
const HARD_ADDITIONS: usize = 1_085_000;

/// How many of them a component has. A second of processor time is far too
/// little, and they fit the most bytes of a component.
const HARD_FUNCTIONS: u32 = 2;

/// What a component begins with, and the number of its sections that hold a
/// core module.
const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const CORE_MODULE: u8 = 1;

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
    let mut body = Function::new([]);
    let mut code = body.instructions();
    for _ in 0..HARD_ADDITIONS {
        code.local_get(0).local_get(0).i32_add().local_set(0);
    }
    code.end();
    let (mut types, mut functions) = (TypeSection::new(), FunctionSection::new());
    let mut bodies = CodeSection::new();
    types.ty().function([ValType::I32], []);
    for _ in 0..HARD_FUNCTIONS {
        functions.function(0);
        bodies.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&bodies);
    let core_module = RawSection {
        id: CORE_MODULE,
        data: &module.finish(),
    };
    let mut component = EMPTY_COMPONENT.to_vec();
    core_module.append_to(&mut component);
    let file = it.path("http1@9.0.0.wasm");
    fs::write(&file, component).unwrap();
    file
}
