//! May this process make namespaces and TUN devices? If not: become root of a user namespace of its own, or say exactly
//! what is missing and what helps.

use std::{fmt, fs, io, os::unix::process::CommandExt as _, path::Path, process::Command};

use nix::{
    sched::{CloneFlags, unshare},
    unistd::{getegid, geteuid},
};

use crate::LabError;

/// The device from which TUN interfaces are made.
const TUN_DEVICE: &str = "/dev/net/tun";
/// The lowest bits of `CapEff` in `/proc/self/status` that the lab needs, by their names in capabilities(7).
const NEEDED_CAPABILITIES: [(&str, u32); 3] =
    [("CAP_NET_ADMIN", 12), ("CAP_SYS_CHROOT", 18), ("CAP_SYS_ADMIN", 21)];
/// Runs what follows as root of a user namespace.
const UNSHARE: [&str; 4] = ["unshare", "--user", "--map-root-user", "--"];
/// Set for a process that was started again inside a user namespace, so that it does not try for ever.
const AGAIN: &str = "COMMUCAT_LAB_IN_USER_NAMESPACE";

/// How the process came to its rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Privilege {
    /// It had them: root, or the capabilities.
    Held,
    /// It is root of a user namespace of its own, and an ordinary user outside.
    UserNamespace,
}

/// What the system lacks, and the command that helps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// No TUN driver.
    TunDevice,
    /// The TUN device is there, but not for us.
    TunPermission,
    /// The TUN device cannot be opened; the system's reason.
    TunBroken(String),
    /// There is no `/etc/resolv.conf` over which the lab's own could be bound.
    ResolvConf,
    /// These capabilities, and a user namespace that would give them is refused for this reason.
    Capabilities {
        /// Their names.
        names: Vec<&'static str>,
        /// Why no user namespace can be had.
        refused: String,
    },
}

impl std::error::Error for Missing {}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TunDevice => write!(
                f,
                "there is no {TUN_DEVICE}; load the driver with `sudo modprobe tun`, or give the container \
                 `--device {TUN_DEVICE}`"
            ),
            Self::TunPermission => write!(
                f,
                "this user may not open {TUN_DEVICE}; run it with sudo, or allow everybody with `sudo chmod 666 \
                 {TUN_DEVICE}` (what they make with it stays in their own namespaces)"
            ),
            Self::TunBroken(reason) => {
                write!(
                    f,
                    "{TUN_DEVICE} cannot be opened ({reason}); load the driver with `sudo modprobe tun`"
                )
            }
            Self::ResolvConf => f.write_str(
                "there is no /etc/resolv.conf to cover; make one with `sudo touch /etc/resolv.conf`",
            ),
            Self::Capabilities { names, refused } => write!(
                f,
                "this process lacks {}, and a user namespace that would give them is refused ({refused}); run it with \
                 sudo, or allow user namespaces with `sudo sysctl -w user.max_user_namespaces=10000` and, on Ubuntu, \
                 `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`; in a container, start that with \
                 `--cap-add SYS_ADMIN --cap-add NET_ADMIN`",
                names.join(", ")
            ),
        }
    }
}

/// Makes sure that this process may run labs. To be called at the very start of a program, before it starts a thread:
/// a process that lacks rights then becomes root of a user namespace of its own, in place. A process that already has
/// threads cannot, and is started again by util-linux `unshare`, with the same arguments and environment; then this call
/// does not return.
///
/// # Errors
/// [`LabError::Missing`]: what is missing, and what helps.
pub fn ensure_privileges() -> Result<Privilege, LabError> {
    check_tun(Path::new(TUN_DEVICE))?;
    let lacking = lacking_capabilities();
    if lacking.is_empty() {
        let again = std::env::var_os(AGAIN).is_some();
        return Ok(if again { Privilege::UserNamespace } else { Privilege::Held });
    }
    let refused = |refused: String| Missing::Capabilities { names: lacking.clone(), refused };
    if std::env::var_os(AGAIN).is_some() {
        return Err(refused("inside a user namespace they are still missing".to_owned()).into());
    }
    if threads() == 1 {
        become_root_of_a_user_namespace().map_err(|error| refused(error.to_string()))?;
    } else {
        // On success this does not come back.
        return Err(refused(start_again_in_a_user_namespace()).into());
    }
    match lacking_capabilities() {
        still if still.is_empty() => Ok(Privilege::UserNamespace),
        _still => Err(refused("inside a user namespace they are still missing".to_owned()).into()),
    }
}

/// Whether this process could run a lab now, without changing anything.
///
/// # Errors
/// [`LabError::Missing`]: what is missing, and what helps.
pub fn check_privileges() -> Result<(), LabError> {
    check_tun(Path::new(TUN_DEVICE))?;
    let names = lacking_capabilities();
    if names.is_empty() {
        return Ok(());
    }
    let refused = "it was not asked for: call `ensure_privileges` first".to_owned();
    Err(Missing::Capabilities { names, refused }.into())
}

fn check_tun(device: &Path) -> Result<(), Missing> {
    match fs::OpenOptions::new().read(true).write(true).open(device) {
        Ok(_opened) => Ok(()),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::NotFound => Missing::TunDevice,
            io::ErrorKind::PermissionDenied => Missing::TunPermission,
            _other => Missing::TunBroken(error.to_string()),
        }),
    }
}

fn lacking_capabilities() -> Vec<&'static str> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let held = effective_capabilities(&status).unwrap_or(0);
    NEEDED_CAPABILITIES
        .iter()
        .filter(|(_name, bit)| held & (1 << bit) == 0)
        .map(|(name, _bit)| *name)
        .collect()
}

fn effective_capabilities(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(usize::MAX, Iterator::count)
}

fn become_root_of_a_user_namespace() -> io::Result<()> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    // Without this the kernel lets nobody but a privileged parent write the group map (user_namespaces(7)).
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1\n"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1\n"))
}

/// Comes back only when it failed, and says why.
fn start_again_in_a_user_namespace() -> String {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return format!("this program does not find itself: {error}"),
    };
    // What `unshare` says after it took our place would be its own words only; so it is asked before.
    match Command::new(UNSHARE[0]).args(&UNSHARE[1..]).arg("true").output() {
        Err(error) => return format!("`unshare` of util-linux cannot be run: {error}"),
        Ok(tried) if !tried.status.success() => {
            return String::from_utf8_lossy(&tried.stderr).trim().to_owned();
        }
        Ok(_it_works) => {}
    }
    let args = std::env::args_os().skip(1);
    let error = Command::new(UNSHARE[0]).args(&UNSHARE[1..]).arg(program).args(args).env(AGAIN, "1").exec();
    format!("`unshare` of util-linux cannot be run: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status() {
        let status = "Name:\tcat\nCapPrm:\t0000000000000000\nCapEff:\t0000000000241000\nCapBnd:\t0\n";
        assert_eq!(effective_capabilities(status), Some(1 << 12 | 1 << 18 | 1 << 21));
        assert_eq!(effective_capabilities("Name:\tcat\n"), None);
        assert_eq!(effective_capabilities("CapEff:\tnothing\n"), None);
    }

    #[test]
    fn each_thing_that_is_missing_is_named_with_what_helps() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(check_tun(&folder.path().join("tun")), Err(Missing::TunDevice));
        assert!(matches!(check_tun(folder.path()), Err(Missing::TunBroken(_))));
        let texts = [
            Missing::TunDevice.to_string(),
            Missing::TunPermission.to_string(),
            Missing::TunBroken("No such device".to_owned()).to_string(),
            Missing::ResolvConf.to_string(),
            Missing::Capabilities { names: vec!["CAP_NET_ADMIN"], refused: "no".to_owned() }.to_string(),
        ];
        for text in texts {
            assert!(text.contains('`'), "no command that helps: {text}");
        }
    }
}
