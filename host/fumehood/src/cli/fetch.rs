//! `fumehood fetch`: several URLs over one engine.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::ArgMatches;
use fumehood::policy::Scheme;
use fumehood::{Anchors, CrashReports, Engine, EngineBuilder, LaunchReport, OnChange, Settings};

use super::args::Fetch;
use super::data::Data;
use super::exit::{Exit, Failed};
use super::output::{Output, remote_name};
use super::report::Record;
use super::transfer::{self, Session, Transfer};
use super::verbose::Teller;
use super::way;
use super::{headers, resume, settings};

/// Runs the command.
pub(crate) async fn run(args: &Fetch, matches: &ArgMatches) -> ExitCode {
    match all(args, matches).await {
        Ok(code) => code,
        Err(failed) => {
            complain(args, &failed);
            if args.output.json {
                let record = Record {
                    failed: Some(failed.clone()),
                    ..Record::default()
                };
                print_json(args, false, &record, &LaunchReport::default());
            }
            ExitCode::from(failed.exit.code())
        }
    }
}

async fn all(args: &Fetch, matches: &ArgMatches) -> Result<ExitCode, Failed> {
    let (builder, settings) = builder(args)?;
    // The processes start while everything else is made ready.
    let preparing = async { prepare(args, &settings, matches) };
    let (engine, prepared) = tokio::join!(builder.launch(), preparing);
    let (data, headers) = prepared?;
    let engine = engine?;
    let report = engine.launch_report().await;
    let teller = Teller::new(args.output.verbose);
    teller.launched(&report);
    let progress = !args.output.silent && !args.output.no_progress;
    let session = Session {
        engine: &engine,
        args,
        data: &data,
        headers,
        teller,
        progress,
    };
    let mut code = ExitCode::SUCCESS;
    for (index, url) in args.urls.iter().enumerate() {
        let begun = Instant::now();
        let mut record = Record {
            url: url.clone(),
            ..Record::default()
        };
        let result = one(&session, index, url, &mut record).await;
        record.elapsed_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        if let Err(failed) = result {
            complain(args, &failed);
            code = ExitCode::from(failed.exit.code());
            record.failed = Some(failed);
        }
        if args.output.json {
            print_json(args, goes_to_stdout(args, index), &record, &report);
        }
    }
    engine.flush_reports().await;
    Ok(code)
}

fn prepare(
    args: &Fetch,
    settings: &Settings,
    matches: &ArgMatches,
) -> Result<(Data, http::HeaderMap), Failed> {
    let data = Data::collect(matches)?;
    let posts = !data.is_none() && !args.request.get;
    let agent = settings.user_agent.value.as_deref();
    let headers = headers::build(&args.request, agent, posts)?;
    Ok((data, headers))
}

fn builder(args: &Fetch) -> Result<(EngineBuilder, Settings), Failed> {
    let mut source = settings::source(&args.trust.permissions);
    source.module_keys.clone_from(&args.guests.module_key);
    let settings = settings::load(&source)?;
    let way_out = way::of_fetch(&args.way, &settings)?;
    let on_the_way = match (&way_out, &settings.proxies.value) {
        (Some(way_out), _) => way_out.needs_anchors(),
        (None, configured) => configured.as_ref().is_some_and(way::may_need_anchors),
    };
    let mut builder = Engine::builder()
        .follow(&settings, &source, true)
        .anchors(anchors(args, on_the_way && !args.way.proxy_insecure));
    if let Some(way_out) = way_out {
        builder = way_out.put_into(builder);
    }
    builder = guests(builder, args);
    builder = args.trust.sandbox.put_into(builder);
    if let Some(path) = std::env::var_os("SSLKEYLOGFILE").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        builder = builder.key_log(&path).map_err(|e| {
            Failed::new(
                Exit::Write,
                format!("SSLKEYLOGFILE {}: {e}", path.display()),
            )
        })?;
    }
    Ok((builder, settings))
}

fn guests(mut builder: EngineBuilder, args: &Fetch) -> EngineBuilder {
    let args = &args.guests;
    builder = builder.record(args.record);
    if let Some(path) = &args.admin_socket {
        builder = builder.admin_socket(path);
    }
    if let Some(folder) = &args.module_directory {
        let on_change = match args.swap_on_change {
            true => OnChange::Swap,
            false => OnChange::Candidate,
        };
        builder = builder.module_directory(folder, on_change);
    }
    if let Some(folder) = &args.crash_reports {
        builder = builder.crash_reports(CrashReports::In(folder.clone()));
    }
    builder
}

/// The system's store takes milliseconds to read: only where it can be needed.
fn anchors(args: &Fetch, on_the_way: bool) -> Anchors {
    let https = |url: &String| {
        let scheme = url.trim_start().split(':').next().unwrap_or_default();
        Scheme::from_name(scheme) == Some(Scheme::Https)
    };
    match &args.trust.cacert {
        _ if !args.transfer.location && !args.urls.iter().any(https) && !on_the_way => {
            Anchors::Nothing
        }
        _ if args.trust.insecure && !on_the_way => Anchors::Nothing,
        Some(path) => Anchors::PemFile(path.clone()),
        None => Anchors::System,
    }
}

async fn one(
    session: &Session<'_>,
    index: usize,
    text: &str,
    record: &mut Record,
) -> Result<(), Failed> {
    let url = transfer::parse(session, text).await?;
    let args = &session.args.output;
    let path = match args.output.get(index) {
        _ if args.remote_name => Some(remote_name(&url.path_and_query)?),
        Some(path) if path != Path::new("-") => Some(path.clone()),
        _ => None,
    };
    let resume_at = match &args.continue_at {
        Some(option) => {
            let size = path.as_deref().map_or(Ok(0), size)?;
            Some(resume::offset(option, size)?)
        }
        None => None,
    };
    let output = match &path {
        Some(path) => Output::file(path, resume_at, args.create_dirs)?,
        None => Output::stdout()?,
    };
    Transfer::new(session, output, record, resume_at)
        .run(url)
        .await
}

/// Of what is there to be continued; nothing where there is no file.
fn size(path: &Path) -> Result<u64, Failed> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(Failed::new(Exit::Write, format!("{}: {e}", path.display()))),
    }
}

fn goes_to_stdout(args: &Fetch, index: usize) -> bool {
    let named = args
        .output
        .output
        .get(index)
        .is_some_and(|path| path != Path::new("-"));
    !args.output.remote_name && !named
}

fn complain(args: &Fetch, failed: &Failed) {
    if args.output.silent && !args.output.show_error {
        return;
    }
    let text = super::escape::for_terminal(failed.to_string().as_bytes());
    // A standard error that is closed changes nothing.
    let _unheard = writeln!(
        std::io::stderr().lock(),
        "fumehood: ({}) {text}",
        failed.exit.code()
    );
}

fn print_json(args: &Fetch, content_on_stdout: bool, record: &Record, launch: &LaunchReport) {
    let json = record.to_json(launch);
    // Where it cannot be written, the exit code still tells.
    let _unheard = if content_on_stdout && args.output.json {
        writeln!(std::io::stderr().lock(), "{json}")
    } else {
        writeln!(std::io::stdout().lock(), "{json}")
    };
}
