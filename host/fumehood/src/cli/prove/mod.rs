//! `fumehood prove`: every known way around the policy, tried for real.
//!
//! ```text
//! corpus   the cases, as data
//! bottle   namespaces in which every address is this machine (netlink)
//! names    what the names of the corpus resolve to, told by dns
//! tries    each case by each of its routes
//! client   `fumehood fetch` is given URLs and redirects
//! target   `fumehood proxy`, or another proxy, is sent requests
//! canary   what arrived: nothing else is judged
//! table    the verdicts
//! ```

mod bottle;
mod canary;
mod client;
mod corpus;
mod dns;
mod names;
mod netlink;
mod table;
mod target;
mod tries;

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Instant;

use super::args::Prove;
use super::exit::{Exit, Failed};
use bottle::Bottle;
use canary::{Canary, WATCHED};
use corpus::{CORPUS, Case};
use table::{Column, Results};
use target::Target;
use tries::Route;

/// Where our own proxy listens; nobody else is in the bottle.
const PROXY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3128);

/// Runs the command. The process has no other thread yet.
pub(crate) fn run(args: &Prove) -> ExitCode {
    let prepared = chosen(&args.only).and_then(|cases| Ok((cases, Bottle::enter()?)));
    match prepared {
        Ok((cases, bottle)) => super::on_runtime(async {
            match prove(args, &cases, &bottle).await {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(failed) => complain(&failed),
            }
        }),
        Err(failed) => complain(&failed),
    }
}

fn complain(failed: &Failed) -> ExitCode {
    // The exit code still tells.
    let _unheard = writeln!(io::stderr().lock(), "fumehood: {failed}");
    ExitCode::from(failed.exit.code())
}

/// The cases that were asked for; the controls are never left out.
fn chosen(only: &[String]) -> Result<Vec<&'static Case>, Failed> {
    if let Some(unknown) = only
        .iter()
        .find(|name| CORPUS.iter().all(|case| case.name != **name))
    {
        let names: Vec<_> = CORPUS.iter().map(|it| it.name).collect();
        let why = format!(
            "there is no case {unknown:?}; there are {}",
            names.join(", ")
        );
        return Err(Failed::new(Exit::Usage, why));
    }
    let wanted = |case: &&Case| {
        only.is_empty()
            || matches!(case.what, corpus::What::Control(_))
            || only.iter().any(|name| name == case.name)
    };
    Ok(CORPUS.iter().filter(wanted).collect())
}

/// Tries and prints; tells whether all held.
async fn prove(args: &Prove, cases: &[&'static Case], bottle: &Bottle) -> Result<bool, Failed> {
    let begun = Instant::now();
    let here = |e: io::Error| Failed::new(Exit::Launch, format!("the network to try on: {e}"));
    let names = dns::listen().await.map_err(here)?;
    tokio::spawn(dns::serve(names));
    everything_arrives().await.map_err(here)?;

    let missing = &args.sandbox;
    let (address, routes) = match args.target {
        None => (PROXY, &Route::ALL[..]),
        Some(address) => (address, &Route::PROXYS[..]),
    };
    let mut tries = tries::plan(cases, routes, address).await.map_err(here)?;
    let (mut proxy, columns) = match args.target {
        None => {
            client::run(&mut tries, bottle, missing).await?;
            let proxy = Target::ours(address, bottle, missing).await?;
            (proxy, vec![CLIENT, OUR_PROXY])
        }
        Some(address) => (Target::other(address, &args.command).await?, vec![OTHER]),
    };
    proxy.run(&mut tries).await?;
    // It goes, and with it all that might still connect.
    proxy.end().await.map_err(here)?;
    // Each listener is shown to be awake, and to have seen all before.
    for one in &tries {
        let probed = one.canary.probe(Ipv4Addr::LOCALHOST.into()).await;
        probed.map_err(here)?;
    }
    let results = Results::of(&tries, columns, begun.elapsed());
    results.print(args.json);
    Ok(results.all_held())
}

const CLIENT: Column = Column {
    name: "fumehood fetch",
    is_client: true,
};
const OUR_PROXY: Column = Column {
    name: "fumehood proxy",
    is_client: false,
};
const OTHER: Column = Column {
    name: "the target",
    is_client: false,
};

/// A connection to each kind of address is seen, or nothing could be proven.
async fn everything_arrives() -> io::Result<()> {
    let (canary, listener) = Canary::listen().await?;
    canary.serve(listener, None);
    for address in WATCHED {
        canary.probe(address).await?;
    }
    Ok(())
}
