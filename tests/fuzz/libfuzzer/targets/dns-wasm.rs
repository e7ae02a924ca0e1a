//! See `fumehood_fuzz::dns::twin`.
#![no_main]

use fumehood_fuzz::pieces;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| fumehood_fuzz::dns::twin::run_beside_glass(data));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    pieces::mutate(&mut data[..max_size], size, seed, |piece, size| {
        let room = piece.len();
        fuzzer_mutate(piece, size, room)
    })
});
