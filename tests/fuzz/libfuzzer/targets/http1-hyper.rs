//! See `fumehood_fuzz::http1::twin::client`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fumehood_fuzz::http1::twin::client::run(data));
