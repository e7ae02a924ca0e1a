//! Asks on the terminal before anything is sent to a host it has not been
//! told of, and fetches it under a grant.
//!
//! ```sh
//! cargo run --release --example ask -- https://example.com/
//! ```

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use fumehood::policy::{Effect, HostPattern, Policy, RequestUrl, Rule};
use fumehood::{Answer, Asked, Engine, GrantTerms, Options};
use http_body_util::{BodyExt, Empty};

/// How long a person may take to answer.
const DEADLINE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // First thing, before any thread: the engine and the broker are this
    // program, executed again.
    fumehood::init();
    let url = std::env::args().nth(1).ok_or("usage: ask URL")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(get(&url));
    // A terminal that is still being read from does not hold us.
    runtime.shutdown_background();
    done
}

async fn get(url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut policy = Policy::default();
    policy.add_rule(Rule::new(Effect::Ask, HostPattern::Any))?;
    let builder = Engine::builder().policy(policy).on_ask(DEADLINE, ask);
    let engine = builder.launch().await?;
    // One request to this origin, a megabyte at most, within a minute.
    let terms = GrantTerms {
        bytes: 1 << 20,
        ..GrantTerms::once(&RequestUrl::parse(url)?)
    };
    let mut request = http::Request::get(url).body(Empty::<bytes::Bytes>::new())?;
    request.extensions_mut().insert(Options {
        grant: Some(engine.grant(terms)?),
        ..Options::default()
    });
    let response = engine.client().send(request).await?;
    let content = response.into_body().collect().await?.to_bytes();
    Ok(std::io::stdout().lock().write_all(&content)?)
}

/// Reading a terminal blocks, so a thread does it.
async fn ask(asked: Asked) -> Answer {
    let asking = tokio::task::spawn_blocking(move || {
        let target = asked.question.target;
        write!(std::io::stderr(), "allow {target}? [once/host/no] ")?;
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        Ok::<_, std::io::Error>(line)
    });
    match asking.await {
        Ok(Ok(line)) if line.trim() == "once" => Answer::AllowOnce,
        Ok(Ok(line)) if line.trim() == "host" => Answer::AllowHost,
        _ => Answer::Deny,
    }
}
