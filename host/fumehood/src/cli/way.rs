//! `-x`, `-U`, `--noproxy`, `--proxy-pac` and the rest: the way out through proxies.

use std::str::FromStr;

use fumehood::control::{TlsOptions, Verification};
use fumehood::policy::{
    Bypass, ProxyError, ProxyScheme, ProxyServer, ProxySettings, Route, UserInfo, from_environment,
};
use fumehood::{EngineBuilder, Proxies, ProxyAuth, UpstreamProxy};

use super::args::{Chosen, From, Upstream, Way};
use super::exit::{Exit, Failed};

/// A way to go where a script fails.
#[derive(Clone, Debug)]
pub(crate) struct Fallback(Route);

impl FromStr for Fallback {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        Ok(Fallback(match text {
            "direct" => Route::Direct,
            text => Route::Proxy(text.parse()?),
        }))
    }
}

/// The way out that a command line says.
#[derive(Debug)]
pub(crate) enum WayOut {
    /// Through these, or through none.
    Chain(Proxies),
    /// It is chosen for each request.
    Chosen(ProxySettings),
}

impl WayOut {
    /// Has an engine go it.
    pub(crate) fn put_into(self, builder: EngineBuilder) -> EngineBuilder {
        match self {
            WayOut::Chain(proxies) => builder.proxies(proxies),
            WayOut::Chosen(settings) => builder.proxy_settings(settings),
        }
    }

    /// Whether a certificate may have to be verified that is not the target's.
    pub(crate) fn needs_anchors(&self) -> bool {
        let https = |server: &ProxyServer| server.scheme == ProxyScheme::Https;
        match self {
            WayOut::Chain(proxies) => proxies.chain.iter().any(|it| https(it.server())),
            WayOut::Chosen(ProxySettings::System) => true,
            WayOut::Chosen(settings) => settings.has_script() || settings.named().iter().any(https),
        }
    }
}

/// The way out of `fetch`: by the command line, or else by the environment.
pub(crate) fn of_fetch(way: &Way, tls: TlsOptions) -> Result<WayOut, Failed> {
    match (&way.proxy, chosen(&way.chosen)?) {
        (Some(_), _) => Ok(WayOut::Chain(proxies(way, tls)?.unwrap_or_default())),
        (None, Some(settings)) => Ok(WayOut::Chosen(settings)),
        (None, None) => Ok(WayOut::Chosen(environment(way.noproxy.as_deref())?)),
    }
}

/// The way out of `proxy`. The environment is looked at where that was asked for:
/// its variables are for the proxy's clients, and may name the proxy itself.
pub(crate) fn of_proxy(upstream: &Upstream) -> Result<WayOut, Failed> {
    if let Some(settings) = chosen(&upstream.chosen)? {
        return Ok(WayOut::Chosen(settings));
    }
    let chain = upstream.upstream.iter();
    let chain = chain.map(|text| proxy("--upstream", text, None, ProxyAuth::Basic));
    let bypass = upstream.noproxy.as_deref().unwrap_or_default().parse();
    Ok(WayOut::Chain(Proxies {
        chain: chain.collect::<Result<_, _>>()?,
        bypass: bypass.map_err(|why| usage(format!("--noproxy: {why}")))?,
        tunnel: false,
    }))
}

/// What is to choose, where something is.
fn chosen(chosen: &Chosen) -> Result<Option<ProxySettings>, Failed> {
    Ok(match (&chosen.proxy_pac, chosen.proxy_from) {
        (Some(source), _) => Some(ProxySettings::Pac {
            source: source.clone(),
            fallback: chosen
                .proxy_fallback
                .iter()
                .map(|it| it.0.clone())
                .collect(),
        }),
        (None, Some(From::Environment)) => Some(environment(None)?),
        (None, Some(From::System)) => Some(ProxySettings::System),
        (None, None) => None,
    })
}

/// What the variables say; `noproxy` is said in place of theirs.
fn environment(noproxy: Option<&str>) -> Result<ProxySettings, Failed> {
    let refused = |why: String| Failed::new(Exit::Configuration, why);
    let said = |name: &str| match name {
        "no_proxy" | "NO_PROXY" if noproxy.is_some() => None,
        name => std::env::var(name).ok(),
    };
    let mut settings = from_environment(said).map_err(|why| refused(why.to_string()))?;
    if let (ProxySettings::Fixed(fixed), Some(list)) = (&mut settings, noproxy) {
        let bypass = Bypass::parse_no_proxy(list);
        fixed.bypass = bypass.map_err(|why| usage(format!("--noproxy: {why}")))?;
    }
    Ok(settings)
}

/// The proxies that the command line names; `None` where it names none.
fn proxies(way: &Way, tls: TlsOptions) -> Result<Option<Proxies>, Failed> {
    let Some(last) = way.proxy.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let auth = match way.proxy_digest {
        true => ProxyAuth::Digest,
        false => ProxyAuth::Basic,
    };
    let tls = TlsOptions {
        verification: match way.proxy_insecure {
            true => Verification::None,
            false => Verification::Full,
        },
        ..tls
    };
    let user = way.proxy_user.as_deref().map(user_info).transpose()?;
    let mut chain = Vec::new();
    for text in &way.preproxy {
        chain.push(proxy("--preproxy", text, None, auth)?.tls(tls));
    }
    chain.push(proxy("--proxy", last, user, auth)?.tls(tls));
    let bypass = way.noproxy.as_deref().unwrap_or_default().parse();
    Ok(Some(Proxies {
        chain,
        bypass: bypass.map_err(|why| usage(format!("--noproxy: {why}")))?,
        tunnel: way.proxytunnel,
    }))
}

/// `user`, as given apart, is said in place of what the URL says.
fn proxy(
    option: &str,
    text: &str,
    user: Option<UserInfo>,
    auth: ProxyAuth,
) -> Result<UpstreamProxy, Failed> {
    let (server, in_url) =
        ProxyServer::parse(text).map_err(|why| usage(format!("{option}: {why}")))?;
    let proxy = UpstreamProxy::named(server);
    match user.or(in_url) {
        None => Ok(proxy),
        Some(user) => proxy
            .login(user, auth)
            .map_err(|why| usage(format!("{option}: {why}"))),
    }
}

/// The name ends at the first colon (RFC 7617 section 2).
fn user_info(text: &str) -> Result<UserInfo, Failed> {
    let (name, password) = text.split_once(':').unwrap_or((text, ""));
    if text.contains(|it: char| it.is_control()) {
        return Err(usage("--proxy-user has control characters".to_owned()));
    }
    Ok(UserInfo {
        username: name.as_bytes().to_vec(),
        password: password.as_bytes().to_vec(),
    })
}

fn usage(why: String) -> Failed {
    Failed::new(Exit::Usage, why)
}
