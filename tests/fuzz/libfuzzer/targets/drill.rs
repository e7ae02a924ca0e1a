//! See `fumehood_fuzz::drill`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fumehood_fuzz::drill::run(data));
