//! Every bound of the resolver, with its unit and reason.

use std::time::Duration;

/// Queries that may wait at once. More than an engine has connections (512),
/// twice over, since a connection may ask for several types.
pub const MAX_QUERIES: usize = 1024;

/// Exchanges with servers at once, each a socket at worst. The others wait for
/// their turn.
pub const MAX_EXCHANGES: usize = 128;

/// Longest name, in bytes of text without the trailing dot (RFC 1035 section 2.3.4).
pub const MAX_NAME_BYTES: usize = 253;

/// Aliases that are followed for one question. Real chains have under ten.
pub const MAX_ALIASES: usize = 16;

/// Records of the wanted type that an answer may have.
pub const MAX_RECORDS: usize = 256;

/// Records of all sections that a reply may have: a message of 64 KiB could
/// hold 5,957 of the smallest kind, each some 300 bytes when decoded.
pub const MAX_REPLY_RECORDS: usize = 1024;

/// Longest message, in bytes: what the length on a stream can say (RFC 1035
/// section 4.2.2).
pub const MAX_MESSAGE_BYTES: usize = 65_535;

/// UDP payload offered by EDNS, in bytes: what no path fragments (DNS Flag Day 2020).
pub const UDP_PAYLOAD_BYTES: u16 = 1232;

/// Block that encrypted questions are padded to, in bytes (RFC 8467 section 4.1).
pub const PADDING_BLOCK_BYTES: usize = 128;

/// Answers kept. As many as browsers keep.
pub const MAX_CACHE_ENTRIES: usize = 1600;

/// Estimated memory of all answers kept, in bytes: a quarter of a guest's.
pub const MAX_CACHE_BYTES: usize = 4 << 20;

/// Longest life of an answer, in seconds: a day, whatever the zone says.
pub const MAX_TTL_SECONDS: u32 = 86_400;

/// Longest life of "there is none", in seconds. People who have just made a
/// name wait this long for it.
pub const MAX_NEGATIVE_TTL_SECONDS: u32 = 60;

/// How long a failure is remembered that servers told, in seconds (RFC 9520
/// section 3.2 wants 1 to 300). A user who tries again at once does not load them.
pub const FAILURE_SECONDS: u32 = 5;

/// The same of silence: it may be our own network's, and be over at once.
pub const SILENCE_SECONDS: u32 = 1;

/// Longest: each failure of the same question in a row doubles it. People who have
/// just mended a zone wait this long.
pub const MAX_FAILURE_SECONDS: u32 = 60;

/// Failures that are remembered, of some 1 KiB each at worst.
pub const MAX_FAILURES: usize = 256;

/// Servers that are used of a configuration.
pub const MAX_SERVERS: usize = 8;

/// Search domains that are used of a configuration; glibc's old limit was 6.
pub const MAX_SEARCH_DOMAINS: usize = 32;

/// Greatest `ndots`, as in `resolv.conf(5)`.
pub const MAX_NDOTS: u8 = 15;

/// Longest wait for one server, as in `resolv.conf(5)`.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(30);

/// Shortest wait for one server: less is no wait at all.
pub const MIN_TIMEOUT: Duration = Duration::from_millis(1);

/// Most rounds through the servers, as in `resolv.conf(5)`.
pub const MAX_ATTEMPTS: u8 = 5;

/// Longest time for one question with all its retries. Whoever asked has
/// given up long before.
pub const MAX_LOOKUP_TIME: Duration = Duration::from_secs(60);

/// Entries of the host table. Block lists in host tables are larger; they are
/// a matter for policy.
pub const MAX_HOST_ENTRIES: usize = 4096;

/// Names of one entry of the host table.
pub const MAX_HOST_NAMES: usize = 64;

/// Names of the whole host table: some 3 MiB of a guest's memory.
pub const MAX_HOST_TABLE_NAMES: usize = 16_384;

/// Replies to one exchange that are not its own before UDP is given up for
/// TCP: somebody is guessing.
pub const MAX_IGNORED_REPLIES: u32 = 8;

/// Failures in a row after which a server is asked last.
pub const FAILURES_UNTIL_DOWN: u32 = 3;

/// How long such a server is asked last.
pub const DOWN_TIME: Duration = Duration::from_secs(30);

/// How long an idle connection to a server is kept (RFC 7766 section 6.2.3).
pub const IDLE_TIME: Duration = Duration::from_secs(10);

/// Steps of a traced query.
pub const MAX_STEPS: usize = 64;

/// Tasks the host hands over at once.
pub const MAX_TASKS: usize = 64;

/// Signatures that are checked for one lookup, retries among it (CVE-2023-50387).
/// A chain of four zones takes nine; each some 100 µs.
pub const MAX_SIGNATURE_CHECKS: u32 = 128;

/// Signatures that are checked for one set of records: a zone that changes
/// keys and algorithm at once has four.
pub const MAX_CHECKS_PER_SET: u32 = 8;

/// Questions about zones for one lookup: two for each zone on the way.
pub const MAX_PROOF_QUESTIONS: u32 = 64;

/// Keys of one zone. Large ones have ten.
pub const MAX_ZONE_KEYS: usize = 32;

/// Keys that a delegation names, of those that can be checked.
pub const MAX_DELEGATIONS: usize = 16;

/// NSEC or NSEC3 records of a reply; a denial takes three (RFC 5155 section 7.2).
pub const MAX_DENIALS: usize = 8;

/// Most iterations of NSEC3 that are done; a zone with more is insecure. RFC
/// 9276 section 3.1 has zones use 0; those that did not follow use up to 50.
pub const MAX_NSEC3_ITERATIONS: u16 = 50;

/// Names hashed for one denial (CVE-2023-50868): more labels than real ones have.
pub const MAX_NSEC3_HASHES: u32 = 48;

/// Keys of one zone that are kept, in bytes: fifteen of RSA with 4,096 bits.
pub const MAX_ZONE_KEY_BYTES: usize = 8 << 10;

/// Zones that are remembered, with their keys: some 2 MiB if all are as large as
/// they may be.
pub const MAX_ZONES: usize = 256;

/// Shortest time that a zone's standing is remembered, in seconds: as long as a
/// lookup may take, since it stands on it.
pub const MIN_ZONE_SECONDS: u32 = 60;

/// Trust anchors that are used of a configuration.
pub const MAX_TRUST_ANCHORS: usize = 64;

/// Estimated memory of one reply that waits to be validated, in bytes: what the
/// cache keeps of one at most.
pub const MAX_PROOF_BYTES: usize = 256 << 10;

/// The same of all that wait, in bytes: a quarter of a guest's. Of usual replies,
/// of some 1 KiB each, more fit in than queries may wait.
pub const MAX_PROOFS_BYTES: usize = 4 << 20;
