//! See `fumehood_fuzz::control`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fumehood_fuzz::control::run(data));
