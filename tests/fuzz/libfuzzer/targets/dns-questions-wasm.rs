//! See `fumehood_fuzz::questions`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fumehood_fuzz::questions::run_beside_glass(data));
