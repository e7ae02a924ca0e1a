//! A fault on purpose: what `cargo xtask fuzz` does with a finding can be tried
//! and tested without waiting for a real one.

/// What an input must hold to be a finding.
pub const FIRE: &[u8] = b"FIRE";

/// Panics when the input holds [`FIRE`].
pub fn run(data: &[u8]) {
    let is_on_fire = data.windows(FIRE.len()).any(|window| window == FIRE);
    assert!(!is_on_fire, "this is a drill");
}
