//! Guests behind glass, kept in step with native ones.
//!
//! A [`Shadow`] is asked everything first, then the native guest is: so a
//! native crash finds on record what the same call came to in WebAssembly.

use std::cell::RefCell;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;

use fumehood_engine::fuzz::pac::{Names, PacGuest, PacInstance};
use fumehood_engine::fuzz::questions::QuestionsGuest;
use fumehood_engine::fuzz::resolver::{Random, ResolverGuest, ResolverInstance};
use fumehood_engine::fuzz::socks::{SocksGuest, SocksInstance};
use fumehood_engine::fuzz::{
    Codec, CodecGuest, Ended, Glass, ServerCodec, TlsConnection, TlsGuest, VerifierGuest,
    VerifierInstance,
};

/// Names the folder of the built guests, where it is not this repository's.
const FOLDER: &str = "FUMEHOOD_GUESTS";

/// All guests, loaded once.
pub struct Guests {
    // Interrupts guests that hang, as long as it lives.
    glass: Glass,
    http1: CodecGuest,
    tls: TlsGuest,
    x509: VerifierGuest,
    socks: SocksGuest,
    questions: QuestionsGuest,
    resolver: ResolverGuest,
    /// As large as all others together, and loaded when it is needed.
    pac: OnceLock<PacGuest>,
}

impl Guests {
    /// Loads them.
    ///
    /// # Panics
    /// If they are not built; the message says how to.
    pub fn get() -> &'static Guests {
        static GUESTS: OnceLock<Guests> = OnceLock::new();
        GUESTS.get_or_init(|| Guests::load(&[]))
    }

    /// Loads them with faulty ones in the place of those.
    ///
    /// # Panics
    /// As [`Guests::get`].
    #[must_use]
    pub fn load(faulty: &[&str]) -> Guests {
        let code = |name: &str| match faulty.contains(&name) {
            true => code(&format!("{name}-faulty")),
            false => code(name),
        };
        let load = || -> Result<Guests, String> {
            let glass = Glass::new()?;
            Ok(Guests {
                http1: glass.http1(&code("http1")?)?,
                tls: glass.tls(&code("tls")?)?,
                x509: glass.x509(&code("x509")?)?,
                socks: glass.socks(&code("socks")?)?,
                questions: glass.questions(&code("dns")?)?,
                resolver: glass.resolver(&code("dns")?)?,
                pac: OnceLock::new(),
                glass,
            })
        };
        load().unwrap_or_else(|why| not_built(&why))
    }

    /// A fresh `http1` instance.
    #[must_use]
    pub fn http1(&self) -> Shadow<Codec> {
        Shadow::begin(self.http1.instance())
    }

    /// A fresh `http1` instance in the server's role.
    #[must_use]
    pub fn server(&self) -> Shadow<ServerCodec> {
        Shadow::begin(self.http1.server())
    }

    /// A fresh `tls` instance.
    #[must_use]
    pub fn tls(&self) -> Shadow<TlsConnection> {
        Shadow::begin(self.tls.instance())
    }

    /// A fresh `x509` instance with these signature checks.
    #[must_use]
    pub fn x509(&self, check: fn(&[u8], &[u8], &[u8]) -> bool) -> Shadow<VerifierInstance> {
        Shadow::begin(self.x509.instance(check))
    }

    /// A fresh `socks` instance.
    #[must_use]
    pub fn socks(&self) -> Shadow<SocksInstance> {
        Shadow::begin(self.socks.instance())
    }

    /// What reads questions, by an instance a call.
    #[must_use]
    pub fn questions(&self) -> Shadow<&QuestionsGuest> {
        Shadow::begin(Ok(&self.questions))
    }

    /// A fresh `dns` instance with these random numbers, of that day.
    #[must_use]
    pub fn resolver(&self, random: Random, today: u64) -> Shadow<ResolverInstance> {
        Shadow::begin(Ok(self.resolver.instance(random, today)))
    }

    /// A fresh `pac` instance that finds names so.
    ///
    /// # Panics
    /// As [`Guests::get`].
    #[must_use]
    pub fn pac(&self, names: Names) -> Shadow<PacInstance> {
        let load = || code("pac").and_then(|code| self.glass.pac(&code));
        let guest = self
            .pac
            .get_or_init(|| load().unwrap_or_else(|why| not_built(&why)));
        Shadow::begin(guest.instance(names))
    }
}

fn not_built(why: &str) -> ! {
    panic!("{why}: `cargo xtask guests` builds the guests")
}

fn code(name: &str) -> Result<Vec<u8>, String> {
    let folder = std::env::var_os(FOLDER).map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/out"),
        PathBuf::from,
    );
    let path = folder.join(format!("{name}.cwasm"));
    fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
}

thread_local! {
    /// What the latest call of this thread's shadow came to.
    static LATEST: RefCell<Option<Result<String, Ended>>> = const { RefCell::new(None) };
}

/// How the latest call of this thread's guest behind glass ended, if it did
/// not answer; forgets it.
pub fn take_end() -> Option<Ended> {
    LATEST.take()?.err()
}

/// Runs it on a thread with so much stack, in bytes; its panic, and how its guest
/// behind glass ended, are the caller's.
///
/// # Panics
/// If the system gives no thread.
pub fn with_stack<T: Send>(bytes: usize, run: impl FnOnce() -> T + Send) -> T {
    let outcome = thread::scope(|scope| {
        let run = || (catch_unwind(AssertUnwindSafe(run)), LATEST.take());
        let thread = thread::Builder::new().stack_size(bytes);
        let thread = thread.spawn_scoped(scope, run).expect("a thread");
        thread.join()
    });
    match outcome {
        Ok((outcome, latest)) => {
            LATEST.set(latest);
            outcome.unwrap_or_else(|panic| resume_unwind(panic))
        }
        Err(panic) => resume_unwind(panic),
    }
}

/// A guest behind glass, or none.
pub struct Shadow<T>(Option<T>);

impl<T> Shadow<T> {
    /// Nothing to compare with: the native guest runs alone.
    #[must_use]
    pub fn none() -> Shadow<T> {
        Shadow(None)
    }

    fn begin(instance: Result<T, Ended>) -> Shadow<T> {
        LATEST.set(None);
        match instance {
            Ok(instance) => Shadow(Some(instance)),
            Err(ended) => panic!("no instance could be had: {ended}"),
        }
    }

    /// Makes a call behind glass.
    pub fn ask(&mut self, call: impl FnOnce(&mut T) -> Result<String, Ended>) {
        if let Some(instance) = &mut self.0 {
            LATEST.set(Some(call(instance)));
        }
    }

    /// The native guest said this to the same call.
    ///
    /// # Panics
    /// If the guest behind glass said anything else, or ended.
    pub fn compare(&self, native: impl FnOnce() -> String) {
        if self.0.is_none() {
            return;
        }
        let native = native();
        LATEST.with_borrow(|latest| match latest {
            Some(Ok(said)) => assert_eq!(
                plain(said),
                plain(&native),
                "behind glass (left) the guest says something else than natively (right)"
            ),
            Some(Err(ended)) => {
                panic!("the guest ended behind glass ({ended}) and natively said {native}")
            }
            None => panic!("the guest behind glass was not asked"),
        });
    }
}

/// A `Debug` text as derived ones are: generated ones name the enum before each
/// variant, and fields as WIT does. Quoted text stays as it is.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for it in text.chars() {
        match it {
            '"' if !escaped => quoted = !quoted,
            '-' if !quoted => {
                plain.push('_');
                continue;
            }
            ':' if !quoted && plain.ends_with(':') => {
                plain.pop();
                let kept = plain.trim_end_matches(|it: char| it.is_ascii_alphanumeric());
                plain.truncate(kept.len());
                continue;
            }
            _ => {}
        }
        escaped = it == '\\' && !escaped;
        plain.push(it);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_and_derived_texts_become_the_same() {
        let generated = r#"Err(Error::Peer(Failure { peer-alert: "a-b::\"c-d" }))"#;
        let derived = r#"Err(Peer(Failure { peer_alert: "a-b::\"c-d" }))"#;
        assert_eq!(plain(generated), derived);
        assert_eq!(plain(derived), derived);
    }
}
