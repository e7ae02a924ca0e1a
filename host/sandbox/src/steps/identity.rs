//! From root to nobody.

use rustix::process::{DumpableBehavior, Gid, Uid, geteuid, getuid, set_dumpable_behavior};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::capabilities::empty_bounding_set;
use crate::layers::{Failed, because};

/// The user and group that a process started by root becomes: `nobody` by
/// convention, and the kernel's own number for "no user of this namespace".
pub const NOBODY: u32 = 65534;

/// Does nothing for a process that any ordinary user started.
pub(super) fn become_nobody() -> Result<(), Failed> {
    if !geteuid().is_root() && !getuid().is_root() {
        return Ok(());
    }
    // Only while it has the privilege. Where that fails, no-new-privs does.
    empty_bounding_set();
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    // The calls concern one thread; there is only one.
    set_thread_groups(&[]).map_err(because("setgroups"))?;
    set_thread_res_gid(group, group, group).map_err(because("setresgid"))?;
    set_thread_res_uid(user, user, user).map_err(because("setresuid"))?;
    // The change of user took dumpability away, and with it the right to
    // write the maps of a user namespace. It goes again, for good, after them.
    set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(because("prctl(PR_SET_DUMPABLE)"))
}
