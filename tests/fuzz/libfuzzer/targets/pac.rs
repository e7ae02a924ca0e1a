//! See `fumehood_fuzz::pac`.
#![no_main]

use fumehood_fuzz::pac;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| pac::run(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    pac::mutate(&mut data[..max_size], size, seed, |piece, size| {
        let room = piece.len();
        fuzzer_mutate(piece, size, room)
    })
});
