//! Unnamed network and mount namespaces: made by one thread, entered by others. Nothing names them in the file system,
//! so the kernel takes them away with the last process that uses them, however that ended.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    unistd::chdir,
};

use crate::{LabError, privilege::Missing};

/// Where files are put together before they are bound over those of the system. The tmpfs is visible to one thread
/// only, and is taken away again at once.
const WORKBENCH: &str = "/tmp";
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// A socket folder over which glibc would ask a daemon outside the lab for names.
const NAME_CACHE: &str = "/run/nscd";

/// Handles to a network namespace and a mount namespace.
#[derive(Debug)]
pub(crate) struct Namespaces {
    place: &'static str,
    network: OwnedFd,
    mount: OwnedFd,
}

/// What the files of a place say about names.
#[derive(Clone, Debug)]
pub(crate) struct NameFiles {
    /// `/etc/resolv.conf`.
    pub(crate) resolv_conf: String,
    /// `/etc/hosts`.
    pub(crate) hosts: String,
    /// `/etc/nsswitch.conf`: files and DNS, and no daemon outside.
    pub(crate) nsswitch_conf: String,
}

impl Namespaces {
    /// Moves the calling thread into new namespaces and gives handles to them. A file that the system does not have
    /// is not covered, but there must be an `/etc/resolv.conf`.
    pub(crate) fn make(place: &'static str, files: &NameFiles) -> Result<Self, LabError> {
        let failed = |what: &'static str| move |error: nix::Error| namespace_error(place, what, error.into());
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
            .map_err(failed("make a network and a mount namespace"))?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
            .map_err(failed("keep mounts private"))?;
        if !Path::new(RESOLV_CONF).exists() {
            return Err(Missing::ResolvConf.into());
        }
        bind_name_files(files)
            .map_err(|error| namespace_error(place, "bind files over those of /etc", error))?;
        let open = |kind: &str| {
            File::open(format!("/proc/thread-self/ns/{kind}"))
                .map(OwnedFd::from)
                .map_err(|error| namespace_error(place, "open a handle to a namespace", error))
        };
        Ok(Self { place, network: open("net")?, mount: open("mnt")? })
    }

    /// Moves the calling thread inside. It cannot come back: use a thread that ends afterwards.
    pub(crate) fn enter(&self) -> Result<(), LabError> {
        let failed =
            |what: &'static str| move |error: nix::Error| namespace_error(self.place, what, error.into());
        let folder = std::env::current_dir().unwrap_or_else(|_gone| PathBuf::from("/"));
        setns(self.network.as_fd(), CloneFlags::CLONE_NEWNET)
            .map_err(failed("enter the network namespace"))?;
        // A thread that shares root and working directory with others may not change its mounts.
        unshare(CloneFlags::CLONE_FS).map_err(failed("leave the shared working directory"))?;
        setns(self.mount.as_fd(), CloneFlags::CLONE_NEWNS).map_err(failed("enter the mount namespace"))?;
        // Entering moved us to the root; a folder that does not exist any more is no reason to fail.
        let _stays_at_root = chdir(&folder);
        Ok(())
    }
}

fn namespace_error(place: &'static str, what: &'static str, source: io::Error) -> LabError {
    LabError::Namespace { place, what, source }
}

fn bind_name_files(files: &NameFiles) -> io::Result<()> {
    let targets = [
        (&files.resolv_conf, RESOLV_CONF),
        (&files.hosts, "/etc/hosts"),
        (&files.nsswitch_conf, "/etc/nsswitch.conf"),
    ];
    mount(Some("tmpfs"), WORKBENCH, Some("tmpfs"), MsFlags::empty(), Some("size=1m,mode=755"))?;
    let bound: io::Result<()> = targets.iter().enumerate().try_for_each(|(index, (text, target))| {
        let source = Path::new(WORKBENCH).join(index.to_string());
        std::fs::write(&source, text)?;
        if Path::new(target).exists() {
            mount(Some(&source), *target, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        }
        Ok(())
    });
    // The bound files keep the file system alive; its place in the tree is given back in any case.
    umount2(WORKBENCH, MntFlags::MNT_DETACH)?;
    bound?;
    if Path::new(NAME_CACHE).exists() {
        mount(Some("tmpfs"), NAME_CACHE, Some("tmpfs"), MsFlags::empty(), Some("size=4k,mode=755"))?;
    }
    Ok(())
}
