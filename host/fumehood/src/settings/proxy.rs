//! From the table `[proxy]` to the way out.

use toml::Spanned;

use fumehood_control::MAX_WAYS;
use fumehood_policy::{
    Bypass, FixedProxies, PacSource, ProxyServer, ProxySettings, Route, from_environment,
};

use super::error::SettingsError;
use super::file::{ProxyAuthName, ProxyModeName, ProxyTable};
use super::layer::Layer;
use super::{Origin, Value};

/// A key of the table, in the first layer that has it.
struct Said<'a, T> {
    layer: &'a Layer,
    value: &'a T,
}

/// The way out, where a layer speaks of it.
pub(super) fn build(
    file: &Layer,
    environment: &Layer,
) -> Result<Value<Option<ProxySettings>>, SettingsError> {
    let nothing = Layer::default();
    // What the file says goes with the mode that it says.
    let file = match environment.file.proxy.mode {
        Some(_) => &nothing,
        None => file,
    };
    let both = [environment, file];
    let url = said(both, |it| it.url.as_ref());
    let fallback = said(both, |it| it.fallback.as_ref());
    let bypass = said(both, |it| it.bypass.as_ref());
    let auth = said(both, |it| it.auth.as_ref());
    let Some(Said { layer, value: mode }) = said(both, |it| it.mode.as_ref()) else {
        return match url {
            Some(url) => Err(url.refused("proxy.url says nothing without proxy.mode")),
            None => Ok(Value {
                value: None,
                origin: Origin::Default,
            }),
        };
    };
    let refused = |why: &str| layer.refused(&mode.span(), why.to_owned());
    let named = *mode.get_ref();
    let is_script = matches!(named, ProxyModeName::Pac | ProxyModeName::Wpad);
    if let Some(url) = &url
        && !matches!(named, ProxyModeName::Fixed | ProxyModeName::Pac)
    {
        return Err(url.refused("proxy.url goes with the modes \"fixed\" and \"pac\" alone"));
    }
    if fallback.is_some() && !is_script {
        return Err(refused(
            "proxy.fallback goes with the modes \"pac\" and \"wpad\" alone",
        ));
    }
    if bypass.is_some() && named != ProxyModeName::Fixed {
        return Err(refused("proxy.bypass goes with the mode \"fixed\" alone"));
    }
    if auth.is_some() && named != ProxyModeName::Fixed {
        return Err(refused("proxy.auth goes with the mode \"fixed\" alone"));
    }
    let ways = match fallback {
        Some(Said { layer, value }) => layer.values(Some(value))?.unwrap_or_default(),
        None => Vec::new(),
    };
    if ways.len() > MAX_WAYS {
        return Err(refused(&format!(
            "proxy.fallback has at most {MAX_WAYS} ways"
        )));
    }
    let fallback: Vec<Route> = ways.into_iter().map(|it| it.0).collect();
    let settings = match (named, url) {
        (ProxyModeName::Direct, _) => ProxySettings::Direct,
        (ProxyModeName::System, _) => ProxySettings::System,
        (ProxyModeName::Environment, _) => {
            let read = from_environment(|name| std::env::var(name).ok());
            read.map_err(|why| refused(&why.to_string()))?
        }
        (ProxyModeName::Wpad, _) => ProxySettings::Wpad { fallback },
        (ProxyModeName::Fixed | ProxyModeName::Pac, None) => {
            return Err(refused("this mode wants proxy.url"));
        }
        (ProxyModeName::Pac, Some(url)) => ProxySettings::Pac {
            source: url.read(str::parse::<PacSource>)?,
            fallback,
        },
        (ProxyModeName::Fixed, Some(url)) => {
            let (server, user) = url.read(ProxyServer::parse)?;
            ProxySettings::Fixed(FixedProxies {
                credentials: user
                    .map(|user| (server.clone(), user))
                    .into_iter()
                    .collect(),
                other: vec![server],
                digest: auth.is_some_and(|it| *it.value.get_ref() == ProxyAuthName::Digest),
                bypass: match bypass {
                    Some(Said { layer, value }) => {
                        let entries = layer.values(Some(value))?.unwrap_or_default();
                        let entries: Vec<String> = entries.into_iter().map(|it| it.0).collect();
                        Bypass::parse(&entries.join(","))
                            .map_err(|why| refused(&why.to_string()))?
                    }
                    None => Bypass::default(),
                },
                ..FixedProxies::default()
            })
        }
    };
    Ok(Value {
        value: Some(settings),
        origin: layer.origin(&mode.span()),
    })
}

fn said<'a, T>(
    layers: [&'a Layer; 2],
    find: impl Fn(&'a ProxyTable) -> Option<&'a T>,
) -> Option<Said<'a, T>> {
    layers.into_iter().find_map(|layer| {
        let value = find(&layer.file.proxy)?;
        Some(Said { layer, value })
    })
}

impl Said<'_, Spanned<String>> {
    fn refused(&self, why: &str) -> SettingsError {
        self.layer.refused(&self.value.span(), why.to_owned())
    }

    fn read<T, E: std::fmt::Display>(
        &self,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, SettingsError> {
        read(self.value.get_ref()).map_err(|why| self.refused(&why.to_string()))
    }
}
