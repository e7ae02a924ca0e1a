//! The one wasmtime configuration, shared by the compiler and the engine.
//!
//! Native code made under one configuration loads only under the same, so
//! both sides take it from here. Everything a guest could use to surprise the
//! host is off; what keeps it killable and small is on.

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// What native code is made for: every 64-bit processor of the architecture.
/// Naming the target, and not taking the machine's own features, lets one
/// build run everywhere; guests are too small to gain from more.
#[cfg(target_arch = "x86_64")]
pub const CODE_TARGET: &str = "x86_64-unknown-linux-gnu";
/// What native code is made for; see the x86-64 text.
#[cfg(target_arch = "aarch64")]
pub const CODE_TARGET: &str = "aarch64-unknown-linux-gnu";

/// The version of wasmtime that makes and loads the code. The compiler's tests
/// hold it against what the workspace pins.
pub const WASMTIME: &str = "48.0.8";

/// What native code depends on beside the component: wasmtime's version, the
/// target, and every setting. Code made under one build is not worth loading
/// under another; the engine would refuse it.
#[must_use]
pub fn code_build() -> String {
    // Any change of this file may be one of the settings.
    let settings = fingerprint(include_str!("lib.rs").as_bytes());
    format!("wasmtime-{WASMTIME} {CODE_TARGET} {settings:016x}")
}

/// FNV-1a. It finds changes; nobody gains by a collision, since what it is
/// taken of is our own source.
const fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        index += 1;
    }
    hash
}

/// Largest linear memory of a guest, in bytes: the largest honest one (a TLS
/// handshake with a long chain) stays under 2 MiB.
pub const MAX_GUEST_MEMORY: usize = 16 << 20;

/// Largest linear memory of an evaluator, which runs scripts, in bytes: a
/// script of 1 MiB needs about 30 MiB.
pub const MAX_EVALUATOR_MEMORY: usize = 64 << 20;

/// Linear memory and tables of a freed instance that stay mapped for the
/// next, in bytes: about what a guest touches in one exchange.
const KEEP_RESIDENT: usize = 128 << 10;

/// Address space set aside before and after a linear memory, in bytes. The
/// pool's slots are this far apart, so a stray 32-bit offset hits no neighbour.
const MEMORY_RESERVATION: u64 = 4 << 30;

/// Most guests a pool may have room for: twice as many reservations would not
/// fit the 47 bits of address space that a process has.
pub const MAX_INSTANCES: u32 = 16_384;

/// Native stack a guest may use, in bytes. Guests are shallow.
const MAX_WASM_STACK: usize = 512 << 10;

/// Drivers that may be between two calls or in one at once. Each has a stack of
/// its own to wait on; the pool sets aside as many.
pub const DRIVER_STACKS: u32 = 64;

/// Stacks of the resolver, which lives as long as the engine.
pub const RESOLVER_STACKS: u32 = 1;

/// A driver's stack, in bytes: what its code may use, and as much for the host
/// functions that wait on it.
const DRIVER_STACK: usize = 2 * MAX_WASM_STACK;

/// Native stack an evaluator may use, in bytes: a compiler of JavaScript
/// recurses, and chains of thousands of parts are found in real scripts. A
/// thread that calls one needs as much, and half a MiB for the host.
pub const EVALUATOR_STACK: usize = 8 << 20;

/// The settings native code depends on: the same for compiler and engine.
#[must_use]
pub fn code_config() -> Config {
    let mut config = Config::new();
    config
        // No component-model async: drivers wait on stacks, the others never.
        .concurrency_support(false)
        .epoch_interruption(true)
        .memory_reservation(MEMORY_RESERVATION)
        .max_wasm_stack(MAX_WASM_STACK)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(32))
        // Not needed by our guests, so not offered to an attacker.
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false);
    config
}

/// The engine's settings: [`code_config`] with a pool for `instances` guests.
#[must_use]
pub fn engine_config(instances: u32) -> Config {
    let stacks = DRIVER_STACKS + RESOLVER_STACKS;
    pooled(instances, MAX_GUEST_MEMORY, stacks)
}

/// The settings of an engine for evaluators: few, long-lived, larger.
#[must_use]
pub fn evaluator_config(instances: u32) -> Config {
    let mut config = pooled(instances, MAX_EVALUATOR_MEMORY, 0);
    config
        .max_wasm_stack(EVALUATOR_STACK)
        // It has to hold the other, although evaluators never wait on one.
        .async_stack_size(2 * EVALUATOR_STACK);
    config
}

fn pooled(instances: u32, memory: usize, stacks: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(4))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(2))
        .total_stacks(stacks)
        .max_memory_size(memory)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .decommit_batch_size(32)
        .max_unused_warm_slots(instances)
        .pagemap_scan(Enabled::Auto);
    let mut config = code_config();
    config
        .memory_init_cow(true)
        .async_stack_size(DRIVER_STACK)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}
