//! `-x`, `-U`, `--noproxy`, `--proxy-pac` and the rest: the way out through proxies.

use std::sync::Arc;

use fumehood::control::{MAX_WAYS, TlsOptions, TokenScheme, Verification};
use fumehood::policy::{
    Bypass, ProxyScheme, ProxyServer, ProxySettings, UserInfo, from_environment,
};
use fumehood::{EngineBuilder, Proxies, ProxyAuth, Settings, UpstreamProxy};

use super::args::{Chosen, From, Told, Upstream, Way};
use super::exit::{Exit, Failed};
use super::token_program::TokenProgram;

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
        match self {
            WayOut::Chain(proxies) => proxies.chain.iter().any(|it| is_https(it.server())),
            WayOut::Chosen(settings) => may_need_anchors(settings),
        }
    }
}

fn is_https(server: &ProxyServer) -> bool {
    server.scheme == ProxyScheme::Https
}

/// The same of what the configuration says.
pub(crate) fn may_need_anchors(settings: &ProxySettings) -> bool {
    *settings == ProxySettings::System
        || settings.has_script()
        || settings.named().iter().any(is_https)
}

/// The way out of `fetch`: by the command line, or else by the environment, unless
/// the configuration says it.
pub(crate) fn of_fetch(way: &Way, settings: &Settings) -> Result<Option<WayOut>, Failed> {
    if way.proxy.is_none() {
        nobody_to_tell(&way.told, "--proxy")?;
    }
    let noproxy = way.noproxy.as_deref();
    let said = chosen(&way.chosen, noproxy)?;
    let by_others = match &said {
        Some(_) => way.chosen.proxy_from != Some(From::Environment),
        None => settings.proxies.value.is_some(),
    };
    if noproxy.is_some() && way.proxy.is_none() && by_others {
        return Err(usage(
            "--noproxy goes with --proxy and with the variables; a script and the desktop \
             decide by themselves, and in the configuration proxy.bypass says it; -x \"\" goes \
             through none"
                .to_owned(),
        ));
    }
    match (&way.proxy, said) {
        (Some(_), _) => {
            let proxies = proxies(way, settings.tls())?;
            Ok(Some(WayOut::Chain(proxies.unwrap_or_default())))
        }
        (None, Some(settings)) => Ok(Some(WayOut::Chosen(settings))),
        (None, None) if settings.proxies.value.is_some() => Ok(None),
        (None, None) => Ok(Some(WayOut::Chosen(environment(noproxy)?))),
    }
}

/// The way out of `proxy`, where the command line says it. The environment is
/// looked at where that was asked for: its variables are for the proxy's clients,
/// and may name the proxy itself.
pub(crate) fn of_proxy(upstream: &Upstream) -> Result<Option<WayOut>, Failed> {
    if let Some(settings) = chosen(&upstream.chosen, None)? {
        nobody_to_tell(&upstream.told, "--upstream")?;
        return Ok(Some(WayOut::Chosen(settings)));
    }
    let Some((last, before)) = upstream.upstream.split_last() else {
        nobody_to_tell(&upstream.told, "--upstream")?;
        return Ok(None);
    };
    let mut chain = Vec::new();
    for text in before {
        chain.push(proxy("--upstream", text, None, auth(&upstream.told))?);
    }
    chain.push(last_proxy("--upstream", last, None, &upstream.told)?);
    let bypass = upstream.noproxy.as_deref().unwrap_or_default().parse();
    Ok(Some(WayOut::Chain(Proxies {
        chain,
        bypass: bypass.map_err(|why| usage(format!("--noproxy: {why}")))?,
        tunnel: false,
    })))
}

/// What is to choose, where something is; `noproxy` is said in place of what the
/// variables say.
fn chosen(chosen: &Chosen, noproxy: Option<&str>) -> Result<Option<ProxySettings>, Failed> {
    if chosen.proxy_fallback.len() > MAX_WAYS {
        return Err(usage(format!(
            "--proxy-fallback may be given at most {MAX_WAYS} times"
        )));
    }
    Ok(match (&chosen.proxy_pac, chosen.proxy_from) {
        (Some(source), _) => Some(ProxySettings::Pac {
            source: source.clone(),
            fallback: chosen
                .proxy_fallback
                .iter()
                .map(|it| it.0.clone())
                .collect(),
        }),
        (None, Some(From::Environment)) => Some(environment(noproxy)?),
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
        chain.push(proxy("--preproxy", text, None, auth(&way.told))?.tls(tls));
    }
    chain.push(last_proxy("--proxy", last, user, &way.told)?.tls(tls));
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

/// The last one of a way, which may be told who asks by tokens.
fn last_proxy(
    option: &str,
    text: &str,
    user: Option<UserInfo>,
    told: &Told,
) -> Result<UpstreamProxy, Failed> {
    let Some(program) = &told.proxy_auth_program else {
        return proxy(option, text, user, auth(told));
    };
    let refused = |why: String| usage(format!("{option}: {why}"));
    let (server, in_url) = ProxyServer::parse(text).map_err(|why| refused(why.to_string()))?;
    if user.or(in_url).is_some() {
        let why = "a proxy is told a name and a password, or what --proxy-auth-program says";
        return Err(refused(why.to_owned()));
    }
    let scheme = match told.proxy_ntlm {
        true => TokenScheme::Ntlm,
        false => TokenScheme::Negotiate,
    };
    UpstreamProxy::named(server)
        .tokens(scheme, Arc::new(TokenProgram(program.clone())))
        .map_err(|why| refused(why.to_string()))
}

fn auth(told: &Told) -> ProxyAuth {
    match told.proxy_digest {
        true => ProxyAuth::Digest,
        false => ProxyAuth::Basic,
    }
}

/// What is told is for proxies that are named one by one.
fn nobody_to_tell(told: &Told, option: &str) -> Result<(), Failed> {
    match told.is_said() {
        false => Ok(()),
        true => Err(usage(format!(
            "--proxy-basic, --proxy-digest and --proxy-auth-program go with {option} alone"
        ))),
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
