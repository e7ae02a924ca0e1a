//! How a policy weighs a target and an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::address::embedded;
use crate::index::Index;
use crate::rules::{Effect, Mode, Policy, Rule};
use crate::{
    AddressSpace, Decision, Denial, Grounds, Naming, ProxyServer, Question, Reason, RuleRef,
    Scheme, Spaces, Target, Terms, is_blocked, space_of,
};

/// What `localhost` resolves to.
const LOOPBACKS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

impl Policy {
    /// As [`Policy::decide`], knowing nothing of who asks and how.
    pub fn check_target(&self, target: &Target) -> Decision {
        self.decide(target, &Terms::default())
    }

    /// As [`Policy::decide_address`], knowing nothing of who asks and how.
    pub fn check_address(&self, target: &Target, address: IpAddr) -> Decision {
        self.decide_address(target, &Terms::default(), address)
    }

    /// Decides on a target before its name is resolved. Every address must
    /// pass [`Policy::decide_address`] besides.
    pub fn decide(&self, target: &Target, terms: &Terms) -> Decision {
        let mut weighing = Weighing::of(self, target, terms);
        let judged = match target.host.address() {
            Some(address) => weighing.address(address),
            None => weighing.name(),
        };
        match judged {
            Err(Reason::Unconfirmed(rule)) => Decision::Ask(Question {
                target: target.clone(),
                rule,
            }),
            judged => weighing.decision(judged),
        }
    }

    /// Decides on one address that the target resolved to, or is.
    pub fn decide_address(&self, target: &Target, terms: &Terms, address: IpAddr) -> Decision {
        let mut weighing = Weighing::of(self, target, terms);
        let judged = weighing.address(address);
        weighing.decision(judged)
    }

    /// Decides on a target whose name a proxy resolves: no address of it will
    /// be seen here. Where its addresses alone could allow it, or its grant
    /// leaves some out, that is a no.
    pub fn decide_unseen(&self, target: &Target, terms: &Terms) -> Decision {
        let deny = || {
            let (target, reason) = (target.clone(), Reason::Unseen);
            Decision::Deny(Denial { target, reason })
        };
        let named = target.host.address().is_none();
        match self.decide(target, terms) {
            Decision::Allow(Grounds::Addresses) => deny(),
            Decision::Allow(_) | Decision::Report(_) if named && !terms.spaces.is_all() => deny(),
            decision => decision,
        }
    }

    /// Decides whether a client of a proxy may send datagrams at all: whether
    /// there is a rule by which some may. Each target is decided on besides.
    ///
    /// # Errors
    /// The reason why not.
    pub fn decide_datagrams(&self, terms: &Terms) -> Result<(), Reason> {
        let allows = |rule: &Rule| {
            rule.effect == Effect::Allow && names(rule, Scheme::Udp) && is_about_asker(rule, terms)
        };
        match self.parts.rules.iter().any(allows) {
            true => Ok(()),
            false => Err(Reason::NoDatagrams),
        }
    }

    /// Decides on a proxy before its name is resolved; every address must pass
    /// [`Policy::decide_proxy_address`] besides. One that the user named may be
    /// anywhere, unless a rule denies it.
    pub fn decide_proxy(&self, proxy: &ProxyServer, naming: Naming, terms: &Terms) -> Decision {
        let (target, terms) = (proxy.as_target(), anywhere(terms));
        match naming {
            Naming::Script => self.decide(&target, &terms),
            Naming::User => {
                let mut weighing = Weighing::of(self, &target, &terms);
                let judged = match target.host.address() {
                    Some(address) => weighing.not_denied(address),
                    None => weighing.port_and_host(None),
                };
                weighing.decision(judged.map(|()| Grounds::Private))
            }
        }
    }

    /// Decides on one address that a proxy's host resolved to, or is.
    pub fn decide_proxy_address(
        &self,
        proxy: &ProxyServer,
        naming: Naming,
        terms: &Terms,
        address: IpAddr,
    ) -> Decision {
        let (target, terms) = (proxy.as_target(), anywhere(terms));
        match naming {
            Naming::Script => self.decide_address(&target, &terms, address),
            Naming::User => {
                let mut weighing = Weighing::of(self, &target, &terms);
                let judged = weighing.not_denied(address);
                weighing.decision(judged.map(|()| Grounds::Private))
            }
        }
    }

    /// Whether what allows a target speaks of its name, and not of addresses alone.
    pub(crate) fn names(&self, target: &Target, terms: &Terms) -> bool {
        let mut private = self.private.for_host(&target.host, target.port);
        let weighing = Weighing::of(self, target, terms);
        private.next().is_some() || weighing.rule_for_host(&self.allows, |_| true).is_some()
    }

    /// What a denial names a rule by.
    fn refer_to(&self, rule: &Rule) -> Box<RuleRef> {
        Box::new(RuleRef {
            host: rule.host.clone(),
            place: self.place_of(rule.line),
        })
    }
}

/// The same terms for a proxy: a grant's address spaces are the target's.
fn anywhere(terms: &Terms) -> Terms {
    Terms {
        spaces: Spaces::ALL,
        ..terms.clone()
    }
}

/// One decision in the making.
struct Weighing<'a> {
    policy: &'a Policy,
    target: &'a Target,
    terms: &'a Terms,
    /// The first denial that is told of and does not hold.
    reported: Option<Reason>,
}

impl<'a> Weighing<'a> {
    fn of(policy: &'a Policy, target: &'a Target, terms: &'a Terms) -> Self {
        Weighing {
            policy,
            target,
            terms,
            reported: None,
        }
    }

    fn decision(self, judged: Result<Grounds, Reason>) -> Decision {
        let denial = |reason| Denial {
            target: self.target.clone(),
            reason,
        };
        match (judged, self.reported) {
            (Err(reason), _) => Decision::Deny(denial(reason)),
            (Ok(_), Some(reason)) => Decision::Report(denial(reason)),
            (Ok(grounds), None) => Decision::Allow(grounds),
        }
    }

    /// A rule, or the want of one, is against it.
    fn by_rule(&mut self, reason: Reason) -> Result<(), Reason> {
        self.against(self.policy.parts.rule_mode, reason)
    }

    /// No rule is for it. One for the names below it may have been meant to be.
    fn by_no_rule(&mut self) -> Result<(), Reason> {
        let Target { host, port, .. } = self.target;
        let below = self.policy.allows.for_names_below(host, *port);
        let reason = match self.first(below, |_| true) {
            Some(rule) => Reason::OnlyBelow(self.policy.refer_to(rule)),
            None => Reason::NotAllowed,
        };
        self.by_rule(reason)
    }

    /// The place of its address is against it.
    fn by_space(&mut self, reason: Reason) -> Result<(), Reason> {
        self.against(self.policy.parts.address_mode, reason)
    }

    fn against(&mut self, mode: Mode, reason: Reason) -> Result<(), Reason> {
        match mode {
            Mode::Enforce => Err(reason),
            Mode::Report => {
                self.reported.get_or_insert(reason);
                Ok(())
            }
        }
    }

    /// A name that is not resolved yet.
    fn name(&mut self) -> Result<Grounds, Reason> {
        let (policy, target) = (self.policy, self.target);
        self.port_and_host(None)?;
        self.transport(None)?;
        if target.host.is_localhost() {
            let named = policy.private.for_host(&target.host, target.port);
            let by_range = LOOPBACKS
                .iter()
                .flat_map(|it| policy.private.for_address(*it, target.port));
            if named.chain(by_range).next().is_none() {
                self.by_space(Reason::Localhost)?;
            }
            return Ok(self.asked()?.unwrap_or(Grounds::Private));
        }
        if let Some(grounds) = self.asked_or_default()? {
            return Ok(grounds);
        }
        let whole = |rule: &Rule| rule.spaces.is_all();
        if let Some(rule) = self.rule_for_host(&policy.allows, whole) {
            return Ok(Grounds::Rule { line: rule.line });
        }
        // Which is known when it is resolved.
        let mut private = policy.private.for_host(&target.host, target.port);
        let mut ranges = policy.private.for_any_range(target.port);
        let by_address = private.next().is_some()
            || ranges.next().is_some()
            || self.rule_for_host(&policy.allows, |_| true).is_some()
            || self.may_be_in_a_range(&policy.allows);
        if !by_address {
            self.by_no_rule()?;
        }
        Ok(Grounds::Addresses)
    }

    /// No rule is against an address that the target is or has, and it is one
    /// that can be dialled.
    fn not_denied(&mut self, address: IpAddr) -> Result<(), Reason> {
        let target = self.target;
        let space = space_of(address);
        self.port_and_host(Some(space))?;
        if target.host.address().is_some_and(|it| it != address) {
            return Err(Reason::AnotherAddress(address));
        }
        // A deny rule also holds for the address that a translator would unwrap.
        let inner = embedded(address).into_iter().flatten().map(IpAddr::V4);
        for candidate in std::iter::once(address).chain(inner) {
            let in_space = |rule: &Rule| rule.spaces.contains(space);
            if let Some(rule) = self.rule_for_address(&self.policy.denies, candidate, in_space) {
                self.by_rule(Reason::Rule(self.policy.refer_to(rule)))?;
            }
        }
        if target.host.is_localhost() && space != AddressSpace::Loopback {
            return Err(Reason::LocalhostElsewhere(address));
        }
        if space == AddressSpace::Forbidden {
            return Err(Reason::Address { address, space });
        }
        Ok(())
    }

    /// An address that the target is or has.
    fn address(&mut self, address: IpAddr) -> Result<Grounds, Reason> {
        let space = space_of(address);
        self.not_denied(address)?;
        self.transport(Some(address))?;
        if !self.terms.spaces.contains(space) {
            return Err(Reason::OutsideGrant { address, space });
        }
        let private = self.is_private_allowed(address, space);
        match space {
            AddressSpace::Public => self.public(address, private),
            _ if private => Ok(self.asked()?.unwrap_or(Grounds::Private)),
            _ => {
                self.by_space(Reason::Address { address, space })?;
                self.public(address, false)
            }
        }
    }

    /// What its space does not decide.
    fn public(&mut self, address: IpAddr, private: bool) -> Result<Grounds, Reason> {
        if let Some(grounds) = self.asked_or_default()? {
            return Ok(grounds);
        }
        let space = space_of(address);
        let in_space = |rule: &Rule| rule.spaces.contains(space);
        let allows = &self.policy.allows;
        let rule = self
            .rule_for_host(allows, in_space)
            .or_else(|| self.rule_for_address(allows, address, in_space));
        match rule {
            Some(rule) => Ok(Grounds::Rule { line: rule.line }),
            None if private => Ok(Grounds::Private),
            None => {
                self.by_no_rule()?;
                Ok(Grounds::Default)
            }
        }
    }

    /// What holds for the port and the host as it is written; rules for some
    /// spaces only once the space is known.
    fn port_and_host(&mut self, space: Option<AddressSpace>) -> Result<(), Reason> {
        if is_blocked(self.target.port) {
            return Err(Reason::BlockedPort);
        }
        let applies = |rule: &Rule| match space {
            Some(space) => rule.spaces.contains(space),
            None => rule.spaces.is_all(),
        };
        match self.rule_for_host(&self.policy.denies, applies) {
            Some(rule) => self.by_rule(Reason::Rule(self.policy.refer_to(rule))),
            None => Ok(()),
        }
    }

    /// Datagrams want a rule that names them, in every mode; an allowed address, a
    /// private host or the default does not stand for one. Whether that rule's
    /// ranges and spaces hold is known with the address.
    fn transport(&self, address: Option<IpAddr>) -> Result<(), Reason> {
        if self.target.scheme != Scheme::Udp {
            return Ok(());
        }
        let allows = &self.policy.allows;
        let named = match address {
            None => {
                self.rule_for_host(allows, |_| true).is_some() || self.may_be_in_a_range(allows)
            }
            Some(address) => {
                let in_space = |rule: &Rule| rule.spaces.contains(space_of(address));
                let by_host = self.rule_for_host(allows, in_space);
                let rule = by_host.or_else(|| self.rule_for_address(allows, address, in_space));
                rule.is_some()
            }
        };
        match named {
            true => Ok(()),
            false => Err(Reason::NoDatagrams),
        }
    }

    fn asked_or_default(&self) -> Result<Option<Grounds>, Reason> {
        let by_default = self.policy.parts.default == Effect::Allow;
        let asked = self.asked()?;
        Ok(asked.or(by_default.then_some(Grounds::Default)))
    }

    /// Whether a rule wants it asked about, and whether it was.
    fn asked(&self) -> Result<Option<Grounds>, Reason> {
        match self.rule_for_host(&self.policy.asks, |_| true) {
            None => Ok(None),
            Some(_) if self.terms.confirmed => Ok(Some(Grounds::Confirmed)),
            Some(rule) => Err(Reason::Unconfirmed(self.policy.refer_to(rule))),
        }
    }

    fn is_private_allowed(&self, address: IpAddr, space: AddressSpace) -> bool {
        let Target { host, port, .. } = self.target;
        let private = &self.policy.private;
        let itself = host.address().is_some() || host.is_localhost();
        let by_range = space != AddressSpace::Loopback || itself;
        private.for_host(host, *port).next().is_some()
            || by_range && private.for_address(address, *port).next().is_some()
    }

    /// The first rule about the host as it is written.
    fn rule_for_host(&self, index: &'a Index, also: impl Fn(&Rule) -> bool) -> Option<&'a Rule> {
        let Target { host, port, .. } = self.target;
        self.first(index.for_host(host, *port), also)
    }

    /// Whether some rule is about a range.
    fn may_be_in_a_range(&self, index: &'a Index) -> bool {
        let entries = index.for_any_range(self.target.port);
        let rules = &self.policy.parts.rules;
        let mut rules = entries.filter_map(|at| rules.get(at as usize));
        rules.any(|rule| self.is_about_terms(rule))
    }

    /// The first rule about a range that holds the address.
    fn rule_for_address(
        &self,
        index: &'a Index,
        address: IpAddr,
        also: impl Fn(&Rule) -> bool,
    ) -> Option<&'a Rule> {
        self.first(index.for_address(address, self.target.port), also)
    }

    /// The one that was added first, so that the answer is always the same.
    fn first(
        &self,
        entries: impl Iterator<Item = u32>,
        also: impl Fn(&Rule) -> bool,
    ) -> Option<&'a Rule> {
        let rules = &self.policy.parts.rules;
        let numbered = entries.filter_map(|at| Some((at, rules.get(at as usize)?)));
        let matching = numbered.filter(|(_, rule)| self.is_about_terms(rule) && also(rule));
        matching.min_by_key(|(at, _)| *at).map(|(_, rule)| rule)
    }

    /// Whether a rule speaks of the scheme, the method and the client. Only a
    /// rule that denies speaks of datagrams without naming them.
    fn is_about_terms(&self, rule: &Rule) -> bool {
        let scheme = match (rule.effect, self.target.scheme) {
            (Effect::Allow | Effect::Ask, Scheme::Udp) => names(rule, Scheme::Udp),
            (_, scheme) => rule.schemes.is_empty() || names(rule, scheme),
        };
        scheme && is_about_asker(rule, self.terms)
    }
}

fn names(rule: &Rule, scheme: Scheme) -> bool {
    rule.schemes.iter().any(|it| it.names(&scheme))
}

/// Whether a rule speaks of who asks and how. Of a method that is not known, only
/// what denies does.
fn is_about_asker(rule: &Rule, terms: &Terms) -> bool {
    let method = || match &terms.method {
        Some(method) => rule.methods.contains(method),
        None => rule.effect == Effect::Deny,
    };
    let client = || {
        let client = terms.client.as_ref();
        client.is_some_and(|client| rule.clients.contains(client))
    };
    (rule.methods.is_empty() || method()) && (rule.clients.is_empty() || client())
}
