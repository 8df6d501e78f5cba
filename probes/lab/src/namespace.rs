//! Unnamed network and mount namespaces: made by one thread, entered by others. Nothing names them in the file system,
//! so the kernel takes them away with the last process that uses them, however that ended.

use std::{
    fs::{self, File},
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
/// Where daemons have their sockets. In a place it is empty: nothing inside can ask a daemon outside (glibc would, for
/// names), and what a program puts there goes with the place, and meets nothing of another lab.
const RUN_FOLDER: &str = "/run";

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
        cover_files(files).map_err(|error| namespace_error(place, "cover files of the system", error))?;
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

/// Puts files over those of the system, and an empty folder over that of its daemons.
fn cover_files(files: &NameFiles) -> io::Result<()> {
    let wanted = [
        (&files.resolv_conf, RESOLV_CONF),
        (&files.hosts, "/etc/hosts"),
        (&files.nsswitch_conf, "/etc/nsswitch.conf"),
    ];
    // A file that the system does not have is none to be covered. Links are followed now: what they point to may be in
    // the folder that is covered below.
    let covers: Vec<(&String, PathBuf)> =
        wanted.into_iter().filter_map(|(text, path)| Some((text, fs::canonicalize(path).ok()?))).collect();
    mount(Some("tmpfs"), WORKBENCH, Some("tmpfs"), MsFlags::empty(), Some("size=1m,mode=755"))?;
    let bound = covers.iter().enumerate().try_for_each(|(index, (text, target))| {
        let source = Path::new(WORKBENCH).join(index.to_string());
        fs::write(&source, text)?;
        mount(Some(&source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(io::Error::from)
    });
    // The bound files keep the file system alive; its place in the tree is given back in any case.
    umount2(WORKBENCH, MntFlags::MNT_DETACH)?;
    bound?;
    if !Path::new(RUN_FOLDER).is_dir() {
        return Ok(());
    }
    mount(Some("tmpfs"), RUN_FOLDER, Some("tmpfs"), MsFlags::empty(), Some("size=16m,mode=755"))?;
    for (text, target) in covers.iter().filter(|(_text, target)| target.starts_with(RUN_FOLDER)) {
        fs::create_dir_all(target.parent().unwrap_or(target))?;
        fs::write(target, text)?;
    }
    Ok(())
}
