//! Gives the guest a small stack, so that all it touches lies together.

/// The stack in linear memory, in bytes. The parser's deepest call takes about
/// 10 KiB, most of it a table of 256 fields; nothing recurses. With the data
/// behind it the stack fits the first page of 64 KiB and the heap begins on the
/// second, so that what a connection touches is in the part of the memory that the
/// pool keeps mapped (`KEEP_RESIDENT` in `host/wasm`): an instance in a place that
/// was used before takes no page fault.
const STACK_BYTES: usize = 48 << 10;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let family = std::env::var("CARGO_CFG_TARGET_FAMILY").unwrap_or_default();
    if family.split(',').any(|it| it == "wasm") {
        println!("cargo::rustc-link-arg=-zstack-size={STACK_BYTES}");
    }
}
