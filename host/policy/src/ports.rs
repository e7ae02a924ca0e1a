//! Ports on which something other than a web server listens.

/// Ports never dialled (WHATWG Fetch, section 2.9, "bad port"), ascending.
/// Their services could be made to act on lines of a request that an attacker
/// chose. Neither `http` nor `https` has an exception.
pub const BLOCKED_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6679, 6697, 10080,
];

/// Whether a port is among [`BLOCKED_PORTS`].
#[must_use]
pub fn is_blocked(port: u16) -> bool {
    BLOCKED_PORTS.binary_search(&port).is_ok()
}
