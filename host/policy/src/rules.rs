//! The policy: which targets and addresses may be dialled. Its rules; how they
//! are weighed is in `judge.rs`.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::index::Index;
use crate::{ClientName, HostPattern, Method, PrivateHost, SchemeName, Spaces};

/// Most rules in a policy: block lists that people import have some thousands.
pub const MAX_RULES: usize = 16_384;

/// Most private hosts allowed; they are named one by one, by hand.
pub const MAX_PRIVATE_HOSTS: usize = 1024;

/// Every port.
pub const ANY_PORT: RangeInclusive<u16> = 0..=u16::MAX;

/// What a rule does. One that denies beats one that asks, and that beats one
/// that allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Effect {
    /// Lets through. Not past the address checks: only
    /// [`Policy::allow_private`] does that.
    Allow,
    /// Refuses, whatever else allows.
    Deny,
    /// Lets through once whoever answers for the embedder has said yes
    /// ([`crate::Terms::confirmed`]); as for `Allow`, not past the address
    /// checks. It is asked before a name is resolved, so a range speaks of
    /// literals alone, and [`Rule::spaces`] is not looked at.
    Ask,
}

/// One rule. It matches when all its parts do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What it does.
    pub effect: Effect,
    /// For these schemes; empty for all.
    pub schemes: Vec<SchemeName>,
    /// For these hosts.
    pub host: HostPattern,
    /// For these ports; [`ANY_PORT`] for all.
    pub ports: RangeInclusive<u16>,
    /// For these methods; empty for all.
    pub methods: Vec<Method>,
    /// For these clients; empty for all, and for requests of no client.
    pub clients: Vec<ClientName>,
    /// For addresses in these spaces. It narrows a rule, and opens nothing.
    pub spaces: Spaces,
    /// The line it was written on; 0 where it was not read from a file.
    pub line: u32,
}

impl Rule {
    /// A rule about hosts, whatever the rest.
    #[must_use]
    pub fn new(effect: Effect, host: HostPattern) -> Self {
        Rule {
            effect,
            schemes: Vec::new(),
            host,
            ports: ANY_PORT,
            methods: Vec::new(),
            clients: Vec::new(),
            spaces: Spaces::ALL,
            line: 0,
        }
    }
}

/// What becomes of a denial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// It holds.
    #[default]
    Enforce,
    /// It is told of, and does not hold.
    Report,
}

/// What may be dialled. [`Policy::default`] allows `http` and `https` to every
/// public address, on every port that is not blocked, and nothing else: no
/// loopback, no local network.
///
/// Deny wins: a rule that denies beats every rule that allows, and blocked
/// ports and forbidden addresses beat everything. It travels between processes
/// in postcard's encoding.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Parts", into = "Parts")]
pub struct Policy {
    pub(crate) parts: Parts,
    pub(crate) denies: Index,
    pub(crate) asks: Index,
    pub(crate) allows: Index,
    pub(crate) private: Index,
}

/// A policy as it is written down; the rest follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parts {
    pub(crate) default: Effect,
    pub(crate) rules: Vec<Rule>,
    pub(crate) private: Vec<PrivateHost>,
    pub(crate) rule_mode: Mode,
    pub(crate) address_mode: Mode,
    /// The file that the rules' lines are of; empty where there is none.
    pub(crate) file: String,
}

impl From<Parts> for Policy {
    fn from(parts: Parts) -> Self {
        let mut policy = Policy {
            parts,
            denies: Index::default(),
            asks: Index::default(),
            allows: Index::default(),
            private: Index::default(),
        };
        for at in 0..policy.parts.rules.len() {
            policy.index_rule(at);
        }
        for at in 0..policy.parts.private.len() {
            policy.index_private(at);
        }
        policy
    }
}

impl From<Policy> for Parts {
    fn from(policy: Policy) -> Self {
        policy.parts
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

impl Eq for Policy {}

/// [`MAX_RULES`] or [`MAX_PRIVATE_HOSTS`] is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy has its {most} entries of this kind already; use wider patterns")]
pub struct TooManyRules {
    /// The bound.
    pub most: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self::with_default(Effect::Allow)
    }
}

impl Policy {
    /// A policy that allows only what rules and private hosts name.
    #[must_use]
    pub fn deny_by_default() -> Self {
        Self::with_default(Effect::Deny)
    }

    fn with_default(default: Effect) -> Self {
        Policy::from(Parts {
            default,
            rules: Vec::new(),
            private: Vec::new(),
            rule_mode: Mode::Enforce,
            address_mode: Mode::Enforce,
            file: String::new(),
        })
    }

    /// Adds a rule; their order means nothing.
    ///
    /// # Errors
    /// [`TooManyRules`] at [`MAX_RULES`].
    pub fn add_rule(&mut self, rule: Rule) -> Result<(), TooManyRules> {
        if self.parts.rules.len() >= MAX_RULES {
            return Err(TooManyRules { most: MAX_RULES });
        }
        self.parts.rules.push(rule);
        self.index_rule(self.parts.rules.len() - 1);
        Ok(())
    }

    /// Lets a host through whose address is not public.
    ///
    /// A name is let through to any local or loopback address it resolves to.
    /// A range lets through literals in it and names that resolve into it;
    /// but a name that resolves to loopback must be named itself, unless it is
    /// `localhost` or under it, since a stranger's name that points at this
    /// machine is how rebinding looks.
    ///
    /// # Errors
    /// [`TooManyRules`] at [`MAX_PRIVATE_HOSTS`].
    pub fn allow_private(&mut self, host: PrivateHost) -> Result<(), TooManyRules> {
        if self.parts.private.len() >= MAX_PRIVATE_HOSTS {
            return Err(TooManyRules {
                most: MAX_PRIVATE_HOSTS,
            });
        }
        self.parts.private.push(host);
        self.index_private(self.parts.private.len() - 1);
        Ok(())
    }

    /// What becomes of denials by rules, and of those by an address's space.
    /// Blocked ports, forbidden addresses and a name or literal that turns out
    /// to be another address are denied in every mode.
    pub fn set_modes(&mut self, rules: Mode, addresses: Mode) {
        self.parts.rule_mode = rules;
        self.parts.address_mode = addresses;
    }

    /// Names the file that [`Rule::line`] speaks of.
    pub fn set_file(&mut self, file: impl Into<String>) {
        self.parts.file = file.into();
    }

    /// What happens where no rule speaks of a target: never [`Effect::Ask`].
    #[must_use]
    pub fn default_effect(&self) -> Effect {
        self.parts.default
    }

    /// The rules, in the order they were added.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.parts.rules
    }

    /// The private hosts, in the order they were added.
    #[must_use]
    pub fn private_hosts(&self) -> &[PrivateHost] {
        &self.parts.private
    }

    /// The modes of rules and of address checks.
    #[must_use]
    pub fn modes(&self) -> (Mode, Mode) {
        (self.parts.rule_mode, self.parts.address_mode)
    }

    /// Whether what one request may connect to, another to the same target may
    /// not: then connections must not be shared.
    #[must_use]
    pub fn judges_connections_by_request(&self) -> bool {
        self.parts.rules.iter().any(|rule| {
            let by_request = !rule.methods.is_empty() || !rule.clients.is_empty();
            let by_address = matches!(rule.host, HostPattern::Net(_)) || !rule.spaces.is_all();
            by_request && by_address
        })
    }

    /// `config.toml:12`, for a rule of a file.
    #[must_use]
    pub fn place_of(&self, line: u32) -> Option<String> {
        let known = line > 0 && !self.parts.file.is_empty();
        known.then(|| format!("{}:{line}", self.parts.file))
    }

    fn index_rule(&mut self, at: usize) {
        let rule = &self.parts.rules[at];
        let index = match rule.effect {
            Effect::Allow => &mut self.allows,
            Effect::Deny => &mut self.denies,
            Effect::Ask => &mut self.asks,
        };
        index.insert(&rule.host, &rule.ports, entry(at));
    }

    fn index_private(&mut self, at: usize) {
        let PrivateHost { host, port } = &self.parts.private[at];
        let ports = port.map_or(ANY_PORT, |port| port..=port);
        self.private.insert(host, &ports, entry(at));
    }
}

/// Far fewer entries than this fit into any message.
fn entry(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
