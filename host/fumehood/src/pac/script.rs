//! A script that an engine holds, and questions to it.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fumehood_control::{
    GrantId, MAX_PAC_NAMES, MAX_PAC_SCRIPT_BYTES, PacAnswer, PacFailure, PacFound, PacMoment,
    PacQuestion, PacRemark, PacScriptId, PacSurroundings, PacTarget, Place, SocketGrant, ToBroker,
    ToEngine, fragments,
};
use fumehood_policy::{ClientName, DnsName, HostPattern, Route, Scheme, Terms, Transport};
use tokio::sync::Mutex;

use super::error::{PacError, gone};
use super::place::{self, PacZone};
use super::target;
use crate::error::ChannelError;
use crate::live::{LiveEngine, Running};
use crate::memory::sealed;
use crate::modules::Module;
use crate::routes::Leave;
use crate::shared::Shared;
use crate::{CallerError, Engine, Error};

/// As whom scripts' names are looked up: what rules about clients know it by.
const CLIENT: &str = "pac";

/// How long one name may take to be found, unless something else is said.
const LOOKUP_WITHIN: Duration = Duration::from_secs(5);

/// Longest life of a grant to look names up, in milliseconds: 20 names at their
/// slowest, and the script's own time. It is taken back with the answer.
const MAX_GRANT_MS: u32 = 10 * 60 * 1000;

/// How a script is to be run.
#[derive(Clone, Debug, Default)]
pub struct PacOptions {
    /// Who finds addresses for it. Default the broker, as for requests.
    pub names: PacNames,
    /// What it is told of our own addresses, the preferred one first; at most
    /// 64. Default what the kernel says when the script is loaded.
    pub addresses: Option<Vec<IpAddr>>,
    /// Its local time. Default the system's.
    pub zone: PacZone,
    /// When its top level runs. Default now.
    pub at: Option<SystemTime>,
}

/// Who finds addresses for a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PacNames {
    /// The broker, by the system's resolver and under the policy; for each name
    /// at most so long.
    Resolver {
        /// Default 5 s. A name that takes longer has no address.
        within: Duration,
    },
    /// This list, of at most [`MAX_PAC_NAMES`]; other names have no address.
    Listed(Vec<(DnsName, Vec<IpAddr>)>),
}

impl Default for PacNames {
    fn default() -> Self {
        PacNames::Resolver {
            within: LOOKUP_WITHIN,
        }
    }
}

/// How one question is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacCall {
    /// The script's clock. Default now.
    pub at: Option<SystemTime>,
    /// Say what the script called, too. It then runs in a context of its own:
    /// globals are as its top level leaves them.
    pub explain: bool,
}

/// A script, loaded. Cheap to clone; it is held until the last clone is gone, and
/// answers for as long as its [`Engine`] is held.
///
/// A call that hangs, wants too much memory or ends its guest in any other way
/// fails by itself, and the next has a fresh instance. An engine that died is
/// launched again, and given the script again.
#[derive(Clone)]
pub struct Pac {
    inner: Arc<Inner>,
}

struct Inner {
    /// Not kept alive for this: what chooses proxies for it may hold this.
    engine: Weak<Shared>,
    script: Vec<u8>,
    place: PacSurroundings,
    names: PacNames,
    at: Option<SystemTime>,
    /// By which engine it is held, and how it is called there.
    held: Mutex<Option<Held>>,
}

struct Held {
    engine: Weak<LiveEngine>,
    id: PacScriptId,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.upgrade() {
            // At once if it can be, and at any rate before it is asked again.
            engine.pac.release(self.id);
            // An engine that is gone holds nothing.
            let _gone = engine.orders.send(ToEngine::PacForget(self.id));
        }
    }
}

impl Engine {
    /// Loads a script: UTF-8, or else Latin-1, of at most
    /// [`MAX_PAC_SCRIPT_BYTES`]. An engine holds at most
    /// [`crate::pac::MAX_PAC_SCRIPTS`] at once.
    ///
    /// # Errors
    /// [`PacError`]: above all [`PacError::Script`] for one that does not parse,
    /// does not end, or defines no `FindProxyForURL`.
    pub async fn pac(
        &self,
        script: impl Into<Vec<u8>>,
        options: PacOptions,
    ) -> Result<Pac, PacError> {
        let script = script.into();
        if script.len() > MAX_PAC_SCRIPT_BYTES {
            return Err(PacFailure::TooLong.into());
        }
        if matches!(&options.names, PacNames::Listed(list) if list.len() > MAX_PAC_NAMES) {
            let why = format!("more than {MAX_PAC_NAMES} names are listed for a script");
            return Err(Error::Caller(CallerError::Request(why)).into());
        }
        let place = place::surroundings(options.addresses, &options.zone);
        let pac = Pac {
            inner: Arc::new(Inner {
                engine: Arc::downgrade(&self.shared),
                script,
                place,
                names: options.names,
                at: options.at,
                held: Mutex::default(),
            }),
        };
        match pac.inner.ready().await {
            // Another engine has the same to do.
            Err(error) if error.is_engines_death() => pac.inner.ready().await?,
            ready => ready?,
        };
        Ok(pac)
    }

    /// Looks a script over without running it. It is parsed by the guest.
    ///
    /// # Errors
    /// [`PacError`]. What is wrong with the script is no error.
    pub async fn lint_pac(&self, script: &[u8]) -> Result<Vec<PacRemark>, PacError> {
        if script.len() > MAX_PAC_SCRIPT_BYTES {
            return Err(PacFailure::TooLong.into());
        }
        let running = self.with_evaluator().await?;
        let (id, script) = (self.shared.number(), memory(script).await?);
        match ask(&running.engine, id, &PacQuestion::Lint, Some(script)).await? {
            PacAnswer::Linted(told) => Ok(told?),
            _ => Err(ChannelError::OutOfOrder.into()),
        }
    }

    /// An engine that has the evaluator. It comes with the first script: most
    /// programs have none.
    async fn with_evaluator(&self) -> Result<Running, PacError> {
        let _turn = self.shared.evaluator.lock().await;
        if !self.shared.registry.has("pac") {
            self.modules().install(Module::embedded_pac()).await?;
        }
        Ok(self.shared.running().await?)
    }
}

impl Pac {
    /// Which ways to try, in this order; never empty. `url` is one of http,
    /// https, ws, wss or ftp. Of https and wss the script sees the host alone.
    ///
    /// # Errors
    /// [`PacError`]. The next call works all the same.
    pub async fn find_proxy(&self, url: &str) -> Result<Vec<Route>, PacError> {
        let found = self.find(url, &PacCall::default()).await?;
        Ok(found.outcome?.routes)
    }

    /// The same, and all that is known of how the script came to it. Where it
    /// failed, that is [`PacFound::outcome`].
    ///
    /// # Errors
    /// [`PacError`], but for [`PacError::Script`].
    pub async fn find(&self, url: &str, call: &PacCall) -> Result<PacFound, PacError> {
        let target = target::parse(url)?;
        match self.inner.find(&target, call).await {
            // Another engine has the same to do.
            Err(error) if error.is_engines_death() => self.inner.find(&target, call).await,
            found => found,
        }
    }
}

impl Inner {
    fn engine(&self) -> Result<Engine, PacError> {
        let shared = self.engine.upgrade().ok_or_else(gone)?;
        Ok(Engine { shared })
    }

    async fn find(&self, target: &PacTarget, call: &PacCall) -> Result<PacFound, PacError> {
        let engine = self.engine()?;
        let (running, script) = self.ready().await?;
        let (names, _leave) = self.names(&engine, &running).await?;
        let question = PacQuestion::Find {
            script,
            target: target.clone(),
            at: moment(call.at),
            names,
            explain: call.explain,
        };
        let id = engine.shared.number();
        match ask(&running.engine, id, &question, None).await? {
            PacAnswer::Found(found) => match found.outcome {
                Err(PacFailure::NotLoaded) => {
                    *self.held.lock().await = None;
                    Err(PacFailure::NotLoaded.into())
                }
                _ => Ok(found),
            },
            _ => Err(ChannelError::OutOfOrder.into()),
        }
    }

    /// An engine that holds the script, and how it is called there.
    async fn ready(&self) -> Result<(Running, PacScriptId), PacError> {
        let engine = self.engine()?;
        let mut held = self.held.lock().await;
        let running = engine.with_evaluator().await?;
        let same = |held: &Held| std::ptr::eq(held.engine.as_ptr(), Arc::as_ptr(&running.engine));
        if let Some(held) = held.as_ref().filter(|held| same(held)) {
            return Ok((running, held.id));
        }
        let script = PacScriptId(engine.shared.number());
        let (names, _leave) = self.names(&engine, &running).await?;
        let question = PacQuestion::Load {
            script,
            surroundings: self.place.clone(),
            at: moment(self.at),
            names,
        };
        let (id, source) = (engine.shared.number(), memory(&self.script).await?);
        match ask(&running.engine, id, &question, Some(source)).await? {
            PacAnswer::Loaded(loaded) => loaded?,
            _ => return Err(ChannelError::OutOfOrder.into()),
        }
        *held = Some(Held {
            engine: Arc::downgrade(&running.engine),
            id: script,
        });
        drop(held);
        Ok((running, script))
    }

    /// Who finds addresses for one question, with the leave for it.
    async fn names(
        &self,
        engine: &Engine,
        running: &Running,
    ) -> Result<(fumehood_control::PacNames, Option<Leave>), PacError> {
        let within = match &self.names {
            PacNames::Listed(list) => {
                return Ok((fumehood_control::PacNames::Listed(list.clone()), None));
            }
            PacNames::Resolver { within } => *within,
        };
        let told = engine.shared.tell_names_to_dial(running).await;
        told.map_err(Error::from)?;
        let grant = GrantId(engine.shared.number());
        let sent = running.broker.channel.send(&leave(grant), &[]).await;
        sent.inspect_err(|error| running.broker.life.note(error))
            .map_err(ChannelError::from)?;
        let deadline_ms = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
        let names = fumehood_control::PacNames::Broker { grant, deadline_ms };
        Ok((names, Some(running.broker.leave(grant))))
    }
}

/// Leave to look up any name that the policy lets an https request go to, and
/// to connect to nothing.
fn leave(id: GrantId) -> ToBroker {
    let https = Scheme::Https;
    let port = https.default_port();
    ToBroker::SocketGrant(SocketGrant {
        id,
        scheme: https,
        terms: Terms {
            client: CLIENT.parse::<ClientName>().ok(),
            ..Terms::default()
        },
        places: vec![Place {
            host: HostPattern::Any,
            ports: port..=port,
            transport: Transport::Tcp,
        }],
        uses: 0,
        lifetime_ms: MAX_GRANT_MS,
    })
}

/// Asks, and waits for the answer. Dropped, the answer goes unheard.
async fn ask(
    engine: &Arc<LiveEngine>,
    id: u64,
    question: &PacQuestion,
    script: Option<OwnedFd>,
) -> Result<PacAnswer, PacError> {
    let mut pieces = fragments(question).map_err(ChannelError::from)?;
    let answered = engine.pac.open(id).ok_or_else(gone)?;
    let last = ToEngine::Pac {
        id,
        bytes: pieces.pop().unwrap_or_default(),
        with_script: script.is_some(),
    };
    let pieces = pieces.into_iter();
    let pieces = pieces.map(|bytes| ToEngine::PacFragment { id, bytes });
    let send = async {
        for script in engine.pac.released() {
            engine
                .channel
                .send(&ToEngine::PacForget(script), &[])
                .await?;
        }
        for piece in pieces {
            engine.channel.send(&piece, &[]).await?;
        }
        let fds: Vec<_> = script.iter().map(|script| script.as_fd()).collect();
        engine.channel.send(&last, &fds).await
    };
    if let Err(error) = send.await {
        engine.life.note(&error);
        engine.pac.forget(id);
        return Err(ChannelError::from(error).into());
    }
    answered.await.map_err(|_| gone())
}

/// Memory with a script in it.
async fn memory(script: &[u8]) -> Result<OwnedFd, PacError> {
    let made = sealed("pac-script", script.to_vec()).await;
    made.map_err(|error| Error::Caller(CallerError::Descriptor(error)).into())
}

fn moment(at: Option<SystemTime>) -> PacMoment {
    let at = at.unwrap_or_else(SystemTime::now);
    let milliseconds = |it: Duration| i64::try_from(it.as_millis()).unwrap_or(i64::MAX);
    PacMoment {
        now_ms: match at.duration_since(UNIX_EPOCH) {
            Ok(since) => milliseconds(since),
            Err(before) => -milliseconds(before.duration()),
        },
        seed: RandomState::new().build_hasher().finish(),
    }
}

impl std::fmt::Debug for Pac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pac")
            .field("script_bytes", &self.inner.script.len())
            .field("names", &self.inner.names)
            .finish_non_exhaustive()
    }
}
