//! `fumehood resolve`: a name's records, by the engine's own resolver.

mod records;
mod trace;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fumehood::control::{
    AnswerSource, NameAnswer, NameCause, NameServer, NameStep, RecordType, Security, Wanted,
};
use fumehood::{Anchors, DnsServer, Engine, Question, ResolveError, Resolved};
use serde_json::{Value, json};

use super::args::Resolve;
use super::escape::for_terminal;
use super::exit::{Exit, Failed};
use super::modules::json as line;
use super::settings;

/// Runs the command.
pub(crate) async fn run(args: &Resolve) -> ExitCode {
    let begun = Instant::now();
    let asked = Asked::of(args);
    let outcome = match &asked {
        Ok(asked) => ask(args, asked).await,
        Err(failed) => Err(Untold::Failed(failed.clone())),
    };
    let told = Told {
        args,
        wanted: asked.as_ref().map_or("", |asked| asked.kind),
        elapsed: begun.elapsed(),
    };
    let (text, trace, code) = match args.json {
        true => told.as_json(&outcome),
        false => told.as_text(&outcome),
    };
    // A closed output changes nothing.
    let _unheard = std::io::stderr().lock().write_all(trace.as_bytes());
    let _unheard = std::io::stdout().lock().write_all(text.as_bytes());
    ExitCode::from(code)
}

/// The question, and what it is called.
struct Asked {
    question: Question,
    kind: &'static str,
}

impl Asked {
    fn of(args: &Resolve) -> Result<Asked, Failed> {
        let bare = args
            .name
            .strip_prefix('[')
            .and_then(|it| it.strip_suffix(']'));
        let address: Option<IpAddr> = bare.unwrap_or(&args.name).parse().ok();
        let (name, wanted) = match (address, args.record_type) {
            (Some(address), None | Some(RecordType::Ptr)) => {
                (reverse(address), Wanted::Records(RecordType::Ptr))
            }
            (_, Some(kind)) => (args.name.clone(), Wanted::Records(kind)),
            (None, None) => (args.name.clone(), Wanted::Addresses),
        };
        let mut question = Question::new(&name, wanted)
            .map_err(|error| Failed::new(Exit::Usage, error.to_string()))?
            .within(Duration::from_millis(args.max_time.into()));
        if args.trace || args.json {
            question = question.traced();
        }
        if args.private_answers {
            question = question.private(true);
        }
        let kind = match wanted {
            Wanted::Addresses => "addresses",
            Wanted::Records(kind) => kind.name(),
        };
        Ok(Asked { question, kind })
    }
}

/// Why there is no answer.
enum Untold {
    /// The resolver or the command says so.
    Resolve(ResolveError),
    /// It was not asked.
    Failed(Failed),
}

async fn ask(args: &Resolve, asked: &Asked) -> Result<Resolved, Untold> {
    let engine = engine(args).await.map_err(Untold::Failed)?;
    let outcome = engine.resolve(&asked.question).await;
    engine.flush_reports().await;
    outcome.map_err(Untold::Resolve)
}

async fn engine(args: &Resolve) -> Result<Engine, Failed> {
    let mut source = settings::of_file(&args.configuration);
    source.dns_servers.clone_from(&args.server);
    source.dnssec = args.dnssec;
    let settings = settings::load(&source)?;
    let mut builder = Engine::builder().follow(&settings, &source, false);
    if let Some(file) = &args.cacert {
        builder = builder.anchors(Anchors::PemFile(file.clone()));
    }
    Ok(args.sandbox.put_into(builder).launch().await?)
}

/// The name whose PTR record names an address (RFC 1035 section 3.5, RFC 3596
/// section 2.5).
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(it) => {
            let [a, b, c, d] = it.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(it) => {
            let mut name = String::new();
            for byte in it.octets().iter().rev() {
                // Writing to a string does not fail.
                let _infallible = write!(name, "{:x}.{:x}.", byte & 0xf, byte >> 4);
            }
            name + "ip6.arpa."
        }
    }
}

/// How it is told.
struct Told<'a> {
    args: &'a Resolve,
    wanted: &'a str,
    elapsed: Duration,
}

type Output = (String, String, u8);

impl Told<'_> {
    /// Records on standard output; steps and errors on standard error.
    fn as_text(&self, outcome: &Result<Resolved, Untold>) -> Output {
        let steps = |steps: &[NameStep], servers: &[NameServer]| match self.args.trace {
            true => trace::text(steps, servers),
            false => String::new(),
        };
        match outcome {
            Ok(Resolved { answer, servers }) => {
                let mut trace = steps(&answer.steps, servers);
                if self.args.trace {
                    trace += &format!("answered by {}\n", source(answer, servers));
                    if let Some(security) = answer.security {
                        trace += &format!("DNSSEC: {}\n", security.name());
                    }
                }
                (records::text(answer), trace, 0)
            }
            Err(untold) => {
                let mut trace = match untold {
                    Untold::Resolve(ResolveError::Failure { failure, servers }) => {
                        let mut trace = steps(&failure.steps, servers);
                        if let Some(security) = failure.security.filter(|_| self.args.trace) {
                            trace += &format!("DNSSEC: {}\n", security.name());
                        }
                        trace
                    }
                    _ => String::new(),
                };
                let failed = failed(untold);
                let message = for_terminal(failed.message.as_bytes());
                trace += &format!("fumehood: {message}\n");
                (String::new(), trace, failed.exit.code())
            }
        }
    }

    fn as_json(&self, outcome: &Result<Resolved, Untold>) -> Output {
        let (value, code) = match outcome {
            Ok(Resolved { answer, servers }) => (self.answer(answer, servers), 0),
            Err(untold) => {
                let failed = failed(untold);
                (self.failure(untold, &failed), failed.exit.code())
            }
        };
        match line(&value) {
            Ok(text) => (text, String::new(), code),
            Err(failed) => (String::new(), format!("{failed}\n"), failed.exit.code()),
        }
    }

    fn answer(&self, answer: &NameAnswer, servers: &Arc<[NameServer]>) -> Value {
        json!({
            "query": self.args.name,
            "type": self.wanted,
            "name": answer.name,
            "aliases": answer.aliases,
            "records": records::json(answer),
            "ttl_s": answer.ttl_s,
            "authentic": answer.authentic,
            "dnssec": answer.security.map(Security::name),
            "source": source(answer, servers),
            "steps": trace::json(&answer.steps, servers),
            "elapsed_us": self.elapsed_us(),
            "exit_code": 0,
        })
    }

    fn failure(&self, untold: &Untold, failed: &Failed) -> Value {
        let mut value = json!({
            "query": self.args.name,
            "type": self.wanted,
            "error": failed.exit.name(),
            "message": failed.message,
            "elapsed_us": self.elapsed_us(),
            "exit_code": failed.exit.code(),
        });
        if let Untold::Resolve(ResolveError::Failure { failure, servers }) = untold {
            value["name"] = failure.name.clone().into();
            value["cause"] = cause_name(&failure.cause).into();
            value["ttl_s"] = failure.ttl_s.into();
            value["dnssec"] = match failure.cause {
                NameCause::Bogus(_) => "bogus".into(),
                _ => failure.security.map(Security::name).into(),
            };
            value["steps"] = trace::json(&failure.steps, servers);
        }
        value
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX)
    }
}

fn failed(untold: &Untold) -> Failed {
    let error = match untold {
        Untold::Failed(failed) => return failed.clone(),
        Untold::Resolve(error) => error,
    };
    let exit = match error {
        ResolveError::Failure { failure, .. } => match failure.cause {
            NameCause::Timeout => Exit::Timeout,
            NameCause::PrivateAddress(_) => Exit::Policy,
            NameCause::Busy | NameCause::Stopped => Exit::Engine,
            _ => Exit::Resolve,
        },
        ResolveError::Name { .. } => Exit::Usage,
        ResolveError::Guest(_) => Exit::Guest,
        ResolveError::File { .. } => Exit::Configuration,
        ResolveError::Engine(error) => Exit::of(error),
        _ => Exit::Engine,
    };
    let mut message = error.to_string();
    if exit == Exit::Policy {
        message += "; to have them, pass --private-answers, or put private-answers = \"answered\" \
                    under [dns] of the configuration";
    }
    Failed::new(exit, message)
}

/// A cause's name in JSON; never changes.
fn cause_name(cause: &NameCause) -> &'static str {
    match cause {
        NameCause::NoSuchName => "no-such-name",
        NameCause::NoSuchRecord => "no-such-record",
        NameCause::BadName(_) => "bad-name",
        NameCause::SpecialName(_) => "special-name",
        NameCause::PrivateAddress(_) => "private-address",
        NameCause::ServerFailure(_) => "server-failure",
        NameCause::Malformed(_) => "malformed",
        NameCause::Bogus(_) => "bogus",
        NameCause::AliasLoop => "alias-loop",
        NameCause::Timeout => "timeout",
        NameCause::Unreachable(_) => "unreachable",
        NameCause::NoServers => "no-servers",
        NameCause::Busy => "busy",
        NameCause::Stopped => "stopped",
    }
}

/// Where an answer is from.
fn source(answer: &NameAnswer, servers: &[NameServer]) -> String {
    match answer.source {
        AnswerSource::Cache => "cache".to_owned(),
        AnswerSource::HostTable => "hosts".to_owned(),
        AnswerSource::BuiltIn => "built-in".to_owned(),
        AnswerSource::Server(index) => server(index, servers),
    }
}

/// A server by its index, as it is written.
fn server(index: u32, servers: &[NameServer]) -> String {
    let found = usize::try_from(index).ok().and_then(|at| servers.get(at));
    match found {
        Some(server) => DnsServer::from(server.clone()).to_string(),
        None => format!("server {index}"),
    }
}

#[cfg(test)]
mod tests {
    use super::reverse;

    #[test]
    fn addresses_are_asked_about_backwards() {
        let name = |text: &str| text.parse().map(reverse).unwrap_or_default();
        assert_eq!(name("192.0.2.10"), "10.2.0.192.in-addr.arpa.");
        assert_eq!(
            name("2001:db8::567:89ab"),
            "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
        );
    }
}
