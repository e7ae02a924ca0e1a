//! What a policy answers: leave with its grounds, or a denial with its remedy.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{AddressSpace, HostPattern, Target, standing_of};

/// A policy's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub enum Decision {
    /// Yes, and why.
    Allow(Grounds),
    /// No, why, and what to do about it.
    Deny(Denial),
    /// It would be no, but the policy only reports such: let it through and
    /// tell of it.
    Report(Denial),
    /// Somebody has to say yes first ([`crate::Terms::confirmed`]). Only of
    /// [`crate::Policy::decide`].
    Ask(Question),
}

/// What has to be asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What is to be dialled.
    pub target: Target,
    /// The rule that wants it asked.
    pub rule: Box<RuleRef>,
}

impl Question {
    /// What becomes of it where nobody says yes.
    #[must_use]
    pub fn unanswered(self) -> Denial {
        Denial {
            target: self.target,
            reason: Reason::Unconfirmed(self.rule),
        }
    }
}

/// A rule, as a denial names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRef {
    /// Its hosts.
    pub host: HostPattern,
    /// Where it is written: `config.toml:12`; none where it was not read from
    /// a file.
    pub place: Option<String>,
}

/// `*.example.com (config.toml:12)`.
impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{} ({place})", self.host),
            None => self.host.fmt(f),
        }
    }
}

/// Why something is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grounds {
    /// No rule speaks of it, and the default is to allow.
    Default,
    /// A rule allows it: the one on this line, or 0 where it was not read
    /// from a file.
    Rule {
        /// Of the policy's file.
        line: u32,
    },
    /// It had to be asked about, and the answer was yes.
    Confirmed,
    /// It is among the private hosts that were allowed one by one.
    Private,
    /// Nothing against the target itself; its addresses decide.
    Addresses,
}

/// A refusal. Its `Display` is one sentence: what, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// What was to be dialled.
    pub target: Target,
    /// Why not.
    pub reason: Reason,
}

/// Why something is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The port is another service's ([`crate::BLOCKED_PORTS`]).
    BlockedPort,
    /// A rule that denies matches.
    Rule(Box<RuleRef>),
    /// A rule wants it asked about, and nobody has said yes.
    Unconfirmed(Box<RuleRef>),
    /// No rule allows it, and the default is to deny.
    NotAllowed,
    /// The name is `localhost` or under it.
    Localhost,
    /// The address is not public.
    Address {
        /// Which.
        address: IpAddr,
        /// Where it is.
        space: AddressSpace,
    },
    /// The grant it is asked under leaves that space out.
    OutsideGrant {
        /// Which.
        address: IpAddr,
        /// Where it is.
        space: AddressSpace,
    },
    /// The grant it is asked under does not hold for it.
    Grant(Lapse),
    /// A name under `localhost` was given an address elsewhere (RFC 6761 section 6.3).
    LocalhostElsewhere(IpAddr),
    /// An address came up for a literal that is another address.
    AnotherAddress(IpAddr),
    /// Its addresses would decide, and a proxy resolves its name, so nobody here
    /// sees them.
    Unseen,
    /// They are datagrams, and no rule that allows names `udp`.
    NoDatagrams,
    /// No rule allows it, as for [`Reason::NotAllowed`]; this one allows all names
    /// below it.
    OnlyBelow(Box<RuleRef>),
}

/// Why a grant does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Lapse {
    /// It is for other hosts, ports or schemes.
    Elsewhere,
    /// It was used as often as it may be.
    Used,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
    /// So many bytes moved under it as may.
    Spent,
}

impl Lapse {
    /// Its name in JSON, logs and `Proxy-Status`; never changes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Lapse::Elsewhere => "grant-elsewhere",
            Lapse::Used => "grant-used",
            Lapse::Expired => "grant-expired",
            Lapse::Revoked => "grant-revoked",
            Lapse::Spent => "grant-spent",
        }
    }
}

/// One clause.
impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lapse::Elsewhere => "the grant is for another host, port or scheme",
            Lapse::Used => "the grant was used as often as it may be",
            Lapse::Expired => "the grant's time is over",
            Lapse::Revoked => "the grant was taken back",
            Lapse::Spent => "as many bytes moved under the grant as may",
        })
    }
}

impl Reason {
    /// Its name in JSON, logs and `Proxy-Status`; never changes.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Reason::BlockedPort => "blocked-port",
            Reason::Rule(_) => "denied-by-rule",
            Reason::Unconfirmed(_) => "not-confirmed",
            Reason::NotAllowed | Reason::OnlyBelow(_) => "not-allowed",
            Reason::Localhost => "localhost",
            Reason::Address { space, .. } => match space {
                AddressSpace::Public => "public-address",
                AddressSpace::Local => "local-address",
                AddressSpace::Loopback => "loopback-address",
                AddressSpace::Forbidden => "forbidden-address",
            },
            Reason::OutsideGrant { .. } => "outside-grant",
            Reason::Grant(lapse) => lapse.name(),
            Reason::LocalhostElsewhere(_) => "localhost-elsewhere",
            Reason::AnotherAddress(_) => "another-address",
            Reason::Unseen => "unseen-address",
            Reason::NoDatagrams => "udp-not-allowed",
        }
    }
}

impl Denial {
    /// What to do to have it allowed; `None` where nothing allows it.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match &self.reason {
            Reason::Localhost
            | Reason::Address {
                space: AddressSpace::Local | AddressSpace::Loopback,
                ..
            } => {
                let endpoint = self.target.host_and_port();
                Some(format!(
                    "to allow it, pass --allow-private {endpoint}, put \"{endpoint}\" into \
                     policy.private-hosts of the configuration, or call \
                     EngineBuilder::allow_private(\"{endpoint}\")"
                ))
            }
            Reason::Rule(rule) => Some(match &rule.place {
                None => "to allow it, take that rule out of the policy".to_owned(),
                Some(place) => format!("to allow it, change the rule at {place}"),
            }),
            Reason::Unconfirmed(_) => Some(format!(
                "to allow it, say yes when asked, or add a rule that allows {} in place of the \
                 one that asks",
                self.target.host_and_port()
            )),
            Reason::Grant(_) => Some("to allow it, mint another grant".to_owned()),
            Reason::OutsideGrant { space, .. } => Some(format!(
                "to allow it, mint the grant with the address space \"{}\"",
                space.name()
            )),
            Reason::NotAllowed | Reason::OnlyBelow(_) => Some(format!(
                "to allow it, add a rule for {}",
                self.target.host_and_port()
            )),
            Reason::BlockedPort => {
                Some("let the server listen on another port, such as 8080".to_owned())
            }
            Reason::Unseen => Some(format!(
                "to allow it, add a rule for {} by name, or use a proxy that is told addresses \
                 (socks5://)",
                self.target.host_and_port()
            )),
            Reason::NoDatagrams => Some(format!(
                "to allow it, add a rule with schemes = [\"udp\"] for {} to policy.allow",
                self.target.host_and_port()
            )),
            Reason::Address { .. } | Reason::LocalhostElsewhere(_) | Reason::AnotherAddress(_) => {
                None
            }
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not dialled: ", self.target.host_and_port())?;
        match &self.reason {
            Reason::BlockedPort => {
                write!(
                    f,
                    "port {} belongs to a service that is not the web",
                    self.target.port
                )
            }
            Reason::Rule(rule) => write!(f, "a rule of the policy denies {rule}"),
            Reason::Unconfirmed(rule) => {
                write!(
                    f,
                    "a rule of the policy wants {rule} asked about, and nobody said yes"
                )
            }
            Reason::Grant(lapse) => lapse.fmt(f),
            Reason::OutsideGrant { address, space } => write!(
                f,
                "its address {address} is {}, which the grant leaves out",
                space.name()
            ),
            Reason::NotAllowed => {
                f.write_str("no rule of the policy allows it, and its default is to deny")
            }
            Reason::OnlyBelow(rule) => {
                write!(f, "no rule of the policy allows it: {rule} leaves out ")?;
                write!(f, "{} itself", self.target.host)
            }
            Reason::Localhost => f.write_str("its name stands for this machine (RFC 6761)"),
            Reason::Address { address, .. } => match standing_of(*address).range {
                "" => write!(f, "its address {address} is public"),
                range if self.target.host.address() == Some(*address) => write!(f, "it is {range}"),
                range => write!(f, "its name resolves to {address}, {range}"),
            },
            Reason::LocalhostElsewhere(address) => {
                write!(
                    f,
                    "its name stands for this machine, yet {address} is another"
                )
            }
            Reason::AnotherAddress(address) => {
                write!(f, "{address} was about to be dialled in its place")
            }
            Reason::Unseen => f.write_str(
                "its addresses decide, and the proxy would resolve its name where nobody here \
                 sees them",
            ),
            Reason::NoDatagrams => {
                f.write_str("no rule of the policy allows datagrams to it by the scheme udp")
            }
        }?;
        match self.remedy() {
            Some(remedy) => write!(f, "; {remedy}"),
            None => f.write_str("; no setting allows it"),
        }
    }
}

impl std::error::Error for Denial {}
