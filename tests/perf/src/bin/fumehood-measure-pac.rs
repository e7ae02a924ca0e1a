//! Times the PAC guest: `fumehood-measure-pac SCRIPT CALLS HOST…`.
//!
//! Prints one JSON object, times in microseconds, medians:
//!
//! ```text
//! {"load": 9000.0, "call": 40.0, "memory": 8000000, "answers": ["PROXY a:1", …]}
//! ```
//!
//! `load` goes from the compiled module to the first answer, `call` is one
//! call of a warm script with all that crosses the guest's border.

use std::process::ExitCode;
use std::time::Instant;

use fumehood_control::{ModuleHeader, PacMoment, PacTarget};
use fumehood_engine::measure::{Code, Pac};
use fumehood_tests::artifacts;

/// Native stack of the thread that scripts run on, in bytes.
const STACK_BYTES: usize = 16 << 20;

/// Loads for a median.
const LOADS: usize = 9;

/// Rounds of calls for a median.
const ROUNDS: usize = 15;

/// Any time will do; the scripts do not ask.
const AT: PacMoment = PacMoment {
    now_ms: 1_790_000_000_000,
    seed: 1,
};

#[expect(clippy::print_stdout, reason = "the figures are what was asked for")]
#[expect(clippy::print_stderr, reason = "the one way to say why there are none")]
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // As deep as scripts may recurse in the engine.
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let measured = thread.spawn(move || measure(&words));
    let measured = measured.map_err(|e| e.to_string()).and_then(|thread| {
        thread
            .join()
            .unwrap_or_else(|_| Err("the thread that measures ended".to_owned()))
    });
    match measured {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("fumehood-measure-pac: {why}");
            ExitCode::FAILURE
        }
    }
}

fn measure(words: &[String]) -> Result<serde_json::Value, String> {
    let [script, calls, hosts @ ..] = words else {
        return Err("usage: fumehood-measure-pac SCRIPT CALLS HOST…".to_owned());
    };
    let text = std::fs::read(script).map_err(|e| format!("{script}: {e}"))?;
    let calls: usize = calls.parse().map_err(|e| format!("{calls}: {e}"))?;
    let targets: Vec<PacTarget> = hosts.iter().map(|host| target(host)).collect();
    let first = targets.first().ok_or("no host to ask about")?;
    let native = std::fs::read(artifacts::native_code("pac")).map_err(|e| e.to_string())?;
    let header = ModuleHeader {
        name: "pac".to_owned(),
        version: "0.0.0".to_owned(),
        digest: [0; 32],
    };
    let pac = Pac::load(&Code { header, native })?;

    let mut loads = Vec::new();
    for _ in 0..LOADS {
        let began = Instant::now();
        pac.script(&text, AT)?.find(first, AT)?;
        loads.push(began.elapsed().as_secs_f64() * 1e6);
    }
    let mut script = pac.script(&text, AT)?;
    let answers: Result<Vec<String>, String> = targets
        .iter()
        .map(|target| script.find(target, AT))
        .collect();
    let answers = answers?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for target in targets.iter().cycle().take(calls) {
            script.find(target, AT)?;
        }
        #[expect(clippy::cast_precision_loss, reason = "a few thousand calls")]
        rounds.push(began.elapsed().as_secs_f64() * 1e6 / calls as f64);
    }
    Ok(serde_json::json!({
        "load": median(loads),
        "call": median(rounds),
        "memory": script.memory_bytes(),
        "answers": answers,
    }))
}

fn target(host: &str) -> PacTarget {
    PacTarget {
        scheme: "http".to_owned(),
        host: host.to_owned(),
        port: None,
        path: "/index.html".to_owned(),
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
