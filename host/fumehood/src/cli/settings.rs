//! The configuration, as the command's flags say where it is.

use fumehood::policy::PrivateHost;
use fumehood::{Settings, SettingsError, SettingsSource};

use super::args::Configuration;
use super::exit::{Exit, Failed};

/// Where settings come from.
pub(crate) fn source(args: &Configuration, private_hosts: &[PrivateHost]) -> SettingsSource {
    SettingsSource {
        file: args.config.clone(),
        private_hosts: private_hosts.to_vec(),
        dns_servers: Vec::new(),
        dnssec: false,
    }
}

/// The settings themselves.
pub(crate) fn load(source: &SettingsSource) -> Result<Settings, Failed> {
    Ok(Settings::load(source)?)
}

impl From<SettingsError> for Failed {
    fn from(error: SettingsError) -> Self {
        Failed::new(Exit::Configuration, error.to_string())
    }
}
