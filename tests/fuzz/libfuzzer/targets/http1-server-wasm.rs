//! See `fumehood_fuzz::http1::twin::server`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fumehood_fuzz::http1::twin::server::run_beside_glass(data));
