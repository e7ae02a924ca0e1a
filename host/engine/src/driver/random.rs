//! `wasi:random`: the kernel's, for whatever quality is asked for.

use rustix::rand::{GetRandomFlags, getrandom};
use wasmtime::{Result, format_err};

use super::bindings::wasi::random::{insecure, insecure_seed, random};
use super::link::View;

/// Most bytes given at once; a guest that wants more asks again.
const MAX_RANDOM_BYTES: u64 = 64 * 1024;

fn bytes(length: u64) -> Result<Vec<u8>> {
    if length > MAX_RANDOM_BYTES {
        return Err(format_err!(
            "a guest asked for {length} random bytes at once, and may have {MAX_RANDOM_BYTES}"
        ));
    }
    let mut bytes = vec![0; usize::try_from(length)?];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

fn number() -> Result<u64> {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes(8)?);
    Ok(u64::from_ne_bytes(eight))
}

impl random::Host for View<'_> {
    fn get_random_bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        bytes(length)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        number()
    }
}

impl insecure::Host for View<'_> {
    fn get_insecure_random_bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        bytes(length)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        number()
    }
}

impl insecure_seed::Host for View<'_> {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok((number()?, number()?))
    }
}
