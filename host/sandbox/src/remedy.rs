//! From what failed to its likely cause and what to do about it: pure.

use std::fs;

use fumehood_control::{Layer, LayerReport, LayerState};

use crate::proc_status::StatusFile;

/// What the host says about itself. A setting that the kernel does not have
/// is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// `kernel.apparmor_restrict_unprivileged_userns` (Ubuntu 23.10 and later).
    pub apparmor_restricts_userns: Option<u64>,
    /// `kernel.unprivileged_userns_clone` (Debian).
    pub unprivileged_userns_clone: Option<u64>,
    /// `user.max_user_namespaces`.
    pub user_namespaces_max: Option<u64>,
    /// Seccomp filters that were in force before any of ours: a container's.
    pub foreign_filters: Option<u64>,
}

impl HostFacts {
    /// Looks at `/proc`. Needs no privilege and never fails: what cannot be
    /// read is `None`.
    #[must_use]
    pub fn look() -> Self {
        let status = StatusFile::open().and_then(StatusFile::read);
        Self::with_filters(status.ok().and_then(|status| status.seccomp_filters))
    }

    /// As [`HostFacts::look`], where the filters have been counted already.
    pub(crate) fn with_filters(foreign_filters: Option<u64>) -> Self {
        let setting = |name: &str| {
            fs::read_to_string(format!("/proc/sys/{name}"))
                .ok()?
                .trim()
                .parse::<u64>()
                .ok()
        };
        Self {
            apparmor_restricts_userns: setting("kernel/apparmor_restrict_unprivileged_userns"),
            unprivileged_userns_clone: setting("kernel/unprivileged_userns_clone"),
            user_namespaces_max: setting("user/max_user_namespaces"),
            foreign_filters,
        }
    }
}

/// A likely cause, and what a person can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// What is probably the reason, as a clause.
    pub cause: &'static str,
    /// What to do, as a clause.
    pub fix: &'static str,
}

const MAX_IS_ZERO: Remedy = Remedy {
    cause: "user.max_user_namespaces is 0",
    fix: "run `sysctl -w user.max_user_namespaces=16384` and keep it in /etc/sysctl.d",
};
const CLONE_IS_ZERO: Remedy = Remedy {
    cause: "kernel.unprivileged_userns_clone is 0",
    fix: "run `sysctl -w kernel.unprivileged_userns_clone=1` and keep it in /etc/sysctl.d",
};
const APPARMOR: Remedy = Remedy {
    cause: "AppArmor restricts user namespaces to programs with a profile \
            (kernel.apparmor_restrict_unprivileged_userns is 1)",
    fix: "give the program an AppArmor profile that allows `userns`",
};
const CONTAINER: Remedy = Remedy {
    cause: "a container's seccomp filter is in force and refuses the call",
    fix: "start the container with a seccomp profile that allows unshare, mount, umount2 and \
          pivot_root without capabilities, or allow the missing layers by name",
};
const QUOTA: Remedy = Remedy {
    cause: "the limit on namespaces is reached (user.max_*_namespaces)",
    fix: "raise that limit with sysctl",
};
const USER_FIRST: Remedy = Remedy {
    cause: "it takes a user namespace, or a privilege, which the process does not have",
    fix: "see to the user namespace first",
};
const LANDLOCK_NOT_BUILT: Remedy = Remedy {
    cause: "the kernel has no Landlock",
    fix: "use Linux 5.13 or later with CONFIG_SECURITY_LANDLOCK",
};
const LANDLOCK_OFF: Remedy = Remedy {
    cause: "Landlock was not enabled when the kernel booted",
    fix: "add `landlock` to the kernel's `lsm=` parameter",
};
const LANDLOCK_FILTERED: Remedy = Remedy {
    cause: "a container's seccomp filter refuses the landlock_* calls",
    fix: "start the container with a seccomp profile that allows them",
};
const SECCOMP: Remedy = Remedy {
    cause: "the kernel has no seccomp filters, or a container refuses more of them",
    fix: "use a kernel with CONFIG_SECCOMP_FILTER, and a container profile that allows seccomp",
};
const MDWE: Remedy = Remedy {
    cause: "the kernel does not know PR_SET_MDWE",
    fix: "use Linux 6.3 or later; the seccomp filter refuses such memory too",
};
const IDENTITY: Remedy = Remedy {
    cause: "started as root but without the privilege to become another user \
            (a container without CAP_SETUID and CAP_SETGID, or without that user)",
    fix: "start the program as an ordinary user",
};

/// What to do about a layer; `None` when it holds, is not used, or nothing
/// better is known than what the kernel said.
#[must_use]
pub fn remedy(report: &LayerReport, facts: &HostFacts) -> Option<Remedy> {
    let LayerState::Missing { errno, .. } = report.state else {
        return None;
    };
    match report.layer {
        Layer::UserNamespace => user_namespace(errno, facts),
        Layer::NetNamespace | Layer::MountNamespace | Layer::IpcNamespace => match errno {
            libc::ENOSPC => Some(QUOTA),
            libc::EPERM | libc::EACCES => Some(user_namespace(errno, facts).unwrap_or(USER_FIRST)),
            _ => None,
        },
        Layer::Landlock => match errno {
            libc::ENOSYS => Some(LANDLOCK_NOT_BUILT),
            libc::EOPNOTSUPP => Some(LANDLOCK_OFF),
            libc::EPERM => Some(LANDLOCK_FILTERED),
            _ => None,
        },
        Layer::Seccomp => Some(SECCOMP),
        Layer::Mdwe if errno == libc::EINVAL => Some(MDWE),
        Layer::Unprivileged => Some(IDENTITY),
        Layer::NoNewPrivs
        | Layer::NoCapabilities
        | Layer::Rlimits
        | Layer::Mdwe
        | Layer::NotDumpable => None,
    }
}

/// The settings are told apart by the `errno` that each leads to.
fn user_namespace(errno: i32, facts: &HostFacts) -> Option<Remedy> {
    match errno {
        libc::ENOSPC if facts.user_namespaces_max == Some(0) => Some(MAX_IS_ZERO),
        libc::ENOSPC => Some(QUOTA),
        libc::EPERM if facts.unprivileged_userns_clone == Some(0) => Some(CLONE_IS_ZERO),
        libc::EPERM | libc::EACCES if facts.apparmor_restricts_userns == Some(1) => Some(APPARMOR),
        libc::EPERM if facts.foreign_filters.is_some_and(|n| n > 0) => Some(CONTAINER),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(layer: Layer, errno: i32) -> LayerReport {
        let syscall = "unshare".to_owned();
        LayerReport {
            layer,
            state: LayerState::Missing { syscall, errno },
        }
    }

    #[track_caller]
    fn check(layer: Layer, errno: i32, facts: &HostFacts, want: Option<Remedy>) {
        assert_eq!(remedy(&missing(layer, errno), facts), want);
    }

    #[test]
    fn each_setting_has_its_remedy() {
        let none = HostFacts::default();
        let zero = HostFacts {
            user_namespaces_max: Some(0),
            ..none
        };
        let clone = HostFacts {
            unprivileged_userns_clone: Some(0),
            ..none
        };
        let apparmor = HostFacts {
            apparmor_restricts_userns: Some(1),
            ..none
        };
        let container = HostFacts {
            foreign_filters: Some(1),
            ..none
        };
        let user = Layer::UserNamespace;
        check(user, libc::ENOSPC, &zero, Some(MAX_IS_ZERO));
        check(user, libc::ENOSPC, &none, Some(QUOTA));
        check(user, libc::EPERM, &clone, Some(CLONE_IS_ZERO));
        check(user, libc::EACCES, &apparmor, Some(APPARMOR)); // unshare worked, the map did not
        check(user, libc::EPERM, &container, Some(CONTAINER));
        check(user, libc::EPERM, &none, None);
        check(
            Layer::NetNamespace,
            libc::EPERM,
            &container,
            Some(CONTAINER),
        );
        check(Layer::NetNamespace, libc::EPERM, &none, Some(USER_FIRST));
    }

    #[test]
    fn settings_that_allow_are_not_blamed() {
        let open = HostFacts {
            apparmor_restricts_userns: Some(0),
            unprivileged_userns_clone: Some(1),
            user_namespaces_max: Some(1000),
            foreign_filters: Some(0),
        };
        check(Layer::UserNamespace, libc::EPERM, &open, None);
    }

    #[test]
    fn landlock_by_errno() {
        let none = HostFacts::default();
        check(
            Layer::Landlock,
            libc::ENOSYS,
            &none,
            Some(LANDLOCK_NOT_BUILT),
        );
        check(Layer::Landlock, libc::EOPNOTSUPP, &none, Some(LANDLOCK_OFF));
        check(Layer::Landlock, libc::EPERM, &none, Some(LANDLOCK_FILTERED));
    }

    #[test]
    fn nothing_is_to_do_about_what_holds() {
        for state in [LayerState::Holds(String::new()), LayerState::NotUsed] {
            let report = LayerReport {
                layer: Layer::Seccomp,
                state,
            };
            assert_eq!(remedy(&report, &HostFacts::default()), None);
        }
    }
}
