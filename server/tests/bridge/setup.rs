//! From nothing to a bridge; a second time; and when the disk is full.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use commucat_server::{
    Bridge, Users, client_link,
    setup::{Prepared, SetupError, SetupOptions, prepare},
};
use commucat_transport_api::Host;

use crate::support::{bundle, net};

fn options(state: &Path) -> SetupOptions {
    let mut options = SetupOptions::new("test");
    options.state = Some(state.to_owned());
    options
}

async fn set_up(state: &Path) -> Result<Prepared, SetupError> {
    prepare(options(state), &bundle(), net().as_ref(), std::iter::empty()).await
}

#[tokio::test]
async fn the_second_run_finds_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let first = set_up(&state).await.unwrap();
    assert!(first.created);
    let mode = |name: &str| std::fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("."), mode("bridge.toml"), mode("commucat.db")), (0o700, 0o600, 0o600));
    let link = client_link(&first.config, &bundle(), &first.user, None).unwrap();
    let error = set_up(&state).await.unwrap_err();
    assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
    assert!(state.join("bridge.toml").exists(), "a refused second start takes nothing away");
    drop(first);

    let second = set_up(&state).await.unwrap();
    assert!(!second.created);
    assert_eq!(client_link(&second.config, &bundle(), &second.user, None).unwrap(), link);
}

#[tokio::test]
async fn what_was_set_up_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&dir.path().join("state"));
    options.public = Some(Host::parse("192.0.2.9").unwrap());
    options.user = Some("eve".to_owned());
    let prepared = prepare(options, &bundle(), net().as_ref(), std::iter::empty()).await.unwrap();
    assert_eq!(prepared.user.id.as_str(), "eve");
    let bridge = Bridge::start(prepared.config, bundle(), net(), prepared.storage).await.unwrap();
    let link = bridge.client_link(&prepared.user, None).unwrap();
    assert_eq!(link.endpoints[0].endpoint.host.to_string(), "192.0.2.9");
    assert_eq!(Some(link.endpoints[0].endpoint.port), bridge.endpoints()[0].listen.map(|at| at.port()));
    bridge.shutdown().await;
}

#[tokio::test]
async fn a_disabled_first_user_is_not_shown_again() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let first = set_up(&state).await.unwrap();
    let users = Users::new(first.storage.clone(), "test");
    users.add("bob", "").await.unwrap();
    users.disable(first.user.id.as_str()).await.unwrap();
    drop(first);
    assert_eq!(set_up(&state).await.unwrap().user.id.as_str(), "bob");
}

#[tokio::test]
async fn exposed_keys_and_unreadable_ones_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    drop(set_up(&state).await.unwrap());
    let config = state.join("bridge.toml");
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = set_up(&state).await.unwrap_err().to_string();
    assert!(error.contains("bridge.toml can be read by other users (mode 0644)"), "{error}");
}

/// A file system of a few pages, when this test may mount one.
struct TinyDisk(tempfile::TempDir);

impl TinyDisk {
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"])
            .arg(dir.path())
            .output();
        mount.is_ok_and(|mount| mount.status.success()).then_some(Self(dir))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        std::process::Command::new("umount").arg(self.0.path()).status().ok();
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_nothing() {
    let Some(disk) = TinyDisk::mount("64k") else {
        println!("skipped: mounting a small file system needs root");
        return;
    };
    let state = disk.0.path().join("state");
    let error = set_up(&state).await.unwrap_err().to_string();
    assert!(error.starts_with("disk full: no room in "), "{error}");
    assert!(error.contains(&state.display().to_string()), "{error}");
    assert!(!state.exists(), "nothing half-made stays");
}
