//! See `fumehood_fuzz::transcript`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fumehood_fuzz::transcript::run(data));
