//! From the table `[modules]` to which modules of files are taken.

use std::path::PathBuf;

use super::error::SettingsError;
use super::file::OnChangeName;
use super::layer::Layer;
use super::{Origin, SettingsSource, Value, list, pick};
use crate::modules::{MAX_KEYS, MAX_PINS};
use crate::{ModuleKey, ModulePin, ModuleTrust, OnChange};

/// Modules of files: where they are, and which are taken. Read when an engine is
/// launched.
#[derive(Clone, Debug)]
pub struct ModuleSettings {
    /// The directory that is watched; `None` for none.
    pub directory: Value<Option<PathBuf>>,
    /// What becomes of a file there.
    pub on_change: Value<OnChange>,
    /// Whose signatures are believed.
    pub keys: Value<Vec<ModuleKey>>,
    /// Whether what none of them signed is refused. Default where there are keys.
    pub required: Value<bool>,
    /// The only digests of some names.
    pub pins: Value<Vec<ModulePin>>,
    /// Where the newest version that was ever taken is remembered; older ones are
    /// refused. `None` for nowhere.
    pub accepted_versions: Value<Option<PathBuf>>,
}

impl ModuleSettings {
    /// Which are taken, where somebody said anything about that.
    #[must_use]
    pub fn trust(&self) -> Option<ModuleTrust> {
        let origins = [
            self.keys.origin,
            self.required.origin,
            self.pins.origin,
            self.accepted_versions.origin,
        ];
        if origins == [Origin::Default; 4] {
            return None;
        }
        let keys = self.keys.value.iter().copied();
        let mut trust = keys.fold(ModuleTrust::new(), ModuleTrust::key);
        if self.required.value {
            trust = trust.signed_only();
        }
        for pin in &self.pins.value {
            trust = trust.pin(pin.name(), *pin.digest());
        }
        Some(match &self.accepted_versions.value {
            Some(file) => trust.no_older(file),
            None => trust,
        })
    }
}

pub(super) fn build(
    file: &Layer,
    environment: &Layer,
    source: &SettingsSource,
) -> Result<ModuleSettings, SettingsError> {
    let both = [environment, file];
    let keys = match source.module_keys.is_empty() {
        true => list(both, |it| filled(it.modules.keys.as_ref()), MAX_KEYS)?,
        false => Some(Value {
            value: source.module_keys.clone(),
            origin: Origin::Flag("--module-key"),
        }),
    };
    let keys = keys.unwrap_or_default();
    Ok(ModuleSettings {
        directory: pick(
            both,
            |it| it.modules.directory.as_ref(),
            |it| Some(it.clone()),
            None,
        ),
        on_change: pick(
            both,
            |it| it.modules.on_change.as_ref(),
            |it| match it {
                OnChangeName::Candidate => OnChange::Candidate,
                OnChangeName::Swap => OnChange::Swap,
            },
            OnChange::default(),
        ),
        required: required(both, &keys)?,
        keys,
        pins: list(both, |it| filled(it.modules.pins.as_ref()), MAX_PINS)?.unwrap_or_default(),
        accepted_versions: pick(
            both,
            |it| it.modules.accepted_versions.as_ref(),
            |it| Some(it.clone()),
            None,
        ),
    })
}

/// A list with something in it. An empty one is as if it were not there, lest a variable
/// without a value has every module believed.
fn filled<T>(list: Option<&Vec<T>>) -> Option<&Vec<T>> {
    list.filter(|all| !all.is_empty())
}

/// Whether signatures have to be there. A flag's key is for those that it signed
/// alone, and without any key nothing could be taken.
fn required(
    layers: [&Layer; 2],
    keys: &Value<Vec<ModuleKey>>,
) -> Result<Value<bool>, SettingsError> {
    let there_are = !keys.value.is_empty();
    if let Origin::Flag(_) = keys.origin {
        return Ok(Value {
            value: true,
            origin: keys.origin,
        });
    }
    for layer in layers {
        let Some(said) = &layer.file.modules.required else {
            continue;
        };
        if *said.get_ref() && !there_are {
            let message = "no signature is believed without modules.keys, so nothing could be \
                           taken: name the keys too";
            return Err(layer.refused(&said.span(), message.to_owned()));
        }
        return Ok(Value {
            value: *said.get_ref(),
            origin: layer.origin(&said.span()),
        });
    }
    Ok(Value {
        value: there_are,
        origin: Origin::Default,
    })
}
