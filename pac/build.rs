//! Gives the guest a stack that JavaScript's compiler can recurse on.

/// The stack in linear memory, in bytes. The compiler of JavaScript takes 1.3 KiB
/// of it for each part of a chain of `||`, and 3 KiB for each `else if`; real
/// scripts have chains of thousands. What is not touched costs no memory.
const STACK_BYTES: u32 = 8 << 20;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let for_wasm = std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|it| it == "wasm");
    if for_wasm {
        println!("cargo::rustc-link-arg=-zstack-size={STACK_BYTES}");
    }
}
