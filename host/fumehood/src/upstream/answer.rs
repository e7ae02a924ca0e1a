//! What proxies are told of who asks, and what they have asked so far.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fumehood_control::Challenge;
use fumehood_policy::ProxyServer;

use super::conversations::Sources;
use super::digest::{Asked, Demand};
use super::{Login, ProxyAuth, Who};
use crate::hex;

/// Most challenges remembered; people have one proxy, or two.
const MAX_REMEMBERED: usize = 64;

/// Random bytes of a cnonce: never the same twice.
const CNONCE_BYTES: usize = 16;

/// Challenges that were answered once and hold on, so that the next request
/// need not be refused first.
#[derive(Default)]
pub(crate) struct Answers {
    known: Mutex<HashMap<(ProxyServer, u64), Known>>,
    hasher: RandomState,
    /// Who makes tokens.
    pub(super) sources: Sources,
}

struct Known {
    demand: Demand,
    /// How often its nonce was used.
    count: u32,
}

impl Answers {
    /// By which the engine tells connections made for one login from those for
    /// another, without knowing it.
    pub(super) fn partition_of(&self, who: Option<&Who>) -> u64 {
        who.map_or(0, |who| self.hasher.hash_one(who).max(1))
    }

    /// The value of `proxy-authorization`, where it can be told now.
    pub(super) fn authorization(
        &self,
        server: &ProxyServer,
        login: &Login,
        method: &str,
        uri: &str,
    ) -> Option<String> {
        match login.scheme {
            ProxyAuth::Basic => {
                let pair = [&login.user.username[..], b":", &login.user.password[..]].concat();
                Some(format!("Basic {}", STANDARD.encode(pair)))
            }
            ProxyAuth::Digest => {
                let mut known = self.lock();
                let known = known.get_mut(&self.key(server, login))?;
                known.count = known.count.saturating_add(1);
                Some(known.demand.answer(&Asked {
                    user: &login.user,
                    method,
                    uri,
                    count: known.count,
                    cnonce: &cnonce()?,
                }))
            }
        }
    }

    /// Takes in a proxy's challenges, which it made this request `round` times
    /// before. False where none can be answered, or where the one before was, and
    /// the proxy does not say that it is stale by now: then it does not know the
    /// name or the password (RFC 7616 section 3.3).
    pub(super) fn learn(
        &self,
        server: &ProxyServer,
        login: &Login,
        challenges: &[Challenge],
        round: u8,
    ) -> bool {
        let key = self.key(server, login);
        let mut known = self.lock();
        let before = known.remove(&key);
        let demand = Demand::best(challenges).filter(|demand| round == 0 || demand.is_stale());
        let Some(demand) = demand else {
            return false;
        };
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        // A count is told once for a nonce, also where two requests learn of it at once.
        let same = before.filter(|it| it.demand.has_nonce_of(&demand));
        let count = same.map_or(0, |it| it.count);
        known.insert(key, Known { demand, count });
        true
    }

    fn key(&self, server: &ProxyServer, login: &Login) -> (ProxyServer, u64) {
        (server.clone(), self.hasher.hash_one(login))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(ProxyServer, u64), Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None` where the system has no random numbers, which is the end of much else.
fn cnonce() -> Option<String> {
    let mut bytes = [0; CNONCE_BYTES];
    rand::fill(&mut bytes).ok()?;
    Some(hex::encode(&bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use fumehood_policy::UserInfo;

    use super::*;

    fn login(name: &str, scheme: ProxyAuth) -> Login {
        Login {
            user: UserInfo {
                username: name.as_bytes().to_vec(),
                password: b"open sesame".to_vec(),
            },
            scheme,
        }
    }

    fn server() -> ProxyServer {
        "http://proxy.test:3128".parse().unwrap()
    }

    fn challenge(nonce: &str) -> Vec<Challenge> {
        let parameters = [("realm", "r"), ("nonce", nonce), ("qop", "auth")];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
        vec![Challenge {
            scheme: "digest".to_owned(),
            token: String::new(),
            parameters: parameters.to_vec(),
        }]
    }

    #[test]
    fn basic_is_told_at_once() {
        let answers = Answers::default();
        let login = login("Aladdin", ProxyAuth::Basic);
        let told = answers.authorization(&server(), &login, "GET", "/");
        // RFC 7617 section 2.
        assert_eq!(told.unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn a_challenge_is_answered_again_and_again_until_another_comes() {
        let answers = Answers::default();
        let (alice, bob) = (
            login("alice", ProxyAuth::Digest),
            login("bob", ProxyAuth::Digest),
        );
        let told = |login: &Login| answers.authorization(&server(), login, "CONNECT", "a:1");
        assert_eq!(told(&alice), None);
        assert!(answers.learn(&server(), &alice, &challenge("one"), 0));
        assert!(told(&alice).unwrap().contains("nc=00000001"));
        assert!(told(&alice).unwrap().contains("nc=00000002"));
        assert_eq!(told(&bob), None, "one login's challenge is not another's");
        assert!(answers.learn(&server(), &alice, &challenge("two"), 0));
        assert!(told(&alice).unwrap().contains("nc=00000001"));
    }

    #[test]
    fn a_proxy_that_asks_again_has_said_no_unless_its_challenge_is_stale() {
        let answers = Answers::default();
        let login = login("alice", ProxyAuth::Digest);
        let told = || answers.authorization(&server(), &login, "GET", "http://a/");
        assert!(answers.learn(&server(), &login, &challenge("one"), 0));
        assert!(!answers.learn(&server(), &login, &challenge("two"), 1));
        assert_eq!(told(), None, "what was refused is forgotten");
        let mut stale = challenge("three");
        stale[0]
            .parameters
            .push(("stale".to_owned(), "TRUE".to_owned()));
        assert!(answers.learn(&server(), &login, &stale, 1));
        assert!(told().unwrap().contains("three"));
        assert!(!answers.learn(&server(), &login, &[], 0));
        // Two requests at once are told the same by some proxies, and no count of
        // theirs may be the same.
        for count in ["nc=00000001", "nc=00000002"] {
            assert!(answers.learn(&server(), &login, &challenge("same"), 0));
            let told = told().unwrap();
            assert!(told.contains(count), "{told}");
        }
    }
}
