//! Proxies to go through: which, for what, and who is said to ask.

mod answer;
mod conversations;
mod digest;
mod exempt;
mod token;

use std::fmt;
use std::sync::Arc;

use fumehood_control::{
    Challenge, Exchange, Field, FirstHop, Hop, HopAsk, MAX_HOPS, PayloadLength, SocksLogin,
    TlsOptions, TokenScheme, Verification,
};
use fumehood_policy::{Naming, ProxyScheme, ProxyServer, Scheme, Target, UserInfo};

pub(crate) use answer::Answers;
pub(crate) use conversations::TokenDesk;
pub use exempt::{Exempt, ExemptError};
use token::Tokens;
pub use token::{TokenConversation, TokenError, TokenFuture, TokenSource};

/// Longest name and longest password for SOCKS, in bytes (RFC 1929 section 2).
const MAX_SOCKS_LOGIN_BYTES: usize = 255;

/// The way out: proxies in a row, and what goes past them. Put it into
/// [`crate::Options::proxies`], or [`crate::EngineBuilder::proxies`] for all
/// requests. The default is no proxy.
///
/// Proxies see and say to whom requests go, and of http all of it. A name that a
/// proxy resolves has no address here that the policy could judge: it is judged
/// by its name alone, and one that only its addresses could allow is denied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// In the order they are passed; at most [`MAX_HOPS`].
    pub chain: Vec<UpstreamProxy>,
    /// Targets that are connected to without them.
    pub bypass: Exempt,
    /// Ask for a tunnel where the request itself could go to the proxy: http
    /// targets at an HTTP proxy. Default no.
    pub tunnel: bool,
}

/// One proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamProxy {
    server: ProxyServer,
    naming: Naming,
    who: Option<Who>,
    tls: Option<TlsOptions>,
}

/// Who is said to ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    Login(Login),
    Tokens(Tokens),
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Login {
    user: UserInfo,
    scheme: ProxyAuth,
}

/// Keeps it out of logs.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// How an HTTP proxy is told who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProxyAuth {
    /// Name and password as they are (RFC 7617), with the first request. Whoever
    /// can read the way to the proxy reads them.
    #[default]
    Basic,
    /// Proof of knowing them (RFC 7616, SHA-256 or MD5), once the proxy has asked.
    Digest,
}

/// Why a proxy cannot be used so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxiesError {
    /// More than [`MAX_HOPS`].
    #[error("a way has at most {MAX_HOPS} proxies")]
    TooMany,
    /// A script's word is not enough for that.
    #[error("a proxy that a script named is not told who asks")]
    ScriptLogin,
    /// SOCKS has no room for it.
    #[error(
        "a name or password for SOCKS has at most {MAX_SOCKS_LOGIN_BYTES} bytes, and SOCKS 4 has \
         a name alone"
    )]
    SocksLogin,
    /// SOCKS has no room for tokens (RFC 1961 is not spoken).
    #[error("a SOCKS proxy takes no Negotiate and no NTLM")]
    SocksTokens,
    /// It opens sockets of its own.
    #[error("a driver's scheme does not go through proxies; exempt its host from them")]
    Driver,
}

impl UpstreamProxy {
    /// A proxy that the user named, in a flag, a file or a dialog. That is leave
    /// to connect to it wherever it is, unless a rule of the policy denies it.
    #[must_use]
    pub fn named(server: ProxyServer) -> Self {
        Self::of(server, Naming::User)
    }

    /// A proxy that a PAC script named. It is judged as any target is, and is
    /// never told who asks.
    #[must_use]
    pub fn nominated(server: ProxyServer) -> Self {
        Self::of(server, Naming::Script)
    }

    fn of(server: ProxyServer, naming: Naming) -> Self {
        UpstreamProxy {
            server,
            naming,
            who: None,
            tls: None,
        }
    }

    /// Says who asks. SOCKS proxies are told the name and the password (RFC
    /// 1929), or, of version 4, the name.
    ///
    /// # Errors
    /// [`ProxiesError::ScriptLogin`] and [`ProxiesError::SocksLogin`].
    pub fn login(mut self, user: UserInfo, scheme: ProxyAuth) -> Result<Self, ProxiesError> {
        if self.naming == Naming::Script {
            return Err(ProxiesError::ScriptLogin);
        }
        if !self.server.scheme.is_http() {
            let long = user.username.len().max(user.password.len()) > MAX_SOCKS_LOGIN_BYTES;
            let v4 = matches!(
                self.server.scheme,
                ProxyScheme::Socks4 | ProxyScheme::Socks4a
            );
            if long || user.username.is_empty() || v4 && !user.password.is_empty() {
                return Err(ProxiesError::SocksLogin);
            }
        }
        self.who = Some(Who::Login(Login { user, scheme }));
        Ok(self)
    }

    /// Says who asks by tokens that `source` makes, in this process, for each
    /// connection to the proxy: Negotiate (RFC 4559) or NTLM. The connection is then
    /// used by those who go through this very proxy of theirs and by nobody else.
    /// The first token goes unasked. A proxy that is asked for http content itself
    /// is told before that, by an OPTIONS to the same origin.
    ///
    /// What a source says no to ends the request with
    /// [`fumehood_control::TokenFault`] in its cause; nothing of it was sent.
    ///
    /// # Errors
    /// [`ProxiesError::ScriptLogin`] and [`ProxiesError::SocksTokens`].
    pub fn tokens(
        mut self,
        scheme: TokenScheme,
        source: Arc<dyn TokenSource>,
    ) -> Result<Self, ProxiesError> {
        if self.naming == Naming::Script {
            return Err(ProxiesError::ScriptLogin);
        }
        if !self.server.scheme.is_http() {
            return Err(ProxiesError::SocksTokens);
        }
        self.who = Some(Who::Tokens(Tokens::new(scheme, source)));
        Ok(self)
    }

    /// Sets how TLS is spoken with an https proxy. Default as with servers, but
    /// always with its certificate verified.
    #[must_use]
    pub fn tls(mut self, tls: TlsOptions) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Where it is.
    #[must_use]
    pub fn server(&self) -> &ProxyServer {
        &self.server
    }
}

impl Proxies {
    /// One proxy for everything.
    #[must_use]
    pub fn through(proxy: UpstreamProxy) -> Self {
        Proxies {
            chain: vec![proxy],
            ..Proxies::default()
        }
    }

    /// The way to a target; `None` where it leads past all proxies.
    pub(crate) fn way_to(&self, target: &Target) -> Result<Option<Way<'_>>, ProxiesError> {
        if self.chain.is_empty() || self.bypass.has(&target.host) {
            return Ok(None);
        }
        if self.chain.len() > MAX_HOPS {
            return Err(ProxiesError::TooMany);
        }
        if matches!(target.scheme, Scheme::Served(_) | Scheme::Udp) {
            return Err(ProxiesError::Driver);
        }
        Ok(Some(Way {
            chain: &self.chain,
            tunnel: self.tunnel,
        }))
    }
}

/// The proxies to one target, at least one.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    chain: &'a [UpstreamProxy],
    tunnel: bool,
}

/// What the proxies of a way are asked.
#[derive(Default)]
pub(crate) struct Led {
    pub(crate) via: Vec<Hop>,
    /// What the request has besides, for a last proxy that is asked itself.
    pub(crate) fields: Vec<Field>,
}

impl Way<'_> {
    /// What the broker dials.
    pub(crate) fn first(&self) -> Option<FirstHop> {
        let (first, last) = (self.chain.first()?, self.chain.last()?);
        Some(FirstHop {
            server: first.server.clone(),
            naming: first.naming,
            unseen: !last.server.scheme.wants_address(),
        })
    }

    /// Whether a proxy may want proof of who asks.
    pub(crate) fn proves(&self) -> bool {
        self.chain.iter().any(UpstreamProxy::proves)
    }

    /// Whether the last proxy resolves the target's name.
    pub(crate) fn is_unseen(&self) -> bool {
        self.first().is_some_and(|first| first.unseen)
    }

    /// Targets whose names have to be resolved on the way, for proxies that are
    /// told addresses alone.
    pub(crate) fn resolved(&self, target: &Target) -> Vec<Target> {
        let behind = self.chain.iter().skip(1);
        let behind = behind.map(|proxy| proxy.server.as_target());
        let told = behind.chain([target.clone()]);
        let asked = self.chain.iter().map(|proxy| proxy.server.scheme);
        asked
            .zip(told)
            .filter(|(scheme, _)| scheme.wants_address())
            .map(|(_, target)| target)
            .collect()
    }

    /// Puts the way into an exchange whose `path` is in origin-form.
    pub(crate) fn lead(&self, exchange: &mut Exchange, answers: &Answers) {
        let sought = Sought {
            method: &exchange.method,
            target: &exchange.target,
            path: &exchange.path,
            tunnel: false,
            content: exchange.payload != PayloadLength::None,
            spent: false,
        };
        let Led { via, fields } = self.led(&sought, exchange.tls, answers);
        if matches!(via.last(), Some(hop) if matches!(hop.ask, HopAsk::Request { .. })) {
            exchange.path = format!("{}{}", exchange.target, exchange.path);
        }
        exchange.fields.extend(fields);
        exchange.via = via;
    }

    /// What each proxy is asked for a request.
    pub(crate) fn led(&self, sought: &Sought<'_>, tls: TlsOptions, answers: &Answers) -> Led {
        let &Sought { target, path, .. } = sought;
        let last = self.chain.len() - 1;
        let is_asked = target.scheme == Scheme::Http && !self.tunnel && !sought.tunnel;
        let mut led = Led::default();
        for (at, proxy) in self.chain.iter().enumerate() {
            let direct = at == last && is_asked && proxy.server.scheme.is_http();
            let (method, uri) = match (direct, self.chain.get(at + 1)) {
                (true, _) => (sought.method, format!("{target}{path}")),
                (false, Some(next)) => ("CONNECT", next.server.as_target().host_and_port()),
                (false, None) => ("CONNECT", target.host_and_port()),
            };
            let authorization = match sought.spent {
                true => None,
                false => proxy.authorization(method, &uri, answers),
            };
            let ask = if direct {
                let proves = proxy.proves();
                let ahead = sought.content && proves && authorization.is_none();
                led.fields.extend(authorization);
                HopAsk::Request {
                    hold_challenge: proves,
                    ahead,
                }
            } else if proxy.server.scheme.is_http() {
                HopAsk::Connect {
                    fields: authorization.into_iter().collect(),
                }
            } else {
                HopAsk::Socks {
                    login: proxy.login_said().map(|login| SocksLogin {
                        name: login.user.username.clone(),
                        password: login.user.password.clone(),
                    }),
                }
            };
            led.via.push(Hop {
                server: proxy.server.clone(),
                ask,
                tls: proxy.tls.unwrap_or(TlsOptions {
                    verification: Verification::Full,
                    ..tls
                }),
                partition: answers.partition_of(proxy.who.as_ref()),
                tokens: proxy.note_tokens(answers),
            });
        }
        led
    }

    /// Takes in what a proxy of the way said with a 407, after `round` before it to
    /// this request. True where asking once more could help: with that, or on another
    /// connection where this one was told who asks and the proxy forgot.
    pub(crate) fn learn(
        &self,
        server: &ProxyServer,
        (challenges, round): (&[Challenge], u8),
        answers: &Answers,
    ) -> bool {
        let proxy = self.chain.iter().find(|it| it.server == *server);
        match proxy.and_then(|it| it.who.as_ref()) {
            Some(Who::Login(login)) if login.scheme == ProxyAuth::Digest => {
                answers.learn(server, login, challenges, round)
            }
            Some(Who::Tokens(_)) => round == 0,
            Some(Who::Login(_)) | None => false,
        }
    }
}

/// A request, as far as proxies are asked for it.
pub(crate) struct Sought<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a Target,
    /// In origin-form.
    pub(crate) path: &'a str,
    /// Proxies lead to the target itself in any case.
    pub(crate) tunnel: bool,
    /// It has content.
    pub(crate) content: bool,
    /// It is sent to nobody any more: no count of a nonce's is for it.
    pub(crate) spent: bool,
}

impl UpstreamProxy {
    /// By whom it was named.
    pub(crate) fn naming(&self) -> Naming {
        self.naming
    }

    /// The field that says who asks, as far as it can be said now.
    fn authorization(&self, method: &str, uri: &str, answers: &Answers) -> Option<Field> {
        let login = self.login_said();
        let login = login.filter(|_| self.server.scheme.is_http())?;
        let value = answers.authorization(&self.server, login, method, uri)?;
        Some(Field {
            name: "proxy-authorization".to_owned(),
            value: value.into_bytes(),
        })
    }

    fn login_said(&self) -> Option<&Login> {
        match &self.who {
            Some(Who::Login(login)) => Some(login),
            Some(Who::Tokens(_)) | None => None,
        }
    }

    /// Whether it may want proof, by a challenge that has to be answered.
    fn proves(&self) -> bool {
        match &self.who {
            Some(Who::Login(login)) => login.scheme == ProxyAuth::Digest,
            Some(Who::Tokens(_)) => true,
            None => false,
        }
    }

    /// By which tokens it learns who asks. Whoever makes them can be asked then.
    fn note_tokens(&self, answers: &Answers) -> Option<TokenScheme> {
        let Some(who @ Who::Tokens(tokens)) = &self.who else {
            return None;
        };
        let partition = answers.partition_of(Some(who));
        answers.sources.note(&self.server, partition, tokens);
        Some(tokens.scheme)
    }
}
