//! `fumehood demo`: what the sandbox is worth, shown and measured on this machine.
//!
//! Nothing is printed that was not just observed, and the command fails if
//! one observation is not as claimed.

mod claims;
mod origin;

use std::process::ExitCode;
use std::time::Instant;

use fumehood::policy::PrivateHost;
use fumehood::{Anchors, Engine, EngineBuilder, Module};

use super::args::{Demo, MissingLayers};
use super::exit::{Exit, Failed};
use super::show::{Finding, Show};
use origin::Origin;
pub(super) use origin::tls;

/// Runs the command.
pub(crate) async fn run(args: &Demo) -> ExitCode {
    let mut show = Show::new(args.json);
    match all(args, &mut show).await {
        Ok(()) => show.end(),
        Err(failed) => show.broken(&failed),
    }
}

async fn all(args: &Demo, show: &mut Show) -> Result<(), Failed> {
    let begun = Instant::now();
    let origin = Origin::start().map_err(|e| {
        Failed::new(
            Exit::Launch,
            format!("the demonstration's own server does not start: {e}"),
        )
    })?;
    let missing = &args.sandbox;
    let engine = builder(&origin, missing)?.launch().await?;
    show.title("A server on this machine, and an engine behind glass");
    show.finding(judged(
        "first-light",
        claims::first_light(&engine, &origin).await,
    ));
    show.finding(claims::layers(&engine).await);
    show.title("Suppose that an attacker runs native code in the engine");
    show.finding(judged("attacks", claims::attacks()));
    show.title("Suppose that a page names an address on the inside");
    show.finding(judged("policy", claims::policy(&engine).await));
    show.title("Suppose that a response breaks the parser");
    let mut modules = Module::embedded_defaults();
    modules.retain(|module| module.name != "http1");
    modules.push(Module::embedded_faulty_http1());
    let fragile = builder(&origin, missing)?.modules(modules).launch().await?;
    show.finding(judged("trap", claims::trap(&fragile, &origin).await));
    drop(fragile);
    show.title("And what it costs");
    show.finding(judged(
        "bulk",
        claims::bulk(&engine, &origin, args.mebibytes).await,
    ));
    show.took(begun.elapsed());
    Ok(())
}

/// What could not even be observed does not hold; the other claims are still tried.
fn judged(name: &'static str, observed: Result<Finding, Failed>) -> Finding {
    observed.unwrap_or_else(|failed| Finding {
        name,
        holds: false,
        seen: vec![failed.message],
        figures: serde_json::Value::Null,
    })
}

/// Trusts the demonstration's server and may reach it, and nothing else here.
fn builder(origin: &Origin, missing: &MissingLayers) -> Result<EngineBuilder, Failed> {
    let bad = |why: String| Failed::new(Exit::Launch, why);
    let host: PrivateHost = origin
        .authority()
        .parse()
        .map_err(|e: fumehood::policy::PatternError| bad(e.to_string()))?;
    let anchors = Anchors::Der(vec![origin.anchor().clone()]);
    let builder = Engine::builder().anchors(anchors);
    let builder = builder
        .allow_private(host)
        .map_err(|e| bad(e.to_string()))?;
    Ok(missing.put_into(builder))
}
