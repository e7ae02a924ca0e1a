//! `fumehood pac eval`: a script's answers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use fumehood::pac::{MAX_PAC_NAMES, PacCall, PacError, PacNames, PacOptions};
use fumehood::policy::DnsName;
use fumehood::policy::resolver::parse_hosts;

use super::args::Eval;
use super::report::Report;
use crate::cli::exit::{Exit, Failed};
use crate::cli::modules::json;

/// The last URL without an answer decides the exit code.
pub(super) async fn run(args: &Eval) -> Result<(String, ExitCode), Failed> {
    let at = args.now.map(SystemTime::from);
    let options = PacOptions {
        names: match &args.dns {
            Some(file) => PacNames::Listed(table(file)?),
            None => PacNames::default(),
        },
        addresses: (!args.my_ip.is_empty()).then(|| args.my_ip.clone()),
        zone: args.tz.clone().unwrap_or_default(),
        at,
    };
    let (engine, script) = super::script(&args.script).await?;
    let pac = engine.pac(script, options).await;
    let call = PacCall {
        at,
        explain: args.explain,
    };
    let (mut text, mut code) = (String::new(), ExitCode::SUCCESS);
    // What happened to the script's guest is told before this ends.
    let pac = match pac {
        Ok(pac) => pac,
        Err(error) => {
            engine.flush_reports().await;
            return Err(error.into());
        }
    };
    for url in &args.urls {
        let report = match pac.find(url, &call).await {
            Ok(found) => Report { url, found },
            Err(error @ PacError::Url(_)) => {
                let failed = Failed::from(error);
                code = ExitCode::from(failed.exit.code());
                text += &match args.json {
                    true => json(&super::report::refused(url, &failed))?,
                    false => super::report::refusal(url, &failed),
                };
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if let Err(why) = &report.found.outcome {
            code = ExitCode::from(super::exit_of(why).code());
        }
        text += &match args.json {
            true => json(&report.to_json())?,
            false => report.text(args.explain),
        };
    }
    engine.flush_reports().await;
    Ok((text, code))
}

/// A table of names, each with its addresses in the order they stand.
fn table(file: &Path) -> Result<Vec<(DnsName, Vec<IpAddr>)>, Failed> {
    let refused =
        |why: &dyn std::fmt::Display| Failed::new(Exit::Read, format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| refused(&e))?;
    let (entries, ignored) = parse_hosts(&text).map_err(|e| refused(&e))?;
    if let Some(bad) = ignored.first() {
        let line = bad.line;
        return Err(refused(&format!("line {line} is not an address and names")));
    }
    let mut order: Vec<DnsName> = Vec::new();
    let mut table: HashMap<DnsName, Vec<IpAddr>> = HashMap::new();
    for entry in entries {
        for name in entry.names {
            let addresses = table.entry(name.clone()).or_insert_with(|| {
                order.push(name);
                Vec::new()
            });
            addresses.push(entry.address);
        }
    }
    if order.len() > MAX_PAC_NAMES {
        let why = format!("more than {MAX_PAC_NAMES} names");
        return Err(refused(&why));
    }
    let with_addresses = |name: DnsName| {
        let addresses = table.remove(&name).unwrap_or_default();
        (name, addresses)
    };
    Ok(order.into_iter().map(with_addresses).collect())
}
