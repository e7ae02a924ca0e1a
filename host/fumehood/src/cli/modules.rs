//! `fumehood modules`: of a running engine, or of one started to look.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fumehood::admin::{self, AdminError, Request};
use fumehood::replay::{ReplayError, Replayed, replay};
use fumehood::{
    Anchors, CrashReports, Engine, Listing, Module, ModuleError, ModuleId, ModuleInfo, ModuleKey,
    ModuleSettings, ModuleTrust, SettingsSource, crashes, module_directory, signed_statement,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::args::{ModuleFile, Modules, ModulesAction, Reach};
use super::escape::for_terminal;
use super::exit::{Exit, Failed};
use super::settings;

/// Runs the command.
pub(crate) async fn run(args: &Modules) -> ExitCode {
    match perform(&args.action).await {
        Ok((text, code)) => {
            // A standard output that is closed changes nothing.
            let _unheard = std::io::stdout().lock().write_all(text.as_bytes());
            code
        }
        Err(failed) => complain(&failed),
    }
}

/// Says on standard error why not.
pub(crate) fn complain(failed: &Failed) -> ExitCode {
    let text = for_terminal(failed.to_string().as_bytes());
    // The exit code still tells.
    let _unheard = writeln!(
        std::io::stderr().lock(),
        "fumehood: ({}) {text}",
        failed.exit.code()
    );
    ExitCode::from(failed.exit.code())
}

/// One line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Failed> {
    let text = serde_json::to_string(value);
    let text = text.map_err(|e| Failed::new(Exit::Write, e.to_string()))?;
    Ok(text + "\n")
}

type Done = Result<(String, ExitCode), Failed>;

fn done(text: String) -> Done {
    Ok((text, ExitCode::SUCCESS))
}

async fn perform(action: &ModulesAction) -> Done {
    match action {
        ModulesAction::List(reach) => {
            let listing = list(reach).await?;
            done(if reach.json {
                json(&listing)?
            } else {
                table(&listing)
            })
        }
        ModulesAction::Inspect { name, reach } => {
            let mut listing = list(reach).await?;
            listing.modules.retain(|info| info.name == *name);
            if listing.modules.is_empty() {
                return Err(ModuleError::Unknown(name.clone()).into());
            }
            done(match reach.json {
                true => json(&listing.modules)?,
                false => listing.modules.iter().map(page).collect(),
            })
        }
        ModulesAction::Load { file, reach } => load(file, reach).await,
        ModulesAction::Swap {
            name,
            digest,
            reach,
        } => {
            let request = Request::Swap {
                name: name.clone(),
                digest: digest.clone(),
            };
            swap(reach, &request).await
        }
        ModulesAction::Rollback { name, reach } => {
            swap(reach, &Request::Rollback { name: name.clone() }).await
        }
        ModulesAction::Verify {
            file,
            key,
            statement,
            reach,
        } => verify(file, key, *statement, reach).await,
        ModulesAction::Replay {
            trail,
            module,
            json,
        } => play(trail, module.as_deref(), *json).await,
    }
}

async fn list(reach: &Reach) -> Result<Listing, Failed> {
    match &reach.socket {
        Some(socket) => ask(socket, &Request::List {}).await,
        None => Ok(looker(reach).await?.modules().list().await?),
    }
}

async fn load(file: &ModuleFile, reach: &Reach) -> Done {
    let request = Request::Load {
        path: absolute(&file.file)?,
        name: file.name.clone(),
        version: file.version.clone(),
    };
    let loaded: Value = ask(&running(reach)?, &request).await?;
    done(match reach.json {
        true => json(&loaded)?,
        false => format!(
            "{} {} is a candidate; make it current with\n  fumehood modules swap {} {}\n",
            shown(&loaded["name"]),
            shown(&loaded["version"]),
            shown(&loaded["name"]),
            shown(&loaded["digest"])
                .chars()
                .take(12)
                .collect::<String>(),
        ),
    })
}

async fn swap(reach: &Reach, request: &Request) -> Done {
    let swapped: Value = ask(&running(reach)?, request).await?;
    done(match reach.json {
        true => json(&swapped)?,
        false => format!(
            "{} is current in place of {}; it took {} µs\n",
            shown(&swapped["to"]),
            shown(&swapped["from"]),
            swapped["took_us"],
        ),
    })
}

async fn verify(file: &ModuleFile, keys: &[ModuleKey], statement: bool, reach: &Reach) -> Done {
    let path = absolute(&file.file)?;
    if statement {
        return done(signed_statement(&path, identity(file)?)?);
    }
    let info: ModuleInfo = match &reach.socket {
        Some(socket) => {
            let (name, version) = (file.name.clone(), file.version.clone());
            ask(
                socket,
                &Request::Verify {
                    path,
                    name,
                    version,
                },
            )
            .await?
        }
        None => {
            let trust = match keys {
                [] => configured()?.trust().unwrap_or_default(),
                keys => keys
                    .iter()
                    .copied()
                    .fold(ModuleTrust::new().signed_only(), ModuleTrust::key),
            };
            fumehood::verify_module(&path, identity(file)?, &trust).await?
        }
    };
    done(if reach.json {
        json(&info)?
    } else {
        page(&info)
    })
}

async fn play(trail: &Path, module: Option<&Path>, as_json: bool) -> Done {
    let recorded =
        crashes::read_trail(trail).map_err(|e| Failed::new(Exit::Read, e.to_string()))?;
    let replayed = replay(&recorded, module.map(|path| (path, None))).await?;
    let same = recorded.is_reproduced_by(&replayed);
    let (end, detail) = match &replayed {
        Replayed::Fault(fault) => (fault.kind.clone(), fault.detail.clone()),
        Replayed::Refused(call) => (
            "refused".to_owned(),
            format!("the guest refuses {call}, as it may"),
        ),
        Replayed::Survived => ("survived".to_owned(), "all calls were answered".to_owned()),
    };
    let text = match as_json {
        true => json(&json!({
            "module": recorded.module, "version": recorded.version, "digest": recorded.digest,
            "calls": recorded.calls.len(), "end": end, "detail": detail, "reproduced": same,
        }))?,
        false => {
            let verdict = if same {
                "the recorded end"
            } else {
                "another end than was recorded"
            };
            let text = format!(
                "{}: {} calls, {verdict}\n  {end}: {detail}\n",
                recorded.title(),
                recorded.calls.len()
            );
            text.lines()
                .map(|line| for_terminal(line.as_bytes()) + "\n")
                .collect()
        }
    };
    Ok((
        text,
        if same {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        },
    ))
}

/// What the configuration of the user says of modules.
fn configured() -> Result<ModuleSettings, Failed> {
    Ok(settings::load(&SettingsSource::default())?.modules)
}

/// An engine of our own, which loads the embedded modules, the evaluator of
/// scripts among them, and those of the directory, and speaks to nobody.
async fn looker(reach: &Reach) -> Result<Engine, Failed> {
    let configured = configured()?;
    let mut modules = Module::embedded_defaults();
    modules.push(Module::embedded_pac());
    let builder = Engine::builder()
        .trust(configured.trust().unwrap_or_default().only_looking())
        .modules(modules)
        .anchors(Anchors::Nothing)
        .crash_reports(CrashReports::Off);
    let engine = builder.launch().await?;
    let folder = reach
        .directory
        .clone()
        .or(configured.directory.value)
        .or_else(|| module_directory().filter(|path| path.is_dir()));
    if let Some(folder) = folder {
        engine.modules().load_directory(&folder).await?;
    }
    Ok(engine)
}

async fn ask<T: DeserializeOwned>(socket: &Path, request: &Request) -> Result<T, Failed> {
    let result = admin::ask(socket, request).await?;
    serde_json::from_value(result).map_err(|e| Failed::new(Exit::Engine, e.to_string()))
}

fn running(reach: &Reach) -> Result<PathBuf, Failed> {
    reach.socket.clone().ok_or_else(|| {
        let why = "this is done to a running engine: name its admin socket with --socket";
        Failed::new(Exit::Usage, why)
    })
}

/// The engine has a working directory of its own.
fn absolute(path: &Path) -> Result<PathBuf, Failed> {
    std::path::absolute(path)
        .map_err(|e| Failed::new(Exit::Read, format!("{}: {e}", path.display())))
}

fn identity(file: &ModuleFile) -> Result<Option<ModuleId>, Failed> {
    let (Some(name), Some(version)) = (&file.name, &file.version) else {
        return Ok(None);
    };
    let id = ModuleId::new(name, version);
    id.map(Some)
        .ok_or_else(|| Failed::new(Exit::Usage, format!("{name} {version} names no module")))
}

fn table(listing: &Listing) -> String {
    let mut text = String::new();
    for info in &listing.modules {
        let digest: String = info.digest.chars().take(12).collect();
        let state = info.state.as_deref().unwrap_or("-");
        let mut line = format!(
            "{:<8} {:<12} {digest}  {state:<11} {:<9} {}",
            info.name, info.version, info.origin, info.signature
        );
        if let Some(it) = info.in_use.filter(|it| it.faults > 0) {
            line += &format!("  {} faults, {} resumed", it.faults, it.resumed);
        }
        text += &(for_terminal(line.as_bytes()) + "\n");
    }
    for refusal in &listing.refused {
        let line = format!("refused  {}: {}", refusal.file, refusal.why);
        text += &(for_terminal(line.as_bytes()) + "\n");
    }
    text
}

fn page(info: &ModuleInfo) -> String {
    let mut text = String::new();
    let mut say = |line: String| {
        // Writing to a string does not fail.
        let _infallible = writeln!(text, "{}", for_terminal(line.as_bytes()));
    };
    say(format!("{} {}", info.name, info.version));
    say(format!("  digest     {}", info.digest));
    say(format!(
        "  origin     {}",
        info.file.as_ref().unwrap_or(&info.origin)
    ));
    say(format!("  signature  {}", info.signature));
    if let Some(state) = &info.state {
        say(format!("  state      {state}"));
    }
    if !info.schemes.is_empty() {
        say(format!("  serves     {}", list_of(&info.schemes)));
    }
    say(format!("  imports    {}", list_of(&info.imports)));
    say(format!("  exports    {}", list_of(&info.exports)));
    if info.component_bytes > 0 {
        say(format!("  component  {} bytes", info.component_bytes));
    }
    say(format!("  code       {} bytes", info.native_bytes));
    if let Some(it) = &info.in_use {
        say(format!(
            "  instances  {} live with {} bytes, {} made",
            it.live, it.memory_bytes, it.made
        ));
        say(format!(
            "  faults     {}, {} of them resumed",
            it.faults, it.resumed
        ));
    }
    text
}

fn list_of(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    }
}

fn shown(value: &Value) -> String {
    for_terminal(value.as_str().unwrap_or_default().as_bytes())
}

impl From<ModuleError> for Failed {
    fn from(error: ModuleError) -> Self {
        match error {
            ModuleError::Engine(error) => (*error).into(),
            error => Failed::new(Exit::Module, error.to_string()),
        }
    }
}

impl From<AdminError> for Failed {
    fn from(error: AdminError) -> Self {
        let exit = match &error {
            AdminError::Refused { code, .. } if code == "configuration" => Exit::Configuration,
            AdminError::Refused { .. } => Exit::Module,
            _ => Exit::Connect,
        };
        Failed::new(exit, error.to_string())
    }
}

impl From<ReplayError> for Failed {
    fn from(error: ReplayError) -> Self {
        Failed::new(Exit::Module, error.to_string())
    }
}
