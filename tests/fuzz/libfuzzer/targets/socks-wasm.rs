//! See `fumehood_fuzz::socks`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fumehood_fuzz::socks::run_beside_glass(data));
