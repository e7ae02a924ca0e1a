//! What a process alone has: pages that it shares with others, such as a module's code,
//! are not in it.

use std::fs;

use crate::text;

/// Anonymous memory and page tables of a process, in KiB.
pub(crate) fn kib_of(pid: i32) -> Result<u64, String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(text)?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_ascii_whitespace().next());
        number
            .and_then(|number| number.parse::<u64>().ok())
            .ok_or_else(|| format!("/proc/PID/status has no {name}"))
    };
    Ok(field("RssAnon:")? + field("VmPTE:")?)
}

/// The same of this process.
pub(crate) fn kib() -> Result<u64, String> {
    kib_of(i32::try_from(std::process::id()).map_err(text)?)
}
