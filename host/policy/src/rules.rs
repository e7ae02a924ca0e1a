//! The policy: which targets and addresses may be dialled.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::address::embedded;
use crate::{
    AddressSpace, Decision, Denial, Grounds, HostPattern, PrivateHost, Reason, Scheme, Target,
    is_blocked, space_of,
};

/// Most rules in a policy. Every dial goes through all of them; people write tens.
pub const MAX_RULES: usize = 1024;

/// Most private hosts allowed, for the same reason.
pub const MAX_PRIVATE_HOSTS: usize = 1024;

/// Every port.
pub const ANY_PORT: RangeInclusive<u16> = 0..=u16::MAX;

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Effect {
    /// Lets through. Not past the address checks: only
    /// [`Policy::allow_private`] does that.
    Allow,
    /// Refuses, whatever else allows.
    Deny,
}

/// One rule. It matches when all its parts do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What it does.
    pub effect: Effect,
    /// For this scheme, or for all.
    pub scheme: Option<Scheme>,
    /// For these hosts.
    pub host: HostPattern,
    /// For these ports; [`ANY_PORT`] for all.
    pub ports: RangeInclusive<u16>,
}

/// What may be dialled. [`Policy::default`] allows `http` and `https` to every
/// public address, on every port that is not blocked, and nothing else: no
/// loopback, no local network.
///
/// Deny wins: a rule that denies beats every rule that allows, and blocked
/// ports and forbidden addresses beat everything. It travels between processes
/// in postcard's encoding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    default: Effect,
    rules: Vec<Rule>,
    private: Vec<PrivateHost>,
}

/// [`MAX_RULES`] or [`MAX_PRIVATE_HOSTS`] is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy has its {most} entries of this kind already; use wider patterns")]
pub struct TooManyRules {
    /// The bound.
    pub most: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            default: Effect::Allow,
            rules: Vec::new(),
            private: Vec::new(),
        }
    }
}

impl Policy {
    /// A policy that allows only what rules and private hosts name.
    #[must_use]
    pub fn deny_by_default() -> Self {
        Policy {
            default: Effect::Deny,
            ..Self::default()
        }
    }

    /// Adds a rule; their order means nothing.
    ///
    /// # Errors
    /// [`TooManyRules`] at [`MAX_RULES`].
    pub fn add_rule(&mut self, rule: Rule) -> Result<(), TooManyRules> {
        if self.rules.len() >= MAX_RULES {
            return Err(TooManyRules { most: MAX_RULES });
        }
        self.rules.push(rule);
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
        if self.private.len() >= MAX_PRIVATE_HOSTS {
            return Err(TooManyRules {
                most: MAX_PRIVATE_HOSTS,
            });
        }
        self.private.push(host);
        Ok(())
    }

    /// Decides on a target before its name is resolved. Every address must
    /// pass [`Policy::check_address`] besides.
    pub fn check_target(&self, target: &Target) -> Decision {
        match self.judge_target(target) {
            Ok(grounds) => Decision::Allow(grounds),
            Err(reason) => Decision::Deny(Denial {
                target: target.clone(),
                reason,
            }),
        }
    }

    /// Decides on one address that the target resolved to, or is.
    pub fn check_address(&self, target: &Target, address: IpAddr) -> Decision {
        match self.judge_address(target, address) {
            Ok(grounds) => Decision::Allow(grounds),
            Err(reason) => Decision::Deny(Denial {
                target: target.clone(),
                reason,
            }),
        }
    }

    fn judge_target(&self, target: &Target) -> Result<Grounds, Reason> {
        if let Some(address) = target.host.address() {
            return self.judge_address(target, address);
        }
        self.judge_port_and_name(target)?;
        if target.host.is_localhost() {
            let loopback = |net: &HostPattern| LOOPBACKS.iter().any(|it| net.matches_address(*it));
            let allowed = self
                .private_for_port(target.port)
                .any(|it| it.host.matches(&target.host) || loopback(&it.host));
            return if allowed {
                Ok(Grounds::Private)
            } else {
                Err(Reason::Localhost)
            };
        }
        if self.default == Effect::Allow {
            return Ok(Grounds::Default);
        }
        if self
            .rules_for(Effect::Allow, target)
            .any(|it| it.host.matches(&target.host))
        {
            return Ok(Grounds::Rule);
        }
        let is_range = |host: &HostPattern| matches!(host, HostPattern::Net(_));
        let rule = self
            .rules_for(Effect::Allow, target)
            .any(|it| is_range(&it.host));
        let private = self
            .private_for_port(target.port)
            .any(|it| is_range(&it.host) || it.host.matches(&target.host));
        if rule || private {
            Ok(Grounds::Addresses)
        } else {
            Err(Reason::NotAllowed)
        }
    }

    fn judge_address(&self, target: &Target, address: IpAddr) -> Result<Grounds, Reason> {
        self.judge_port_and_name(target)?;
        if target
            .host
            .address()
            .is_some_and(|literal| literal != address)
        {
            return Err(Reason::AnotherAddress(address));
        }
        // A deny rule also holds for the address that a translator would unwrap.
        let inner = embedded(address).into_iter().flatten().map(IpAddr::V4);
        for candidate in std::iter::once(address).chain(inner) {
            let mut denials = self.rules_for(Effect::Deny, target);
            if let Some(rule) = denials.find(|it| it.host.matches_address(candidate)) {
                return Err(Reason::Rule(rule.host.clone()));
            }
        }
        let space = space_of(address);
        let localhost = target.host.is_localhost();
        if localhost && space != AddressSpace::Loopback {
            return Err(Reason::LocalhostElsewhere(address));
        }
        let private = self.is_private_allowed(target, address, space);
        match space {
            AddressSpace::Forbidden => Err(Reason::Address { address, space }),
            AddressSpace::Local | AddressSpace::Loopback if private => Ok(Grounds::Private),
            AddressSpace::Local | AddressSpace::Loopback => Err(Reason::Address { address, space }),
            AddressSpace::Public if self.default == Effect::Allow => Ok(Grounds::Default),
            AddressSpace::Public => {
                let mut allows = self.rules_for(Effect::Allow, target);
                if allows
                    .any(|it| it.host.matches(&target.host) || it.host.matches_address(address))
                {
                    Ok(Grounds::Rule)
                } else if private {
                    Ok(Grounds::Private)
                } else {
                    Err(Reason::NotAllowed)
                }
            }
        }
    }

    /// What holds for the port and the host as it is written.
    fn judge_port_and_name(&self, target: &Target) -> Result<(), Reason> {
        if is_blocked(target.port) {
            return Err(Reason::BlockedPort);
        }
        let mut denials = self.rules_for(Effect::Deny, target);
        match denials.find(|it| it.host.matches(&target.host)) {
            Some(rule) => Err(Reason::Rule(rule.host.clone())),
            None => Ok(()),
        }
    }

    fn is_private_allowed(&self, target: &Target, address: IpAddr, space: AddressSpace) -> bool {
        let named_itself = target.host.address().is_some() || target.host.is_localhost();
        let by_range = space != AddressSpace::Loopback || named_itself;
        self.private_for_port(target.port)
            .any(|it| it.host.matches(&target.host) || by_range && it.host.matches_address(address))
    }

    fn rules_for<'a>(
        &'a self,
        effect: Effect,
        target: &'a Target,
    ) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(move |it| {
            it.effect == effect
                && it.scheme.is_none_or(|scheme| scheme == target.scheme)
                && it.ports.contains(&target.port)
        })
    }

    fn private_for_port(&self, port: u16) -> impl Iterator<Item = &PrivateHost> {
        self.private
            .iter()
            .filter(move |it| it.port.is_none_or(|wanted| wanted == port))
    }
}

/// What `localhost` resolves to.
const LOOPBACKS: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
];
