//! A network in a bottle: namespaces in which every address of the internet
//! is this machine, so that whatever is dialled arrives and can be counted.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount, mount_bind};

use super::netlink;
use crate::cli::exit::{Exit, Failed};
use crate::cli::passing::PassingFolder;

/// The C library's resolver asks us, again where a busy machine kept us from
/// answering, and looks nothing up elsewhere.
const RESOLV_CONF: &str = "nameserver 127.0.0.1\noptions timeout:2 attempts:3\n";

/// Where programs share memory by name.
const SHARED_MEMORY: &str = "/dev/shm";

/// What every machine has.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";

/// What `fumehood` goes by: its defaults, and one host that a rule denies.
const CONFIGURATION: &str =
    "[[policy.deny]]\nhosts = [\"forbidden.prove.test\", \"*.forbidden.prove.test\"]\n";

/// The process is in it. Its folder goes with it.
#[derive(Debug)]
pub(super) struct Bottle {
    folder: PassingFolder,
}

impl Bottle {
    /// Enters it. The process has no other thread yet.
    pub(super) fn enter() -> Result<Self, Failed> {
        fumehood_sandbox::enter_private_network().map_err(|e| {
            failed(&format!(
                "{e}. Run it as root, or allow user namespaces (see `fumehood doctor`)"
            ))
        })?;
        netlink::own_every_address().map_err(|e| failed(&e))?;
        let folder = PassingFolder::new("prove").map_err(|e| failed(&e))?;
        let bottle = Bottle { folder };
        bottle.furnish().map_err(|e| failed(&e))?;
        Ok(bottle)
    }

    /// The configuration that ours go by.
    pub(super) fn configuration(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    /// Puts another version of the configuration in place, which says the same.
    pub(super) fn rewrite_configuration(&self, version: usize) -> io::Result<()> {
        let new = self.folder.path().join("config.new");
        fs::write(&new, format!("{CONFIGURATION}# version {version}\n"))?;
        fs::rename(new, self.configuration())
    }

    fn furnish(&self) -> io::Result<()> {
        self.cover("resolv.conf", RESOLV_CONF)?;
        self.cover("hosts", HOSTS)?;
        // What a proxy under trial leaves there goes with it.
        if Path::new(SHARED_MEMORY).exists() {
            let harmless = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            let options = c"size=64m,mode=1777";
            mount("none", SHARED_MEMORY, "tmpfs", harmless, options)?;
        }
        self.rewrite_configuration(0)
    }

    /// Puts a file over that of `/etc`, for whoever is in the bottle.
    fn cover(&self, name: &str, text: &str) -> io::Result<()> {
        let (ours, theirs) = (self.folder.path().join(name), Path::new("/etc").join(name));
        fs::write(&ours, text)?;
        // Others read it too, whatever the umask is.
        fs::set_permissions(&ours, fs::Permissions::from_mode(0o644))?;
        mount_bind(&ours, &theirs)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", theirs.display())))
    }
}

fn failed(why: &dyn std::fmt::Display) -> Failed {
    Failed::new(
        Exit::Launch,
        format!("a network to try this on cannot be made: {why}"),
    )
}
