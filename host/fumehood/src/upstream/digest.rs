//! Digest authentication (RFC 7616): the answer to a challenge, computed here,
//! so that no password goes anywhere else.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use fumehood_control::Challenge;
use fumehood_policy::UserInfo;
use md5::{Digest as _, Md5};

use crate::hex;

/// A challenge that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The algorithm was named.
    named: bool,
    session: bool,
    /// `auth`, the one quality spoken; RFC 2069's challenges have none.
    qop: bool,
    /// Send the name's hash.
    userhash: bool,
    /// What was answered before was right, and too old.
    stale: bool,
}

/// Which hash, the better last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
}

/// What the answer is for.
pub(super) struct Asked<'a> {
    pub user: &'a UserInfo,
    pub method: &'a str,
    /// The request target, as it is sent.
    pub uri: &'a str,
    /// How often the nonce is used, this time included.
    pub count: u32,
    /// Ours, never used before.
    pub cnonce: &'a str,
}

impl Demand {
    /// The best challenge that can be answered, if there is one.
    pub(super) fn best(challenges: &[Challenge]) -> Option<Demand> {
        let demands = challenges.iter().filter_map(Demand::of);
        demands.max_by_key(|demand| demand.algorithm)
    }

    fn of(challenge: &Challenge) -> Option<Demand> {
        if challenge.scheme != "digest" {
            return None;
        }
        let get = |name: &str| challenge.parameter(name);
        let is =
            |name: &str, value: &str| get(name).is_some_and(|it| it.eq_ignore_ascii_case(value));
        let named = get("algorithm");
        let (algorithm, session) = match named.unwrap_or("MD5").to_ascii_lowercase().as_str() {
            "md5" => (Algorithm::Md5, false),
            "md5-sess" => (Algorithm::Md5, true),
            "sha-256" => (Algorithm::Sha256, false),
            "sha-256-sess" => (Algorithm::Sha256, true),
            _ => return None,
        };
        let qop = match get("qop") {
            None => false,
            Some(list) => {
                let mut all = list.split(',').map(str::trim);
                all.any(|it| it.eq_ignore_ascii_case("auth"))
                    .then_some(true)?
            }
        };
        Some(Demand {
            realm: get("realm")?.to_owned(),
            nonce: get("nonce")?.to_owned(),
            opaque: get("opaque").map(str::to_owned),
            algorithm,
            named: named.is_some(),
            session,
            qop,
            userhash: is("userhash", "true"),
            stale: is("stale", "true"),
        })
    }

    /// The answer before was to a challenge whose time was up (RFC 7616 section 3.3).
    pub(super) fn is_stale(&self) -> bool {
        self.stale
    }

    pub(super) fn has_nonce_of(&self, other: &Demand) -> bool {
        self.nonce == other.nonce
    }

    /// The value of `proxy-authorization` (RFC 7616 section 3.4).
    pub(super) fn answer(&self, asked: &Asked<'_>) -> String {
        let name = &asked.user.username;
        let shown = match self.userhash {
            true => quoted(self.hash(&[name, self.realm.as_bytes()]).as_bytes()),
            false => quoted(name),
        };
        let mut value = format!(
            "Digest username={shown}, realm={}, nonce={}, uri={}, response=\"{}\"",
            quoted(self.realm.as_bytes()),
            quoted(self.nonce.as_bytes()),
            quoted(asked.uri.as_bytes()),
            self.response(asked)
        );
        if self.named {
            let name = match self.algorithm {
                Algorithm::Md5 => "MD5",
                Algorithm::Sha256 => "SHA-256",
            };
            let session = if self.session { "-sess" } else { "" };
            add(&mut value, &format!("algorithm={name}{session}"));
        }
        if self.qop {
            let (count, cnonce) = (asked.count, asked.cnonce);
            add(
                &mut value,
                &format!("qop=auth, nc={count:08x}, cnonce=\"{cnonce}\""),
            );
        }
        if let Some(opaque) = &self.opaque {
            add(&mut value, &format!("opaque={}", quoted(opaque.as_bytes())));
        }
        if self.userhash {
            add(&mut value, "userhash=true");
        }
        value
    }

    fn response(&self, asked: &Asked<'_>) -> String {
        let UserInfo { username, password } = asked.user;
        let (nonce, cnonce) = (self.nonce.as_bytes(), asked.cnonce.as_bytes());
        let mut who = self.hash(&[username, self.realm.as_bytes(), password]);
        if self.session {
            who = self.hash(&[who.as_bytes(), nonce, cnonce]);
        }
        let what = self.hash(&[asked.method.as_bytes(), asked.uri.as_bytes()]);
        let count = format!("{:08x}", asked.count);
        let (who, what) = (who.as_bytes(), what.as_bytes());
        match self.qop {
            true => self.hash(&[who, nonce, count.as_bytes(), cnonce, b"auth", what]),
            false => self.hash(&[who, nonce, what]),
        }
    }

    /// Of parts with colons between, in hexadecimal.
    fn hash(&self, parts: &[&[u8]]) -> String {
        let text = parts.join(&b':');
        match self.algorithm {
            Algorithm::Md5 => hex::encode(&Md5::digest(text)),
            Algorithm::Sha256 => hex::encode(digest(&SHA256, &text).as_ref()),
        }
    }
}

fn add(value: &mut String, parameter: &str) {
    // Writing to a string does not fail.
    let _never = write!(value, ", {parameter}");
}

/// A quoted-string (RFC 9110 section 5.6.4). What cannot stand in a field is left
/// out, and the proxy will not accept the answer.
fn quoted(bytes: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for letter in String::from_utf8_lossy(bytes).chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            it if it.is_control() => {}
            it => quoted.push(it),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]
    use super::*;

    fn challenge(parameters: &[(&str, &str)]) -> Challenge {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Challenge {
            scheme: "digest".to_owned(),
            token: String::new(),
            parameters: parameters.iter().map(owned).collect(),
        }
    }

    fn user(name: &str, password: &str) -> UserInfo {
        UserInfo {
            username: name.as_bytes().to_vec(),
            password: password.as_bytes().to_vec(),
        }
    }

    fn response(demand: &Demand, asked: &Asked<'_>) -> String {
        let answer = demand.answer(asked);
        let (_, rest) = answer.split_once("response=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    /// RFC 7616 section 3.9.1.
    #[test]
    fn the_answers_are_those_of_the_rfc() {
        let common = [
            ("realm", "http-auth@example.org"),
            ("qop", "auth, auth-int"),
            ("nonce", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
            ("opaque", "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"),
        ];
        let user = user("Mufasa", "Circle of Life");
        let asked = Asked {
            user: &user,
            method: "GET",
            uri: "/dir/index.html",
            count: 1,
            cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        };
        for (algorithm, want) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let mut parameters = common.to_vec();
            parameters.push(("algorithm", algorithm));
            let demand = Demand::best(&[challenge(&parameters)]).unwrap();
            assert_eq!(response(&demand, &asked), want, "{algorithm}");
        }
    }

    #[test]
    fn of_several_the_best_is_answered_and_what_is_not_spoken_is_not() {
        let with = |more: &[(&str, &str)]| {
            let mut parameters = vec![("realm", "r"), ("nonce", "n"), ("qop", "auth")];
            parameters.extend_from_slice(more);
            challenge(&parameters)
        };
        let md5 = with(&[]);
        let sha = with(&[("algorithm", "SHA-256")]);
        let best = Demand::best(&[md5.clone(), sha, md5.clone()]).unwrap();
        assert_eq!(best.algorithm, Algorithm::Sha256);
        assert_eq!(Demand::best(&[with(&[("algorithm", "SHA-512-256")])]), None);
        assert_eq!(Demand::best(&[challenge(&[("realm", "r")])]), None);
        let only_integrity = challenge(&[("realm", "r"), ("nonce", "n"), ("qop", "auth-int")]);
        assert_eq!(Demand::best(&[only_integrity]), None);
    }

    #[test]
    fn what_a_proxy_says_cannot_break_out_of_the_answer() {
        let demand = Demand::best(&[challenge(&[("realm", "a\"b\\c"), ("nonce", "n")])]).unwrap();
        let user = user("u\"ser\n", "p");
        let answer = demand.answer(&Asked {
            user: &user,
            method: "CONNECT",
            uri: "a:1",
            count: 1,
            cnonce: "c",
        });
        assert!(
            answer.starts_with("Digest username=\"u\\\"ser\", realm=\"a\\\"b\\\\c\", nonce=\"n\"")
        );
        assert!(!answer.contains("qop") && !answer.contains("algorithm"));
    }
}
