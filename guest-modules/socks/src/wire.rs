//! The protocol's numbers (RFC 1928, RFC 1929, and the memos on SOCKS 4 and 4a).

pub(crate) const V4: u8 = 4;
pub(crate) const V5: u8 = 5;

/// Of the sub-negotiation of RFC 1929.
pub(crate) const LOGIN_VERSION: u8 = 1;

pub(crate) const NO_LOGIN: u8 = 0;
pub(crate) const LOGIN: u8 = 2;
pub(crate) const NO_METHOD: u8 = 0xff;

pub(crate) const CONNECT: u8 = 1;
pub(crate) const ASSOCIATE: u8 = 3;

pub(crate) const V5_IPV4: u8 = 1;
pub(crate) const V5_DOMAIN: u8 = 3;
pub(crate) const V5_IPV6: u8 = 4;

/// Highest reply of version 5: address type not supported.
pub(crate) const V5_LAST_REPLY: u8 = 8;
pub(crate) const V5_COMMAND: u8 = 7;

pub(crate) const V4_GRANTED: u8 = 90;
pub(crate) const V4_REJECTED: u8 = 91;
/// Highest reply of version 4: the user is another.
pub(crate) const V4_LAST_REPLY: u8 = 93;
