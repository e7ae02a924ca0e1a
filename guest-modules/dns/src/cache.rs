//! Answers kept for a while: each under its own question, and nowhere else.

mod failures;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use hickory_proto::rr::Name;

use crate::bounds::MAX_CACHE_BYTES;
use crate::chain::Absence;
use crate::preferences::Preferences;
use crate::types::{
    Cause, RecordData, RecordType, Security, ServiceBinding, ServiceParameter, Time,
};
pub(crate) use failures::About;
use failures::Failures;

/// Memory of an entry beside its texts, in bytes: maps, lengths, a name inline.
const ENTRY_BYTES: usize = 512;

/// Share of the cache that one answer may take.
const LARGEST_SHARE: usize = 16;

/// A question: a complete name in lower case, and a type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) name: Name,
    pub(crate) kind: RecordType,
}

/// Records that a question led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) aliases: Vec<String>,
    pub(crate) records: Vec<RecordData>,
    pub(crate) authentic: bool,
    pub(crate) security: Option<Security>,
}

/// What is known of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Found(Rc<Found>),
    Nothing(Absence, Option<Security>),
}

#[derive(Debug)]
struct Entry {
    known: Known,
    until: Time,
    bytes: usize,
    /// Its place in the order of use.
    used: u64,
}

/// Bounded in entries and bytes; what was not used for longest goes first.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: BTreeMap<Key, Entry>,
    order: BTreeMap<u64, Key>,
    bytes: usize,
    uses: u64,
    failures: Failures,
    preferences: Preferences,
}

impl Cache {
    /// Takes bounds. Where they are others than before, it is emptied.
    pub(crate) fn prefer(&mut self, preferences: Preferences) {
        if self.preferences != preferences {
            self.preferences = preferences;
            self.clear();
        }
    }

    /// How long what is found now holds, in seconds, where a zone says `ttl`.
    pub(crate) fn life(&self, ttl: u32) -> u32 {
        ttl.min(self.preferences.max_ttl_s)
    }

    /// What is known, and for how many more seconds.
    pub(crate) fn get(&mut self, key: &Key, now: Time) -> Option<(Known, u32)> {
        let entry = self.entries.get_mut(key)?;
        if entry.until <= now {
            self.remove(key);
            return None;
        }
        let left = entry.until.saturating_sub(now).as_secs();
        let uses = self.uses;
        if let Some(key) = self.order.remove(&entry.used) {
            self.order.insert(uses, key);
        }
        entry.used = uses;
        self.uses += 1;
        Some((entry.known.clone(), u32::try_from(left).unwrap_or(u32::MAX)))
    }

    /// Why there was no answer a moment ago.
    pub(crate) fn failure(&self, about: About, key: &Key, now: Time) -> Option<Cause> {
        self.failures.get(about, key, now)
    }

    /// Keeps for a moment why there is no answer.
    pub(crate) fn put_failure(&mut self, about: About, key: Key, cause: &Cause, now: Time) {
        if self.preferences.cache_entries > 0 {
            let most = self.preferences.max_ttl_s;
            self.failures.put((about, key), cause, most, now);
        }
    }

    /// Keeps what is known for `ttl` seconds; for 0, forgets what was.
    pub(crate) fn put(&mut self, key: Key, known: Known, ttl: u32, now: Time) {
        self.failures.forget(&key);
        self.remove(&key);
        let bytes = ENTRY_BYTES + size(&known);
        let entries = self.preferences.cache_entries;
        if ttl == 0 || entries == 0 || bytes > MAX_CACHE_BYTES / LARGEST_SHARE {
            return;
        }
        while self.entries.len() >= entries || self.bytes + bytes > MAX_CACHE_BYTES {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            self.remove(&oldest);
        }
        let entry = Entry {
            known,
            until: now + Duration::from_secs(ttl.into()),
            bytes,
            used: self.uses,
        };
        self.bytes += bytes;
        self.order.insert(self.uses, key.clone());
        self.uses += 1;
        self.entries.insert(key, entry);
    }

    pub(crate) fn clear(&mut self) {
        *self = Cache {
            preferences: self.preferences,
            ..Cache::default()
        };
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

/// About how much memory it takes, in bytes.
fn size(known: &Known) -> usize {
    let Known::Found(found) = known else {
        return 0;
    };
    let strings = |texts: &[String]| texts.iter().map(|it| 24 + it.len()).sum::<usize>();
    let records: usize = found.records.iter().map(record_size).sum();
    strings(&found.aliases) + records
}

/// About how much memory a record takes, in bytes.
pub(crate) fn record_size(record: &RecordData) -> usize {
    let beside = match record {
        RecordData::A(_) | RecordData::Aaaa(_) => 0,
        RecordData::Caa { tag, value, .. } => tag.len() + value.len(),
        RecordData::Dnskey { key, .. } => key.len(),
        RecordData::Ds { digest, .. } => digest.len(),
        RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => name.len(),
        RecordData::Mx { exchange: name, .. } | RecordData::Srv { target: name, .. } => name.len(),
        RecordData::Soa(soa) => soa.primary.len() + soa.mailbox.len(),
        RecordData::Https(binding) | RecordData::Svcb(binding) => binding_size(binding),
        RecordData::Txt(parts) => parts.iter().map(|part| 24 + part.len()).sum(),
    };
    size_of::<RecordData>() + beside
}

fn binding_size(binding: &ServiceBinding) -> usize {
    let parameters = binding.parameters.iter().map(|parameter| {
        let beside = match parameter {
            ServiceParameter::Mandatory(keys) => 2 * keys.len(),
            ServiceParameter::Alpn(names) => names.iter().map(|name| 24 + name.len()).sum(),
            ServiceParameter::NoDefaultAlpn | ServiceParameter::Port(_) => 0,
            ServiceParameter::Ipv4Hint(hints) => 4 * hints.len(),
            ServiceParameter::Ipv6Hint(hints) => 16 * hints.len(),
            ServiceParameter::Ech(bytes) | ServiceParameter::Other(_, bytes) => bytes.len(),
        };
        size_of::<ServiceParameter>() + beside
    });
    binding.target.len() + parameters.sum::<usize>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use proptest::prelude::*;

    use super::*;
    use crate::bounds::MAX_CACHE_ENTRIES;

    fn key(number: u32) -> Key {
        Key {
            name: Name::from_ascii(format!("n{number}.example.")).unwrap(),
            kind: RecordType::Txt,
        }
    }

    fn text(bytes: usize) -> Known {
        Known::Found(Rc::new(Found {
            aliases: Vec::new(),
            records: vec![RecordData::Txt(vec![vec![0; bytes]])],
            authentic: false,
            security: None,
        }))
    }

    fn at(seconds: u64) -> Time {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_answer_lives_as_long_as_it_was_given() {
        let mut cache = Cache::default();
        cache.put(key(1), text(1), 10, at(100));
        assert_eq!(cache.get(&key(1), at(103)).unwrap().1, 7);
        assert!(cache.get(&key(1), at(110)).is_none());
        assert_eq!(
            (cache.entries.len(), cache.order.len(), cache.bytes),
            (0, 0, 0)
        );
        cache.put(key(1), text(1), 0, at(0));
        assert!(cache.get(&key(1), at(0)).is_none());
    }

    #[test]
    fn what_was_used_last_stays() {
        let mut cache = Cache::default();
        let most = u32::try_from(MAX_CACHE_ENTRIES).unwrap();
        for number in 0..most {
            cache.put(key(number), text(1), 10, at(0));
        }
        assert!(cache.get(&key(0), at(1)).is_some());
        cache.put(key(most), text(1), 10, at(1));
        assert!(cache.get(&key(0), at(1)).is_some());
        assert!(cache.get(&key(1), at(1)).is_none());
    }

    #[test]
    fn fewer_answers_are_kept_where_fewer_are_preferred() {
        let mut cache = Cache::default();
        cache.put(key(0), text(1), 10, at(0));
        cache.prefer(Preferences::new(2, 60));
        assert!(cache.get(&key(0), at(1)).is_none(), "it was emptied");
        for number in 1..=3 {
            cache.put(key(number), text(1), 10, at(1));
        }
        // The same again changes nothing.
        cache.prefer(Preferences::new(2, 60));
        let kept = |number| cache.entries.contains_key(&key(number));
        assert_eq!([1, 2, 3].map(kept), [false, true, true]);
        cache.prefer(Preferences::new(0, 60));
        cache.put(key(4), text(1), 10, at(1));
        assert_eq!(cache.entries.len(), 0);
    }

    #[test]
    fn nothing_is_preferred_over_the_resolvers_own_bounds() {
        assert_eq!(Preferences::new(u32::MAX, u32::MAX), Preferences::default());
    }

    #[test]
    fn one_answer_cannot_fill_it() {
        let mut cache = Cache::default();
        cache.put(key(1), text(MAX_CACHE_BYTES / LARGEST_SHARE), 10, at(0));
        assert_eq!(cache.entries.len(), 0);
    }

    proptest! {
        #[test]
        fn bounds_hold_and_sums_agree(
            puts in proptest::collection::vec((0_u32..50, 0_usize..200_000, 0_u32..3), 1..200)
        ) {
            let mut cache = Cache::default();
            for (second, (number, bytes, ttl)) in puts.into_iter().enumerate() {
                let now = at(second as u64);
                cache.put(key(number), text(bytes), ttl, now);
                let _any = cache.get(&key(number / 2), now);
                prop_assert!(cache.bytes <= MAX_CACHE_BYTES);
                prop_assert_eq!(cache.entries.len(), cache.order.len());
                let sum: usize = cache.entries.values().map(|entry| entry.bytes).sum();
                prop_assert_eq!(sum, cache.bytes);
            }
        }
    }
}
