//! The configuration, as the command's flags say where it is.

use fumehood::{Settings, SettingsError, SettingsSource};

use super::args::{Configuration, Permissions};
use super::exit::{Exit, Failed};

/// Where settings come from.
pub(crate) fn source(said: &Permissions) -> SettingsSource {
    SettingsSource {
        private_hosts: said.allow_private.clone(),
        ..of_file(&said.configuration)
    }
}

/// The same, with no private hosts but those of the configuration.
pub(crate) fn of_file(said: &Configuration) -> SettingsSource {
    SettingsSource {
        file: said.config.clone(),
        private_hosts: Vec::new(),
        dns_servers: Vec::new(),
        dnssec: false,
        module_keys: Vec::new(),
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
