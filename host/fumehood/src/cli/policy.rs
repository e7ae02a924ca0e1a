//! `fumehood policy`: what holds, and what would become of a request.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use fumehood::admin::{self, Request};
use fumehood::policy::{
    Decision, Denial, Grounds, Policy, RequestUrl, Scheme, ServedScheme, Terms, Transport,
    UrlError, standing_of,
};
use fumehood::{
    Engine, Explained, Explainer, ProxyStatus, Resolution, Revision, Settings, Verdict,
};
use serde_json::{Value, json};

use super::args::{Asked, PolicyAction, PolicyArgs, Resolving};
use super::escape::for_terminal;
use super::exit::{Exit, Failed};
use super::modules::{complain, json as line};
use super::{settings, shown};

/// Runs the command.
pub(crate) async fn run(args: &PolicyArgs) -> ExitCode {
    let done = match &args.action {
        PolicyAction::Check(asked) => ask(asked, Style::Short).await,
        PolicyAction::Explain(asked) => ask(asked, Style::Long).await,
        PolicyAction::Show(args) => shown::show(args).map(|text| (text, ExitCode::SUCCESS)),
        PolicyAction::Revoke { grant, socket } => revoke(socket, *grant).await,
        PolicyAction::Reload { socket, json } => reload(socket, *json).await,
    };
    match done {
        Ok((text, code)) => {
            // A standard output that is closed changes nothing.
            let _unheard = std::io::stdout().lock().write_all(text.as_bytes());
            code
        }
        Err(failed) => complain(&failed),
    }
}

async fn reload(socket: &std::path::Path, as_json: bool) -> Result<(String, ExitCode), Failed> {
    let answer = admin::ask(socket, &Request::PolicyReload {}).await?;
    let revision: Revision =
        serde_json::from_value(answer).map_err(|e| Failed::new(Exit::Engine, e.to_string()))?;
    let text = match as_json {
        true => line(&revision)?,
        false => format!("version {} ({}) holds\n", revision.number, revision.digest),
    };
    Ok((text, ExitCode::SUCCESS))
}

async fn revoke(socket: &std::path::Path, grant: u64) -> Result<(String, ExitCode), Failed> {
    admin::ask(socket, &Request::Revoke { grant }).await?;
    Ok((format!("grant {grant} is taken back\n"), ExitCode::SUCCESS))
}

/// How much is said of each URL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Short,
    Long,
}

/// The last URL that would fail decides the exit code.
async fn ask(asked: &Asked, style: Style) -> Result<(String, ExitCode), Failed> {
    let source = settings::source(&asked.permissions);
    let settings = settings::load(&source)?;
    let builder = Engine::builder().follow(&settings, &source, false);
    let builder = asked.sandbox.put_into(builder);
    let resolve = asked.resolve == Resolving::Broker;
    let explainer = builder.explainer(resolve).await?;
    let terms = Terms {
        method: Some(asked.method.clone()),
        client: asked.client.clone(),
        ..Terms::default()
    };
    let (mut text, mut code) = (String::new(), ExitCode::SUCCESS);
    for url in &asked.urls {
        let report = one(&explainer, &settings, url, &terms).await?;
        if let Some(exit) = report.exit {
            code = ExitCode::from(exit.code());
        }
        text += &match (asked.json, style) {
            (true, _) => line(&report.to_json())?,
            (false, Style::Short) => report.short(),
            (false, Style::Long) => report.long(),
        };
    }
    Ok((text, code))
}

/// Reads where a request goes, or datagrams (`udp://host:port`).
fn parse(url: &str) -> Result<RequestUrl, String> {
    let absolute = match url.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case(Scheme::Udp.name()) => {
            return RequestUrl::parse_datagrams(url).map_err(|e| e.to_string());
        }
        Some((scheme, _)) => return parse_of_any(url, scheme),
        None => format!("http://{url}"),
    };
    RequestUrl::parse(&absolute).map_err(|e| e.to_string())
}

/// The same of a scheme that a module may serve. Rules speak of it whether or not
/// one does; what port it means where it names none, only the module knows.
fn parse_of_any(url: &str, scheme: &str) -> Result<RequestUrl, String> {
    let unserved = match RequestUrl::parse(url) {
        Err(error @ UrlError::Scheme(_)) => error,
        parsed => return parsed.map_err(|e| e.to_string()),
    };
    let with_default = |port: u16| {
        let name = scheme.to_ascii_lowercase();
        let served = ServedScheme::new(&name, port, Transport::Tcp);
        let served = served.map_err(|_| unserved.to_string())?;
        RequestUrl::parse_served(url, &[served]).map_err(|e| e.to_string())
    };
    let (parsed, other) = (with_default(1)?, with_default(2)?);
    if parsed.target.port != other.target.port {
        return Err(format!(
            "write its port: only a module that serves {scheme} knows the usual one"
        ));
    }
    Ok(parsed)
}

/// What is known of one URL.
struct Report<'a> {
    url: &'a str,
    policy: &'a Policy,
    outcome: Result<Explained, String>,
    exit: Option<Exit>,
    proxy: Option<ProxyStatus>,
}

async fn one<'a>(
    explainer: &Explainer,
    settings: &'a Settings,
    url: &'a str,
    terms: &Terms,
) -> Result<Report<'a>, Failed> {
    let policy = &settings.policy;
    let parsed = match parse(url) {
        Ok(parsed) => parsed,
        Err(why) => {
            return Ok(Report {
                url,
                policy,
                outcome: Err(why),
                exit: Some(Exit::Url),
                proxy: None,
            });
        }
    };
    let mut terms = terms.clone();
    if parsed.target.scheme == Scheme::Udp {
        // Datagrams have no method.
        terms.method = None;
    }
    let explained = explainer.explain(&parsed, &terms).await;
    let explained = explained.map_err(|e| Failed::new(Exit::Engine, e.to_string()))?;
    let (exit, proxy) = match explained.verdict() {
        Verdict::Allowed => (None, None),
        Verdict::Denied(denial) => (Some(Exit::Policy), Some(ProxyStatus::of_denial(denial))),
        Verdict::Asked(question) => {
            let denial = question.clone().unanswered();
            (Some(Exit::Policy), Some(ProxyStatus::of_denial(&denial)))
        }
        Verdict::Unresolved(failure) => {
            let exit = Exit::of_dial(failure);
            (Some(exit), Some(ProxyStatus::of_failure(failure)))
        }
    };
    Ok(Report {
        url,
        policy,
        outcome: Ok(explained),
        exit,
        proxy,
    })
}

impl Report<'_> {
    /// One line.
    fn short(&self) -> String {
        let url = for_terminal(self.url.as_bytes());
        match &self.outcome {
            Err(why) => format!("refused    {url}: {why}\n"),
            Ok(explained) => {
                let (word, why) = self.verdict(explained);
                format!("{word:<10} {url}: {}\n", for_terminal(why.as_bytes()))
            }
        }
    }

    /// Step by step.
    fn long(&self) -> String {
        let mut text = format!("{}\n", for_terminal(self.url.as_bytes()));
        let mut row = |name: &str, value: &str| {
            // Writing to a string does not fail.
            let _infallible = writeln!(text, "  {name:<10} {}", for_terminal(value.as_bytes()));
        };
        let explained = match &self.outcome {
            Ok(explained) => explained,
            Err(why) => {
                row("refused", why);
                row("exit code", &Exit::Url.code().to_string());
                return text;
            }
        };
        row(
            "target",
            &format!("{} port {}", explained.target, explained.target.port),
        );
        row("rule", &self.ground(&explained.decision));
        match &explained.resolution {
            Resolution::Skipped => row("addresses", "not looked up"),
            Resolution::Failed(_) => row("addresses", "none"),
            Resolution::Addresses(addresses) => {
                for (address, decision) in addresses {
                    let space = standing_of(*address).space.name();
                    row(
                        "address",
                        &format!("{address} ({space}): {}", self.ground(decision)),
                    );
                }
            }
        }
        let (word, why) = self.verdict(explained);
        row(word, &why);
        if let Some(proxy) = &self.proxy {
            row(
                "proxy",
                &format!("{} Proxy-Status: {}", proxy.status, proxy.field),
            );
        }
        let code = self.exit.map_or(0, Exit::code);
        row("exit code", &code.to_string());
        text
    }

    /// One word and one sentence.
    fn verdict(&self, explained: &Explained) -> (&'static str, String) {
        match explained.verdict() {
            Verdict::Allowed => {
                let reported = match (&explained.decision, &explained.resolution) {
                    (it @ Decision::Report(_), _) => Some(it),
                    (_, Resolution::Addresses(all)) => all
                        .iter()
                        .map(|(_, decision)| decision)
                        .find(|it| matches!(it, Decision::Report(_))),
                    _ => None,
                };
                match reported {
                    Some(decision) => ("reported", self.ground(decision)),
                    None => ("allowed", self.ground(&explained.decision)),
                }
            }
            Verdict::Denied(denial) => ("denied", denial.to_string()),
            Verdict::Asked(question) => ("asked", format!("a rule asks about {}", question.rule)),
            Verdict::Unresolved(failure) => ("unresolved", unresolved(failure)),
        }
    }

    /// Why, as a clause.
    fn ground(&self, decision: &Decision) -> String {
        match decision {
            Decision::Allow(Grounds::Default) => "no rule is against it".to_owned(),
            Decision::Allow(Grounds::Private) => "it is a private host that is allowed".to_owned(),
            Decision::Allow(Grounds::Confirmed) => "it was asked about".to_owned(),
            Decision::Allow(Grounds::Addresses) => "its addresses decide".to_owned(),
            Decision::Allow(Grounds::Rule { line }) => match self.policy.place_of(*line) {
                Some(place) => format!("allowed by the rule at {place}"),
                None => "allowed by a rule".to_owned(),
            },
            Decision::Deny(denial) => denial.to_string(),
            Decision::Report(denial) => format!("only reported: {denial}"),
            Decision::Ask(question) => format!("to be asked about: {}", question.rule),
        }
    }

    fn to_json(&self) -> Value {
        let code = self.exit.map_or(0, Exit::code);
        let explained = match &self.outcome {
            Ok(explained) => explained,
            Err(why) => {
                return json!({
                    "url": self.url,
                    "verdict": "refused",
                    "message": why,
                    "exit_code": code,
                });
            }
        };
        let (word, message) = self.verdict(explained);
        let denial = match explained.verdict() {
            Verdict::Denied(denial) => Some(denial.clone()),
            Verdict::Asked(question) => Some(question.clone().unanswered()),
            Verdict::Allowed | Verdict::Unresolved(_) => None,
        };
        let addresses = match &explained.resolution {
            Resolution::Addresses(addresses) => Some(
                addresses
                    .iter()
                    .map(|(address, decision)| {
                        json!({
                            "address": address,
                            "space": standing_of(*address).space.name(),
                            "decision": word_of(decision),
                            "ground": self.ground(decision),
                        })
                    })
                    .collect::<Vec<_>>(),
            ),
            Resolution::Skipped | Resolution::Failed(_) => None,
        };
        json!({
            "url": self.url,
            "scheme": explained.target.scheme.name(),
            "host": explained.target.host.to_string(),
            "port": explained.target.port,
            "verdict": word,
            "ground": self.ground(&explained.decision),
            "addresses": addresses,
            "message": message,
            "reason": denial.as_ref().map(|it| it.reason.name()),
            "remedy": denial.as_ref().and_then(Denial::remedy),
            "proxy": self.proxy.as_ref().map(|it| {
                json!({ "status": it.status.as_u16(), "proxy_status": it.field })
            }),
            "exit_code": code,
        })
    }
}

fn word_of(decision: &Decision) -> &'static str {
    match decision {
        Decision::Allow(_) => "allowed",
        Decision::Deny(_) => "denied",
        Decision::Report(_) => "reported",
        Decision::Ask(_) => "asked",
    }
}

fn unresolved(failure: &fumehood::control::DialFailure) -> String {
    use fumehood::control::DialFailure;
    match failure {
        DialFailure::Resolve(why) => format!("its name does not resolve: {why}"),
        DialFailure::Timeout { .. } => "its name does not resolve in time".to_owned(),
        other => format!("its name is not resolved: {other:?}"),
    }
}
