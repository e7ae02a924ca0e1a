//! `-x`, `-U`, `--noproxy` and the rest: the way out through proxies.

use fumehood::control::{TlsOptions, Verification};
use fumehood::policy::{ProxyScheme, ProxyServer, UserInfo};
use fumehood::{Proxies, ProxyAuth, UpstreamProxy};

use super::args::Way;
use super::exit::{Exit, Failed};

/// The proxies that the command line names; `None` where it names none.
pub(crate) fn proxies(way: &Way, tls: TlsOptions) -> Result<Option<Proxies>, Failed> {
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

/// Whether a proxy has a certificate to verify.
pub(crate) fn is_secure(way: &Way) -> bool {
    let https = |text: &String| {
        let name = text.split("://").next().unwrap_or_default();
        ProxyScheme::from_name(name) == Some(ProxyScheme::Https)
    };
    let mut all = way.proxy.iter().chain(&way.preproxy);
    !way.proxy_insecure && all.any(https)
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
