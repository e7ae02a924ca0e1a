//! The engine as an embedder holds it: launched, watched, launched again.

use std::net::SocketAddr;
use std::sync::Arc;

use fumehood_control::ToEngine;
use fumehood_policy::{ProxySettings, RequestUrl, UrlError};

use crate::config::{Config, EngineBuilder};
use crate::error::{CallerError, LaunchError};
use crate::launch::Readiness;
use crate::proxies::{Choice, ChooseError, NoWayOut, WayOut};
use crate::shared::Shared;
use crate::{Client, Error, Modules, desk};

/// A launched engine with its broker. Cheap to clone; the processes end with
/// the last clone and the last exchange.
///
/// When a process dies, exchanges under way end with
/// [`crate::EngineError::Problem`], and the next request launches it again, with
/// the modules it had, the same of them current. [`Client`] sends again
/// what it safely can ([`crate::Retry`]).
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

/// How a launch went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaunchReport {
    /// The process that dials.
    pub broker: Readiness,
    /// The process with the guests.
    pub engine: Readiness,
    /// Engines launched since the first, each in the place of one that died.
    pub restarts: u64,
}

impl Engine {
    /// Begins to say how an engine is to be.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::new()
    }

    pub(crate) async fn launch(config: Config) -> Result<Self, LaunchError> {
        let shared = Shared::launch(config).await?;
        Ok(Engine { shared })
    }

    /// The modules, to be listed, loaded, swapped while all goes on.
    #[must_use]
    pub fn modules(&self) -> Modules {
        Modules::new(self.clone())
    }

    /// Reads a URL: of the web, or of a scheme that a driver module serves now.
    /// Where the scheme is unknown and there is a module directory, all that is
    /// in it is loaded first.
    ///
    /// # Errors
    /// [`CallerError::Url`], which says what to do for an unknown scheme. The engine's
    /// [rest](Error::rest), which keeps the directory from being loaded.
    pub async fn parse_url(&self, text: &str) -> Result<RequestUrl, Error> {
        let shared = &self.shared;
        let parse = || RequestUrl::parse_served(text, &shared.registry.schemes());
        let parsed = match (parse(), &shared.config.module_directory) {
            (Err(UrlError::Scheme(_)), Some((folder, _))) => {
                // What is refused of it is told elsewhere; what is there counts.
                if let Err(error) = self.modules().load_directory(folder).await {
                    tracing::warn!(%error, "the module directory cannot be read");
                }
                match (parse(), shared.resting()) {
                    // Whether there is a driver will be known when it is over.
                    (Err(UrlError::Scheme(_)), Some(rest)) => {
                        return Err(LaunchError::Resting(rest).into());
                    }
                    (parsed, _) => parsed,
                }
            }
            (parsed, _) => parsed,
        };
        parsed.map_err(|error| Error::Caller(CallerError::Url(error)))
    }

    /// A client that sends `http` requests: a [`tower_service::Service`].
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.clone())
    }

    /// Has requests that begin later go by other proxy settings; the system's are
    /// read now, what failed is forgotten, and a script fetched anew. When the network
    /// is another, that comes about by itself.
    ///
    /// # Errors
    /// [`CallerError::NoWay`] where the system's cannot be used; those before hold
    /// on then. [`crate::EngineError`] where the processes could not be told.
    pub async fn set_proxy_settings(&self, settings: ProxySettings) -> Result<(), Error> {
        let choice = Choice::new(settings).await.map_err(ChooseError::from);
        let choice = choice.map_err(NoWayOut::from)?;
        let way_out = WayOut::Chosen(Arc::new(choice));
        Ok(self.shared.replace_way_out(way_out).await?)
    }

    /// Waits until the crash reports of guests that have faulted so far are
    /// written. A program that is about to end calls it.
    pub async fn flush_reports(&self) {
        if let Some(engine) = self.shared.engine_if_alive().await {
            // Its answer comes after whatever it reported before.
            let _answer = desk::ask(&engine, ToEngine::Inspect, None).await;
            engine.desk.flush().await;
        }
    }

    /// Where metrics are told ([`EngineBuilder::metrics_listen`]), the port known.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.shared.metrics_address
    }

    /// How the latest launch went: times, and every layer of both sandboxes.
    pub async fn launch_report(&self) -> LaunchReport {
        let running = self.shared.as_it_is().await;
        LaunchReport {
            broker: running.broker.readiness.clone(),
            engine: running.engine.readiness.clone(),
            restarts: self.shared.restarts(),
        }
    }
}
