//! What broker and engine know of names, and when they are told again.

use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use fumehood_control::{
    GrantId, HostLine, NameServer, ResolverGrant, ResolverSetup, ServerProtocol, ToBroker, ToEngine,
};
use fumehood_policy::Transport;
use fumehood_policy::resolver::{HostEntry, MAX_NAME_SERVERS};
use fumehood_sandbox::sealed;
use tokio::sync::Mutex;

use super::ResolveError;
use super::anchors;
use super::config::{Dns, DnsMode, PLAIN_PORT};
use super::files::{self, Files, Stamps};
use crate::error::ChannelError;
use crate::live::{LiveBroker, LiveEngine, Running};

/// How long files are taken to be what they were. Networks change slower.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(5);

/// Tells both processes, once, and again where something is different.
#[derive(Debug)]
pub(crate) struct Teller {
    grant: GrantId,
    told: Mutex<Option<Told>>,
    /// What was told last had the guest find what is dialled.
    dials: AtomicBool,
}

/// What was told last, and to whom.
#[derive(Debug)]
struct Told {
    broker: Weak<LiveBroker>,
    engine: Weak<LiveEngine>,
    dns: Arc<Dns>,
    stamps: Stamps,
    /// When the files were last looked at; `None` where they are to be now.
    looked: Option<Instant>,
    setup: ResolverSetup,
    servers: Arc<[NameServer]>,
}

impl Teller {
    /// Under this number the engine's resolver is known to the broker.
    pub(crate) fn new(grant: GrantId) -> Self {
        Teller {
            grant,
            told: Mutex::default(),
            dials: AtomicBool::new(false),
        }
    }

    /// Has the files looked at before names are resolved again.
    pub(crate) async fn look_again(&self) {
        if let Some(told) = self.told.lock().await.as_mut() {
            told.looked = None;
        }
    }

    /// Whether the guest finds what is dialled, as far as was told.
    pub(crate) fn dials(&self) -> bool {
        self.dials.load(Ordering::Acquire)
    }

    /// Sees to it that these processes know how names are resolved now, and
    /// gives the servers.
    pub(crate) async fn tell(
        &self,
        dns: &Arc<Dns>,
        running: &Running,
    ) -> Result<Arc<[NameServer]>, ResolveError> {
        let mut held = self.told.lock().await;
        if let Some(told) = held.as_mut()
            && told.is_good(dns, running)
        {
            return Ok(Arc::clone(&told.servers));
        }
        let before = held.take();
        let read = {
            let dns = Arc::clone(dns);
            tokio::task::spawn_blocking(move || {
                // The stamps first: what changes while it is read is read again.
                let (stamps, looked) = (Stamps::of(&dns), Some(Instant::now()));
                files::read(&dns).map(|files| (files, stamps, looked))
            })
        };
        let read = read.await.map_err(|error| ResolveError::File {
            path: dns.resolv_conf.display().to_string(),
            why: error.to_string(),
        });
        let (files, stamps, looked) = read??;
        let setup = setup(self.grant, dns, files);
        let servers = match before {
            Some(before) if before.was_told(&setup, running) => before.servers,
            _ => {
                tell(running, &setup).await?;
                self.dials.store(setup.dials, Ordering::Release);
                setup.servers.clone().into()
            }
        };
        *held = Some(Told {
            broker: Arc::downgrade(&running.broker),
            engine: Arc::downgrade(&running.engine),
            dns: Arc::clone(dns),
            stamps,
            looked,
            setup,
            servers: Arc::clone(&servers),
        });
        Ok(servers)
    }
}

impl Told {
    fn is_of(&self, running: &Running) -> bool {
        Weak::as_ptr(&self.broker) == Arc::as_ptr(&running.broker)
            && Weak::as_ptr(&self.engine) == Arc::as_ptr(&running.engine)
    }

    fn was_told(&self, setup: &ResolverSetup, running: &Running) -> bool {
        self.is_of(running) && self.setup == *setup
    }

    /// Whether nothing has to be read or told.
    fn is_good(&mut self, dns: &Arc<Dns>, running: &Running) -> bool {
        if !self.is_of(running) || self.dns != *dns {
            return false;
        }
        let lately = |looked: Instant| looked.elapsed() < LOOKED_AT_EVERY;
        if !self.looked.is_some_and(lately) {
            if Stamps::of(dns) != self.stamps {
                return false;
            }
            self.looked = Some(Instant::now());
        }
        true
    }
}

/// The broker first, so that it knows the grant before the engine presents it.
async fn tell(running: &Running, setup: &ResolverSetup) -> Result<(), ResolveError> {
    let encoded = setup.encode().map_err(ChannelError::from)?;
    let memory = sealed("resolver", &[&encoded]).map_err(crate::LaunchError::from);
    let memory = memory.map_err(crate::Error::from)?;
    let grant = ToBroker::Resolver(grant(setup));
    let told = running.broker.channel.send(&grant, &[]).await;
    told.inspect_err(|error| running.broker.life.note(error))
        .map_err(ChannelError::from)?;
    let fds = [memory.as_fd()];
    let told = running.engine.channel.send(&ToEngine::Resolver, &fds).await;
    told.inspect_err(|error| running.engine.life.note(error))
        .map_err(ChannelError::from)?;
    Ok(())
}

/// Leave for exactly the servers, over what they are talked to over.
fn grant(setup: &ResolverSetup) -> ResolverGrant {
    let mut places = Vec::new();
    for server in &setup.servers {
        let transports: &[Transport] = match server.protocol {
            ServerProtocol::Plain => &[Transport::Udp, Transport::Tcp],
            ServerProtocol::Tls(_) | ServerProtocol::Https(_) => &[Transport::Tcp],
        };
        for transport in transports {
            let place = (server.address, *transport);
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    ResolverGrant {
        id: setup.grant,
        places,
        dials: setup.dials,
    }
}

fn setup(grant: GrantId, dns: &Dns, files: Files) -> ResolverSetup {
    let Files { resolv_conf, hosts } = files;
    let of_file = resolv_conf.servers.iter().map(|address| NameServer {
        address: (*address, PLAIN_PORT).into(),
        protocol: ServerProtocol::Plain,
    });
    let mut servers: Vec<NameServer> = match dns.servers.is_empty() {
        true => of_file.collect(),
        false => dns.servers.iter().map(|server| server.0.clone()).collect(),
    };
    servers.truncate(MAX_NAME_SERVERS);
    let line = |entry: HostEntry| HostLine {
        address: entry.address,
        names: entry.names,
    };
    ResolverSetup {
        grant,
        dials: dns.mode == DnsMode::Guest,
        servers,
        search: dns.search.clone().unwrap_or(resolv_conf.search),
        ndots: resolv_conf.ndots,
        timeout_ms: u32::try_from(resolv_conf.timeout.as_millis()).unwrap_or(u32::MAX),
        attempts: resolv_conf.attempts,
        rotate: resolv_conf.rotate,
        trust_authentic: resolv_conf.trust_ad,
        dnssec: dns.dnssec.then(|| anchors::in_force(&dns.trust_anchors)),
        hosts: hosts.into_iter().map(line).collect(),
    }
}
