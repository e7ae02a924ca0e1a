//! Components that are small to write and hard to compile.

use wasm_encoder::{Encode as _, RawSection, Section as _};

/// Largest body of a function that wasmtime takes, in bytes, and room for its ends.
const LARGE_BODY: usize = 7_000_000;

/// Each with what is hard about it.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (
            "one very long function",
            module(&repeat(&[0x20, 0, 0x20, 0, 0x6a, 0x21, 0])),
        ),
        ("blocks a thousand deep", module(&nested(1000))),
        ("blocks a million deep", module(&nested(1_000_000))),
        ("components in components", shells(100_000)),
        ("sixteen mebibytes of nothing", custom(16 << 20)),
    ]
}

/// A component that imports so many functions.
pub(crate) fn imports(count: u32, name: &str) -> Vec<u8> {
    // A component type section: one function type without parameters or result.
    let types = section(7, &[1, 0x40, 0, 1, 0]);
    let mut list = leb(count);
    for index in 0..count {
        let name = format!("{name}{}", letters(index));
        list.push(0);
        list.extend(vector(name.as_bytes()));
        list.extend([1, 0]); // a function of type 0
    }
    [crate::talk::EMPTY_COMPONENT, &types, &section(10, &list)].concat()
}

fn letters(index: u32) -> String {
    let letter = |n: u32| char::from(b'a' + u8::try_from(n % 26).unwrap());
    [letter(index / 26), letter(index)].iter().collect()
}

/// Code that is repeated until a function is full.
fn repeat(code: &[u8]) -> Vec<u8> {
    code.iter()
        .copied()
        .cycle()
        .take(LARGE_BODY / code.len() * code.len())
        .collect()
}

fn nested(depth: usize) -> Vec<u8> {
    [[0x02, 0x40].repeat(depth), vec![0x0b; depth]].concat()
}

/// A component with a core module with one function that takes an `i32`.
fn module(code: &[u8]) -> Vec<u8> {
    let body = [&[0][..], code, &[0x0b]].concat();
    let functions = [leb(1), vector(&body)].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 1, 0x7f, 0]),
        section(3, &[1, 0]),
        section(10, &functions),
    ]
    .concat();
    [crate::talk::EMPTY_COMPONENT, &section(1, &module)].concat()
}

/// Each with the next one inside; written from the inside out.
fn shells(depth: usize) -> Vec<u8> {
    let mut reversed: Vec<u8> = crate::talk::EMPTY_COMPONENT.iter().rev().copied().collect();
    for _ in 0..depth {
        let length = leb(u32::try_from(reversed.len()).unwrap());
        reversed.extend(length.iter().rev());
        reversed.push(4);
        reversed.extend(crate::talk::EMPTY_COMPONENT.iter().rev());
        if reversed.len() > LARGE_BODY {
            break;
        }
    }
    reversed.into_iter().rev().collect()
}

fn custom(bytes: usize) -> Vec<u8> {
    let head = crate::talk::EMPTY_COMPONENT;
    let mut component = [head, &section(0, &vec![0; bytes - head.len() - 5])].concat();
    component.truncate(bytes);
    component
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    RawSection { id, data: content }.append_to(&mut bytes);
    bytes
}

fn vector(content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    content.encode(&mut bytes);
    bytes
}

/// LEB128.
fn leb(value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    bytes
}
