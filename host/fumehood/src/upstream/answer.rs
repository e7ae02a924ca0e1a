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

use super::digest::{Asked, Demand};
use super::{Login, ProxyAuth};
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
}

struct Known {
    demand: Demand,
    /// How often its nonce was used.
    count: u32,
}

impl Answers {
    /// By which the engine tells connections made for one login from those for
    /// another, without knowing it.
    pub(super) fn partition_of(&self, login: Option<&Login>) -> u64 {
        login.map_or(0, |login| self.hasher.hash_one(login).max(1))
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

    /// Takes in a proxy's challenges. False where none can be answered, or the
    /// one that was answered is all there is.
    pub(super) fn learn(
        &self,
        server: &ProxyServer,
        login: &Login,
        challenges: &[Challenge],
    ) -> bool {
        let Some(demand) = Demand::best(challenges) else {
            return false;
        };
        let key = self.key(server, login);
        let mut known = self.lock();
        let before = known.remove(&key);
        if before.is_some_and(|before| before.demand.nonce() == demand.nonce()) {
            return false;
        }
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(key, Known { demand, count: 0 });
        true
    }

    fn key(&self, server: &ProxyServer, login: &Login) -> (ProxyServer, u64) {
        (server.clone(), self.partition_of(Some(login)))
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
        assert!(answers.learn(&server(), &alice, &challenge("one")));
        assert!(told(&alice).unwrap().contains("nc=00000001"));
        assert!(told(&alice).unwrap().contains("nc=00000002"));
        assert_eq!(told(&bob), None, "one login's challenge is not another's");
        assert!(answers.learn(&server(), &alice, &challenge("two")));
        assert!(told(&alice).unwrap().contains("nc=00000001"));
    }

    #[test]
    fn a_proxy_that_asks_the_same_again_has_said_no() {
        let answers = Answers::default();
        let login = login("alice", ProxyAuth::Digest);
        assert!(answers.learn(&server(), &login, &challenge("one")));
        assert!(!answers.learn(&server(), &login, &challenge("one")));
        assert!(!answers.learn(&server(), &login, &[]));
    }
}
