//! Names: reading what is asked for, writing what was found, those that never leave.

use hickory_proto::rr::Name;

use crate::bounds::MAX_NAME_BYTES;
use crate::types::Cause;

/// A name that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Lower case, complete.
    pub(crate) name: Name,
    /// It ended in a dot, so search domains do not apply.
    pub(crate) absolute: bool,
    pub(crate) dots: usize,
}

impl Asked {
    /// Reads the text of a query or a search domain.
    pub(crate) fn parse(text: &str) -> Result<Self, Cause> {
        let (relative, absolute) = match text.strip_suffix('.') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        check(relative).map_err(|why| Cause::BadName(why.to_owned()))?;
        let mut name = Name::from_ascii(relative.to_ascii_lowercase())
            .map_err(|why| Cause::BadName(why.to_string()))?;
        name.set_fqdn(true);
        Ok(Asked {
            name,
            absolute,
            dots: relative.matches('.').count(),
        })
    }

    /// The names to try, in order (`resolv.conf(5)`, "ndots").
    pub(crate) fn candidates(&self, search: &[Name], ndots: u8) -> Vec<Name> {
        if self.absolute {
            return vec![self.name.clone()];
        }
        let mut names: Vec<Name> = search
            .iter()
            // What becomes too long is no name.
            .filter_map(|domain| self.name.clone().append_domain(domain).ok())
            .filter(|name| special(name).is_none())
            .collect();
        if self.dots >= usize::from(ndots) {
            names.insert(0, self.name.clone());
        } else {
            names.push(self.name.clone());
        }
        names
    }
}

/// What is wrong with a name, if anything.
fn check(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.len() > MAX_NAME_BYTES {
        return Err("it is longer than 253 bytes");
    }
    let known = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.');
    if !name.bytes().all(known) {
        return Err("it has a character other than letters, digits, - and _");
    }
    if name.split('.').any(str::is_empty) {
        return Err("a part between dots is empty");
    }
    if name.split('.').any(|label| label.len() > 63) {
        return Err("a part between dots is longer than 63 bytes");
    }
    // Programs disagree on which of these are addresses.
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.len() > 1
        && last[..2].eq_ignore_ascii_case("0x")
        && last[2..].bytes().all(|it| it.is_ascii_hexdigit());
    if hexadecimal || last.bytes().all(|it| it.is_ascii_digit()) {
        return Err("it ends in a number, as addresses do");
    }
    Ok(())
}

/// Names that are not looked up anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    /// This machine (RFC 6761 section 6.3).
    Localhost,
    /// Does not exist, and why.
    Nowhere(&'static str),
}

pub(crate) fn special(name: &Name) -> Option<Special> {
    let last = name.iter().next_back()?;
    match last.to_ascii_lowercase().as_slice() {
        b"localhost" => Some(Special::Localhost),
        b"invalid" => Some(Special::Nowhere(
            "`.invalid` never exists (RFC 6761 section 6.4)",
        )),
        b"onion" => Some(Special::Nowhere(
            "`.onion` is reached through Tor alone (RFC 7686)",
        )),
        _ => None,
    }
}

/// A name from the network as text: lower case, without the trailing dot,
/// other bytes as `\DDD` (RFC 1035 section 5.1).
pub(crate) fn text(name: &Name) -> String {
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label {
            match byte.to_ascii_lowercase() {
                it @ (b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$') => {
                    text.push('\\');
                    text.push(char::from(it));
                }
                it @ 0x21..=0x7e => text.push(char::from(it)),
                it => text.push_str(&format!("\\{it:03}")),
            }
        }
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

/// The same name in random letters (draft-vixie-dnsext-dns0x20-00): a reply
/// must repeat them, which costs whoever guesses a bit for each letter.
pub(crate) fn in_random_letters(name: &Name, random: &mut dyn FnMut() -> u64) -> Name {
    let (mut bits, mut left) = (0_u64, 0_u32);
    let labels: Vec<Vec<u8>> = name
        .iter()
        .map(|label| {
            label
                .iter()
                .map(|byte| {
                    if !byte.is_ascii_alphabetic() {
                        return *byte;
                    }
                    if left == 0 {
                        (bits, left) = (random(), u64::BITS);
                    }
                    let flip = bits & 1 == 1;
                    (bits, left) = (bits >> 1, left - 1);
                    if flip { byte ^ 0x20 } else { *byte }
                })
                .collect()
        })
        .collect();
    match Name::from_labels(labels.iter().map(Vec::as_slice)) {
        Ok(mut cased) => {
            cased.set_fqdn(true);
            cased
        }
        // Labels of a name make a name; were it otherwise, letters do not matter.
        Err(_) => name.clone(),
    }
}
