//! See `fumehood_fuzz::demand`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fumehood_fuzz::demand::run(data));
