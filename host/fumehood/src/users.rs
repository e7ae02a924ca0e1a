//! The users of a proxy: their names, hashes of their passwords, and who is who.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA512};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use fumehood_control::{Login, MAX_LOGIN_BYTES, MAX_USERS};
use fumehood_policy::ClientName;

/// Longest file, in bytes: what the lines of [`MAX_USERS`] take, a few times.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// Bits of the file's mode that must be clear: what others may do, and writing by
/// the group.
const OPEN_TO_OTHERS: u32 = 0o027;

/// What a hash begins with: the algorithm's name in a PHC string.
const ALGORITHM: &str = "$pbkdf2-sha512$";

/// Iterations of a new hash: what OWASP asks of PBKDF2 with SHA-512. A tenth of a
/// second.
const ITERATIONS: u32 = 210_000;

/// Iterations that a hash may have. Fewer are no hindrance, more would keep a
/// processor for seconds.
const MAY_ITERATE: std::ops::RangeInclusive<u32> = 1_000..=10_000_000;

/// Bytes of a new salt, and fewest of one that is read (NIST SP 800-132).
const SALT_BYTES: usize = 16;

/// Bytes of a new hash, and fewest of one that is read.
const HASH_BYTES: usize = 32;

/// Most bytes of salt or hash.
const MAX_PART_BYTES: usize = 64;

/// The users of a proxy ([`crate::ProxyOptions::users`]). What the policy's rules
/// know a client by is its user's name.
pub struct Users {
    hashes: HashMap<ClientName, Hash>,
    /// Judged in place of a user's that there is not, which so takes as long.
    decoy: Hash,
    /// Of logins that were right, under a key that nobody else has: these are not
    /// judged at length again.
    known: Mutex<HashMap<ClientName, hmac::Tag>>,
    key: hmac::Key,
}

/// Why there are no users.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The file cannot be read.
    #[error("the users' file cannot be read: {0}")]
    Read(#[from] io::Error),
    /// Its mode lets others in.
    #[error(
        "others may read or change the users' file (its mode is {0:03o}); make it yours alone: chmod 600"
    )]
    Open(u32),
    /// It is over a bound.
    #[error("the users' file has more than {MAX_FILE_BYTES} bytes or {MAX_USERS} users")]
    TooLong,
    /// A line is not what it should be.
    #[error("line {line} of the users' file {why}")]
    Line {
        /// The first is 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No user at all could never be served.
    #[error("the users' file names nobody; `fumehood password NAME` makes a line for it")]
    Nobody,
    /// A password that nobody could send.
    #[error("a password has 1 to {MAX_LOGIN_BYTES} bytes, none of them zero")]
    Password,
    /// There are no random numbers.
    #[error("there are no random numbers")]
    Random,
}

/// A password's hash.
struct Hash {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Users {
    /// Reads a file, a line `NAME:HASH` a user; empty lines and those with `#` in
    /// front are skipped. [`Users::line`] makes them.
    ///
    /// # Errors
    /// [`UsersError`]
    pub fn read(path: &Path) -> Result<Users, UsersError> {
        let file = File::open(path)?;
        let mode = file.metadata()?.mode() & 0o777;
        if mode & OPEN_TO_OTHERS != 0 {
            return Err(UsersError::Open(mode));
        }
        let mut text = String::new();
        file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
        match text.len() as u64 > MAX_FILE_BYTES {
            true => Err(UsersError::TooLong),
            false => Users::parse(&text),
        }
    }

    /// The same of a text.
    ///
    /// # Errors
    /// [`UsersError`]
    pub fn parse(text: &str) -> Result<Users, UsersError> {
        let mut hashes = HashMap::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why| UsersError::Line { line: at + 1, why };
            let (name, hash) = line.split_once(':').ok_or(wrong("is not NAME:HASH"))?;
            let name: ClientName = name
                .parse()
                .map_err(|_| wrong("has no name of a-z, 0-9, \"-\", \"_\" and \".\""))?;
            let hash = Hash::parse(hash).ok_or(wrong(
                "has no hash that `fumehood password NAME` would make",
            ))?;
            if hashes.insert(name, hash).is_some() {
                return Err(wrong("names a user for the second time"));
            }
            if hashes.len() > MAX_USERS {
                return Err(UsersError::TooLong);
            }
        }
        if hashes.is_empty() {
            return Err(UsersError::Nobody);
        }
        let most = hashes.values().map(|it| it.iterations).max();
        let decoy = Hash::of(b"", most.unwrap_or(NonZeroU32::MIN))?;
        let key = hmac::Key::generate(HMAC_SHA256, &rand::SystemRandom::new())
            .map_err(|_| UsersError::Random)?;
        Ok(Users {
            hashes,
            decoy,
            known: Mutex::default(),
            key,
        })
    }

    /// A line of the file, for a user with this password.
    ///
    /// # Errors
    /// [`UsersError::Password`], [`UsersError::Random`]
    pub fn line(name: &ClientName, password: &[u8]) -> Result<String, UsersError> {
        if !(1..=MAX_LOGIN_BYTES).contains(&password.len()) || password.contains(&0) {
            return Err(UsersError::Password);
        }
        let iterations = NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MIN);
        let hash = Hash::of(password, iterations)?;
        Ok(format!("{name}:{hash}"))
    }

    pub(crate) fn has(&self, name: &ClientName) -> bool {
        self.hashes.contains_key(name)
    }

    pub(crate) fn count(&self) -> usize {
        self.hashes.len()
    }

    /// Whose login it is, where the same was right before.
    pub(crate) fn known(&self, login: &Login) -> Option<ClientName> {
        let name = name_of(login)?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let tag = known.get(&name)?;
        let told = said(login);
        hmac::verify(&self.key, &told, tag.as_ref()).ok()?;
        Some(name)
    }

    /// Whose login it is. Takes as long as a hash does, whoever it is.
    pub(crate) fn judge(&self, login: &Login) -> Option<ClientName> {
        let name = name_of(login);
        let hash = name.as_ref().and_then(|name| self.hashes.get(name));
        let right = hash.unwrap_or(&self.decoy).is_of(&login.password);
        let name = name.filter(|_| right && hash.is_some())?;
        let tag = hmac::sign(&self.key, &said(login));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.clone(), tag);
        Some(name)
    }
}

/// Keeps names and hashes out of logs.
impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Users({})", self.hashes.len())
    }
}

impl Hash {
    /// A new one.
    fn of(password: &[u8], iterations: NonZeroU32) -> Result<Hash, UsersError> {
        let mut salt = vec![0; SALT_BYTES];
        rand::fill(&mut salt).map_err(|_| UsersError::Random)?;
        let mut hash = vec![0; HASH_BYTES];
        pbkdf2::derive(PBKDF2_HMAC_SHA512, iterations, &salt, password, &mut hash);
        Ok(Hash {
            iterations,
            salt,
            hash,
        })
    }

    /// Reads a PHC string: `$pbkdf2-sha512$i=…,l=…$salt$hash`, the last two in
    /// base64 without padding; the length may be left out.
    fn parse(text: &str) -> Option<Hash> {
        let rest = text.strip_prefix(ALGORITHM)?;
        let mut parts = rest.split('$');
        let (parameters, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let (iterations, length) = match parameters.split_once(',') {
            Some((iterations, length)) => (iterations, Some(length.strip_prefix("l=")?)),
            None => (parameters, None),
        };
        let iterations: u32 = iterations.strip_prefix("i=")?.parse().ok()?;
        let salt = STANDARD_NO_PAD.decode(salt).ok()?;
        let hash = STANDARD_NO_PAD.decode(hash).ok()?;
        let sound = MAY_ITERATE.contains(&iterations)
            && (SALT_BYTES..=MAX_PART_BYTES).contains(&salt.len())
            && (HASH_BYTES..=MAX_PART_BYTES).contains(&hash.len())
            && length.is_none_or(|it| it.parse() == Ok(hash.len()));
        let iterations = NonZeroU32::new(iterations).filter(|_| sound)?;
        Some(Hash {
            iterations,
            salt,
            hash,
        })
    }

    /// Compares in a time that does not depend on where they differ.
    fn is_of(&self, password: &[u8]) -> bool {
        let Hash {
            iterations,
            salt,
            hash,
        } = self;
        let right = pbkdf2::verify(PBKDF2_HMAC_SHA512, *iterations, salt, password, hash).is_ok();
        // HMAC fills its key up with zeros (RFC 2104 section 2), so that one with
        // zeros at its end would be as good.
        right && !password.contains(&0)
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Hash {
            iterations, hash, ..
        } = self;
        let [salt, told] = [&self.salt, hash].map(|it| STANDARD_NO_PAD.encode(it));
        let length = hash.len();
        write!(f, "{ALGORITHM}i={iterations},l={length}${salt}${told}")
    }
}

/// A name that a user can have.
fn name_of(login: &Login) -> Option<ClientName> {
    std::str::from_utf8(&login.name).ok()?.parse().ok()
}

/// Name and password so that neither can stand for a part of the other: a user's
/// name has no colon.
fn said(login: &Login) -> Vec<u8> {
    [&login.name[..], b":", &login.password].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn login(name: &str, password: &str) -> Login {
        Login {
            name: name.into(),
            password: password.into(),
        }
    }

    /// With few iterations, so that a test is fast.
    fn line(name: &str, password: &str) -> String {
        let hash = Hash::of(password.as_bytes(), NonZeroU32::new(1_000).unwrap());
        format!("{name}:{}\n", hash.unwrap())
    }

    #[test]
    fn a_user_is_known_by_name_and_password() {
        let text = format!(
            "# of the proxy\n\n{}{}",
            line("ann", "a:b"),
            line("bob", "c")
        );
        let users = Users::parse(&text).unwrap();
        let name = |name: &str| Some(name.parse().unwrap());
        for _ in 0..2 {
            for wrong in [
                login("ann", "c"),
                login("ann", ""),
                login("ann", "a:b "),
                login("ann", "a:b\0"),
                login("ann:a", "b"),
                login("Ann", "a:b"),
                login("", ""),
                login("bob", "a:b"),
                login("carl", ""),
                login("\u{e4}", "c"),
            ] {
                assert_eq!(users.known(&wrong), None, "{wrong:?}");
                assert_eq!(users.judge(&wrong), None, "{wrong:?}");
            }
            assert_eq!(users.judge(&login("ann", "a:b")), name("ann"));
            assert_eq!(users.known(&login("ann", "a:b")), name("ann"));
        }
        assert_eq!(users.known(&login("bob", "c")), None);
        assert_eq!(users.judge(&login("bob", "c")), name("bob"));
    }

    #[test]
    fn a_line_that_was_made_is_read_again() {
        let made = Users::line(&"ann".parse().unwrap(), b"secret").unwrap();
        assert!(
            made.starts_with("ann:$pbkdf2-sha512$i=210000,l=32$"),
            "{made}"
        );
        let users = Users::parse(&made).unwrap();
        assert!(users.judge(&login("ann", "secret")).is_some());
        assert!(users.judge(&login("ann", "secret2")).is_none());
        let name = "ann".parse().unwrap();
        assert!(matches!(Users::line(&name, b""), Err(UsersError::Password)));
        let long = [b'a'; MAX_LOGIN_BYTES + 1];
        assert!(matches!(
            Users::line(&name, &long),
            Err(UsersError::Password)
        ));
    }

    #[test]
    fn what_is_no_hash_is_refused_by_its_line() {
        let (salt, hash) = ("c2FsdHNhbHRzYWx0c2FsdA", "A".repeat(43));
        let sound = format!("$pbkdf2-sha512$i=1000,l=32${salt}${hash}");
        assert!(Hash::parse(&sound).is_some());
        for broken in [
            String::new(),
            "secret".to_owned(),
            "$2y$05$abcdefghijklmnopqrstuu".to_owned(),
            sound.replace("sha512", "sha1"),
            sound.replace("1000", "999"),
            sound.replace("1000", "10000001"),
            sound.replace("1000", "-1"),
            sound.replace("l=32", "l=31"),
            sound.replace("l=32", "x=32"),
            sound.replace(salt, "c2FsdA"),
            sound.replace(&hash, "AAAA"),
            sound.replace(&hash, &"A".repeat(200)),
            format!("{sound}$"),
            format!("{sound}="),
        ] {
            let text = format!("# first\nann:{broken}\n");
            let refused = Users::parse(&text).unwrap_err();
            assert!(
                matches!(refused, UsersError::Line { line: 2, .. }),
                "{broken}: {refused:?}"
            );
            let told = refused.to_string();
            assert!(broken.len() < 8 || !told.contains(&broken), "{told}");
        }
        let twice = format!("{}{}", line("ann", "a"), line("ann", "b"));
        assert!(matches!(
            Users::parse(&twice),
            Err(UsersError::Line { line: 2, .. })
        ));
        assert!(matches!(
            Users::parse("# nobody\n"),
            Err(UsersError::Nobody)
        ));
        let one = line("x", "a");
        let one = one.trim_start_matches('x');
        let many: String = (0..=MAX_USERS).map(|at| format!("u{at}{one}")).collect();
        assert!(matches!(Users::parse(&many), Err(UsersError::TooLong)));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), line("ann", "a")).unwrap();
        for (mode, good) in [(0o600, true), (0o440, true), (0o604, false), (0o620, false)] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), mode).unwrap();
            assert_eq!(Users::read(file.path()).is_ok(), good);
        }
    }
}
