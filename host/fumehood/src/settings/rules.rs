//! From the tables of rules to a policy.

use std::ops::RangeInclusive;
use std::path::Path;

use fumehood_policy::{
    ANY_PORT, AddressSpace, ClientName, Effect, HostPattern, MAX_RULES, Method, Mode, Policy,
    PrivateHost, Rule, SchemeName, Spaces, TooManyRules,
};
use toml::Spanned;

use super::error::SettingsError;
use super::file::{Ports, RuleTable};
use super::layer::Layer;
use super::{Origin, SettingsSource, Value, pick};

/// The policy, and where its parts come from.
pub(super) struct Built {
    pub(super) policy: Policy,
    pub(super) allow_origin: Origin,
    pub(super) private_hosts: Vec<Value<PrivateHost>>,
    pub(super) mode: Value<Mode>,
    pub(super) address_mode: Value<Mode>,
}

/// Builds the policy of both layers and the flags.
pub(super) fn build(
    file: &Layer,
    environment: &Layer,
    source: &SettingsSource,
    path: Option<&Path>,
) -> Result<Built, SettingsError> {
    let table = &file.file.policy;
    let both = [environment, file];
    let mode = pick(
        both,
        |it| it.policy.mode.as_ref(),
        |it| Mode::from(*it),
        Mode::Enforce,
    );
    let address_mode = pick(
        both,
        |it| it.policy.address_mode.as_ref(),
        |it| Mode::from(*it),
        Mode::Enforce,
    );
    let mut policy = match &table.allow {
        Some(_) => Policy::deny_by_default(),
        None => Policy::default(),
    };
    policy.set_modes(mode.value, address_mode.value);
    if let Some(path) = path {
        policy.set_file(path.display().to_string());
    }
    let allow = table.allow.iter().flatten();
    for (effect, rules) in [
        (Effect::Allow, allow.collect::<Vec<_>>()),
        (Effect::Deny, table.deny.iter().collect()),
        (Effect::Ask, table.ask.iter().collect()),
    ] {
        for rule in rules {
            add_rule(&mut policy, file, effect, rule)?;
        }
    }
    let private_hosts = private_hosts(&mut policy, file, environment, source)?;
    let first = table.allow.as_ref().map(|rules| rules.first());
    let allow_origin = match first {
        None => Origin::Default,
        Some(rule) => rule.map_or(Origin::File { line: 0 }, |rule| file.origin(&rule.span())),
    };
    Ok(Built {
        policy,
        allow_origin,
        private_hosts,
        mode,
        address_mode,
    })
}

/// A table with every value of it good.
struct Parts {
    hosts: Option<Vec<HostPattern>>,
    schemes: Option<Vec<SchemeName>>,
    ports: Option<Vec<RangeInclusive<u16>>>,
    methods: Option<Vec<Method>>,
    clients: Option<Vec<ClientName>>,
    spaces: Option<Vec<AddressSpace>>,
}

impl Parts {
    fn of(layer: &Layer, table: &RuleTable) -> Result<Self, SettingsError> {
        let ports = |ports: &Vec<Ports>| {
            let ports = ports.iter().map(|it| Ok(layer.value(&it.0)?.0));
            ports.collect::<Result<Vec<_>, SettingsError>>()
        };
        Ok(Parts {
            hosts: layer.values(table.hosts.as_ref())?,
            schemes: layer.values(table.schemes.as_ref())?,
            ports: table.ports.as_ref().map(ports).transpose()?,
            methods: layer.values(table.methods.as_ref())?,
            clients: layer.values(table.clients.as_ref())?,
            spaces: layer.values(table.spaces.as_ref())?,
        })
    }

    /// The first key that has an empty list.
    fn empty(&self) -> Option<&'static str> {
        fn is_empty<T>(list: Option<&Vec<T>>) -> bool {
            list.is_some_and(Vec::is_empty)
        }
        let lists = [
            ("hosts", is_empty(self.hosts.as_ref())),
            ("schemes", is_empty(self.schemes.as_ref())),
            ("ports", is_empty(self.ports.as_ref())),
            ("methods", is_empty(self.methods.as_ref())),
            ("clients", is_empty(self.clients.as_ref())),
            ("spaces", is_empty(self.spaces.as_ref())),
        ];
        lists.iter().find(|(_, empty)| *empty).map(|(key, _)| *key)
    }

    /// What its writer cannot have meant.
    fn check(&self, effect: Effect) -> Result<(), String> {
        if let (Effect::Deny | Effect::Ask, Some(key)) = (effect, self.empty()) {
            return Err(format!(
                "with an empty list of {key} this rule would match nothing and so let everything \
                 through; leave {key} out to match all"
            ));
        }
        let is_range =
            |it: &HostPattern| matches!(it, HostPattern::Net(net) if net.single().is_none());
        let mut hosts = self.hosts.iter().flatten();
        if effect == Effect::Ask && (self.spaces.is_some() || hosts.any(is_range)) {
            return Err(
                "what is asked about is asked before its name is resolved: name hosts, \
                        and neither ranges of addresses nor spaces"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// As many rules as it has hosts times ports, or one more than there may be.
    fn rules(self, effect: Effect, line: u32) -> Vec<Rule> {
        if self.empty().is_some() {
            return Vec::new();
        }
        let schemes = self.schemes.unwrap_or_default();
        let spaces = self.spaces.map_or(Spaces::ALL, |them| Spaces::of(&them));
        let (methods, clients) = (
            self.methods.unwrap_or_default(),
            self.clients.unwrap_or_default(),
        );
        let ports = self.ports.unwrap_or_else(|| vec![ANY_PORT]);
        let hosts = self.hosts.unwrap_or_else(|| vec![HostPattern::Any]);
        let mut rules = Vec::new();
        for host in hosts {
            for ports in &ports {
                if rules.len() > MAX_RULES {
                    return rules;
                }
                rules.push(Rule {
                    effect,
                    schemes: schemes.clone(),
                    host: host.clone(),
                    ports: ports.clone(),
                    methods: methods.clone(),
                    clients: clients.clone(),
                    spaces,
                    line,
                });
            }
        }
        rules
    }
}

fn add_rule(
    policy: &mut Policy,
    layer: &Layer,
    effect: Effect,
    table: &Spanned<RuleTable>,
) -> Result<(), SettingsError> {
    let span = table.span();
    let refused = |message: String| layer.refused(&span, message);
    let parts = Parts::of(layer, table.get_ref())?;
    parts.check(effect).map_err(refused)?;
    let line = match layer.origin(&span) {
        Origin::File { line } => line,
        Origin::Default | Origin::Environment(_) | Origin::Flag(_) => 0,
    };
    for rule in parts.rules(effect, line) {
        policy.add_rule(rule).map_err(|e| refused(e.to_string()))?;
    }
    Ok(())
}

/// Those of the file, of the environment and of flags; each adds to the others.
fn private_hosts(
    policy: &mut Policy,
    file: &Layer,
    environment: &Layer,
    source: &SettingsSource,
) -> Result<Vec<Value<PrivateHost>>, SettingsError> {
    let mut all = Vec::new();
    for layer in [file, environment] {
        for host in layer.file.policy.private_hosts.iter().flatten() {
            let value = layer.value(host)?;
            let added = policy.allow_private(value.clone());
            added.map_err(|e| layer.refused(&host.span, e.to_string()))?;
            let origin = layer.origin(&host.span);
            all.push(Value { value, origin });
        }
    }
    for host in &source.private_hosts {
        let full = |e: TooManyRules| SettingsError::Flag {
            name: "--allow-private",
            message: e.to_string(),
        };
        policy.allow_private(host.clone()).map_err(full)?;
        all.push(Value {
            value: host.clone(),
            origin: Origin::Flag("--allow-private"),
        });
    }
    Ok(all)
}
