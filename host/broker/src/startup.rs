//! From a bare process to a serving broker: policy in, sandbox closed, ready.

use std::process::ExitCode;
use std::time::Duration;

use fumehood_control::{
    Assembly, AssemblyError, FromBroker, Layer, LayerReport, PROTOCOL_VERSION, ToBroker,
};
use fumehood_policy::Policy;
use fumehood_sandbox::{Bootstrap, Channel, ChannelError, Refusal, Role};
use tokio::runtime::{Builder, Runtime};

use crate::connect::Tcp;
use crate::resolve::{IDLE_THREAD_LIFETIME, MAX_LOOKUPS, System};
use crate::serve::Broker;

type Embedder = Channel<FromBroker, ToBroker>;

/// Why the broker ended other than by its embedder's end.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The embedder's or the engine's channel broke.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The policy is over its bound or does not decode.
    #[error("the policy was not understood: {0}")]
    Policy(#[from] AssemblyError),
    /// A message at a time that is not its own.
    #[error("the embedder sent a message out of turn: it is of another build or corrupt")]
    OutOfTurn,
    /// The embedder speaks another version of the protocol.
    #[error(
        "the embedder speaks version {theirs} of the protocol and this program \
         {PROTOCOL_VERSION}; start the program that the embedder was built with"
    )]
    Version {
        /// The embedder's.
        theirs: u16,
    },
    /// The sandbox could not be made.
    #[error(transparent)]
    Sandbox(#[from] Refusal),
    /// The kernel gave no event queue or timer.
    #[error("the broker's event loop could not be made: {0}")]
    Runtime(#[source] std::io::Error),
}

/// What the embedder says before the sandbox closes.
struct Setup {
    policy: Policy,
    required: Vec<Layer>,
}

/// Plays the broker's role to the end. To be called once, first thing in
/// `main`, in a process whose standard input is its end of a
/// [`fumehood_sandbox::Channel`]. Ends when the embedder closes the other.
///
/// Success means that the embedder closed its end. Any failure before `Ready`
/// is told with [`FromBroker::Refused`].
#[must_use]
pub fn run() -> ExitCode {
    let (bootstrap, control) = match Bootstrap::enter() {
        Ok(entered) => entered,
        Err(why) => return last_resort(&why),
    };
    let embedder = match Embedder::from_fd(control) {
        Ok(embedder) => embedder,
        Err(why) => return last_resort(&why),
    };
    match prepare(bootstrap, &embedder) {
        Ok(prepared) => match prepared.serve(embedder) {
            Ok(()) | Err(BrokerError::Channel(ChannelError::Closed)) => ExitCode::SUCCESS,
            Err(why) => last_resort(&why),
        },
        Err(why) => refuse(&embedder, &why),
    }
}

#[expect(clippy::print_stderr, reason = "no channel is left to say it on")]
fn last_resort(why: &dyn std::error::Error) -> ExitCode {
    eprintln!("fumehood broker: {why}");
    ExitCode::FAILURE
}

/// A broker whose sandbox holds.
struct Prepared {
    broker: Broker<System, Tcp>,
    runtime: Runtime,
    layers: Vec<LayerReport>,
}

impl Prepared {
    fn serve(self, embedder: Embedder) -> Result<(), BrokerError> {
        let Prepared {
            broker,
            runtime,
            layers,
        } = self;
        embedder.send(
            &FromBroker::Ready {
                version: PROTOCOL_VERSION,
                layers,
            },
            &[],
        )?;
        let ended = runtime.block_on(async {
            // A task like its dials: what wakes it costs no system call, as what
            // wakes the future that a runtime blocks on does.
            let serving = tokio::spawn(broker.serve(embedder.into_async()?));
            serving
                .await
                .unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
        });
        // Lookups under way cannot be cancelled, and nobody waits for them.
        runtime.shutdown_background();
        ended
    }
}

fn prepare(bootstrap: Bootstrap, embedder: &Embedder) -> Result<Prepared, BrokerError> {
    let isolated = bootstrap.isolate(Role::Broker)?;
    let Setup { policy, required } = receive_setup(embedder)?;
    let runtime = runtime(IDLE_THREAD_LIFETIME).map_err(BrokerError::Runtime)?;
    let layers = isolated.seal(&required)?;
    Ok(Prepared {
        broker: Broker::new(policy, System::new(), Tcp::new()),
        runtime,
        layers,
    })
}

/// One thread, and as many as look names up at once; those that had nothing to do for
/// so long end.
pub(crate) fn runtime(idle: Duration) -> std::io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(MAX_LOOKUPS)
        .thread_keep_alive(idle)
        .thread_name("lookup")
        .build()
}

/// Reads up to `Start`: `Hello`, the policy, `Start`.
fn receive_setup(embedder: &Embedder) -> Result<Setup, BrokerError> {
    match embedder.recv()?.0 {
        ToBroker::Hello {
            version: PROTOCOL_VERSION,
        } => {}
        ToBroker::Hello { version } => return Err(BrokerError::Version { theirs: version }),
        _ => return Err(BrokerError::OutOfTurn),
    }
    let mut fragments = Assembly::of_policy();
    let policy = loop {
        match embedder.recv()?.0 {
            ToBroker::PolicyFragment { bytes } => fragments.push(&bytes)?,
            ToBroker::Policy { bytes } => break fragments.finish(&bytes)?,
            _ => return Err(BrokerError::OutOfTurn),
        }
    };
    match embedder.recv()?.0 {
        ToBroker::Start { required } => Ok(Setup { policy, required }),
        _ => Err(BrokerError::OutOfTurn),
    }
}

/// Tells the embedder; only one that is gone is not told.
fn refuse(embedder: &Embedder, why: &BrokerError) -> ExitCode {
    let layers = match why {
        BrokerError::Sandbox(refusal) => refusal.layers().to_vec(),
        _ => Vec::new(),
    };
    match embedder.send(
        &FromBroker::Refused {
            layers,
            why: why.to_string(),
        },
        &[],
    ) {
        Ok(()) | Err(ChannelError::Closed) => ExitCode::FAILURE,
        Err(_) => last_resort(why),
    }
}
