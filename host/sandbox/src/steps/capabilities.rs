//! No capability in any set.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use crate::layers::{Failed, because};

/// Capabilities the kernel has room for in its sets; 41 exist.
const CAPABILITY_BITS: u32 = 64;

/// Drops everything. Found to hold when sealing.
pub(super) fn drop_all() -> Result<(), Failed> {
    empty_bounding_set();
    match clear_ambient_capability_set() {
        Ok(()) | Err(Errno::INVAL) => {} // before Linux 4.3 there is none
        Err(errno) => return Err(because("prctl(PR_CAP_AMBIENT)")(errno)),
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    set_capabilities(None, sets).map_err(because("capset"))
}

/// Empties the bounding set as far as the process may.
pub(super) fn empty_bounding_set() {
    for bit in 0..CAPABILITY_BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        match capability_is_in_bounding_set(capability) {
            Ok(true) if remove_capability_from_bounding_set(capability).is_err() => return,
            Ok(_) => {}
            Err(_) => return, // past the last one that exists
        }
    }
}
