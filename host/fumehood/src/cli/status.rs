//! `fumehood status`: how a running engine is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use fumehood::admin::{self, Request};
use fumehood::control::{Activity, NameActivity, ScriptActivity};
use fumehood::{
    DatagramTraffic, DenialGround, Outcome, ProcessStatus, ProxyTraffic, Status, Traffic,
};
use indicatif::HumanBytes;

use super::args::StatusArgs;
use super::escape::for_terminal;
use super::exit::{Exit, Failed};
use super::modules::{complain, json};

/// Runs the command.
pub(crate) async fn run(args: &StatusArgs) -> ExitCode {
    match status(args).await {
        Ok(text) => {
            // A standard output that is closed changes nothing.
            let _unheard = std::io::stdout().lock().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(failed) => complain(&failed),
    }
}

async fn status(args: &StatusArgs) -> Result<String, Failed> {
    let answer = admin::ask(&args.socket, &Request::Status {}).await?;
    if args.json {
        return json(&answer);
    }
    let status: Status =
        serde_json::from_value(answer).map_err(|e| Failed::new(Exit::Engine, e.to_string()))?;
    Ok(match args.metrics {
        true => status.to_prometheus(),
        false => page(&status),
    })
}

fn page(status: &Status) -> String {
    let process = |it: &ProcessStatus| match it.alive {
        true => format!(
            "running; was ready in {} µs{}",
            it.ready_us,
            it.resident_bytes.map(memory).unwrap_or_default()
        ),
        false => "ended; the next request starts another".to_owned(),
    };
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "{name:<10} {}", for_terminal(value.as_bytes()));
    };
    row("fumehood", &status.version);
    row("broker", &process(&status.broker));
    row("engine", &process(&status.engine));
    if let Some(rest) = &status.rest {
        row("", &rest.to_string());
    }
    traffic(&status.traffic, &mut row);
    proxied(&status.traffic.proxy, &mut row);
    if let Some(it) = &status.activity {
        activity(it, &mut row);
    }
    for module in &status.modules.modules {
        let state = module.state.as_deref().unwrap_or("not loaded");
        let digest: String = module.digest.chars().take(12).collect();
        row(
            "module",
            &format!("{} {} {digest} {state}", module.name, module.version),
        );
    }
    let policy = &status.policy;
    let revision = &policy.revision;
    let file = match &revision.file {
        Some(file) => file.display().to_string(),
        None => "no file".to_owned(),
    };
    row(
        "policy",
        &format!(
            "version {} ({}), of {file}",
            revision.number, revision.digest
        ),
    );
    row(
        "",
        &format!(
            "{} rules, {} private hosts; mode {}, for addresses {}; {} would-be denials",
            policy.rules, policy.private_hosts, policy.mode, policy.address_mode, policy.reported
        ),
    );
    if let Some(error) = &policy.last_error {
        row("", &format!("not taken since: {error}"));
    }
    if let Some(why) = &policy.not_watched {
        row("", &format!("not watched: {why}"));
    }
    for users in &status.users {
        let of = users
            .file
            .as_ref()
            .map(|it| format!(", of {}", it.display()));
        row(
            "users",
            &format!("{}{}", users.users, of.unwrap_or_default()),
        );
        if let Some(error) = &users.last_error {
            row("", &format!("not taken since: {error}"));
        }
    }
    for grant in &status.grants {
        let left = grant.left_ms.div_ceil(1000);
        row(
            "grant",
            &format!(
                "{} for {}, {} uses, {left} s",
                grant.number, grant.host, grant.uses_left
            ),
        );
    }
    text
}

/// What clients of a proxy asked for; nothing where there is none.
fn proxied(proxy: &ProxyTraffic, row: &mut impl FnMut(&str, &str)) {
    if *proxy == ProxyTraffic::default() {
        return;
    }
    let line = format!(
        "{} served, {} tunnelled, {} denied, {} failed",
        proxy.served, proxy.tunnelled, proxy.denied, proxy.failed
    );
    row("proxied", &line);
    let line = format!(
        "{} received, {} sent",
        HumanBytes(proxy.received),
        HumanBytes(proxy.sent)
    );
    row("", &line);
    datagrams(&proxy.datagrams, row);
    denied(&proxy.denials, row);
}

/// Connections; names and scripts where somebody asked for them.
fn activity(activity: &Activity, row: &mut impl FnMut(&str, &str)) {
    let Activity {
        pool,
        names,
        scripts,
    } = activity;
    let line = format!(
        "{} idle, {} in use, {} waiting; {} made, {} reused",
        pool.idle, pool.in_use, pool.waiting, pool.made, pool.reused
    );
    row("pool", &line);
    let line = format!(
        "{} of {} places taken, {} waiting for one",
        pool.places_taken, pool.places, pool.waiting_for_place
    );
    row("", &line);
    if *names != NameActivity::default() {
        let line = format!(
            "{} from servers, {} from the cache, {} from here, {} absent, {} failed; {} under way",
            names.from_servers,
            names.from_cache,
            names.from_here,
            names.absent,
            names.failed,
            names.under_way
        );
        row("dns", &line);
    }
    if *scripts != ScriptActivity::default() {
        let line = format!(
            "{} held, {} loaded, {} not; {} calls, {} failed, {} µs in all; {} under way",
            scripts.held,
            scripts.loaded,
            scripts.not_loaded,
            scripts.calls,
            scripts.failed_calls,
            scripts.calls_us,
            scripts.under_way
        );
        row("pac", &line);
    }
}

/// Datagrams of a proxy's clients; nothing where there are none.
fn datagrams(datagrams: &DatagramTraffic, row: &mut impl FnMut(&str, &str)) {
    if *datagrams == DatagramTraffic::default() {
        return;
    }
    let line = format!("{} received, {} sent", datagrams.received, datagrams.sent);
    row("datagrams", &line);
    for (ground, count) in &datagrams.dropped {
        row("", &format!("{count} dropped: {}", ground.name()));
    }
}

fn denied(denials: &BTreeMap<DenialGround, u64>, row: &mut impl FnMut(&str, &str)) {
    for (ground, count) in denials {
        let ground = String::from(ground.clone());
        row("denied", &format!("{count} × {ground}"));
    }
}

fn memory(bytes: u64) -> String {
    format!("; uses {}", HumanBytes(bytes))
}

fn traffic(traffic: &Traffic, row: &mut impl FnMut(&str, &str)) {
    let ended = |outcome| *traffic.exchanges.get(&outcome).unwrap_or(&0);
    let failed = Outcome::ALL
        .into_iter()
        .filter(|outcome| *outcome != Outcome::Ok && ended(*outcome) > 0);
    let mut line = format!("{} under way, {} ok", traffic.under_way, ended(Outcome::Ok));
    for outcome in failed {
        let _infallible = write!(line, ", {} {}", ended(outcome), outcome.name());
    }
    row("exchanges", &line);
    let line = format!(
        "{} received, {} sent; {} of all through guests",
        HumanBytes(traffic.payload_received),
        HumanBytes(traffic.payload_sent),
        HumanBytes(traffic.bytes_through_guests)
    );
    row("", &line);
    denied(&traffic.denials, row);
}
