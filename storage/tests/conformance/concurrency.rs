//! Several handles, as several processes would have them, on one database.

use commucat_storage::{Dsn, Storage};
use commucat_transport_api::BoxFuture;
use tokio::task::JoinSet;

use crate::suite::{by, user};

pub(crate) type Case = fn(Dsn) -> BoxFuture<'static, ()>;

pub(crate) const CASES: &[(&str, Case)] = &[
    ("all_open_at_once", |dsn| Box::pin(all_open_at_once(dsn))),
    ("two_handles_write", |dsn| Box::pin(two_handles_write(dsn))),
    ("one_identity_for_all", |dsn| Box::pin(one_identity_for_all(dsn))),
    ("a_dropped_write_leaves_nothing", |dsn| Box::pin(a_dropped_write_leaves_nothing(dsn))),
    ("a_second_open_finds_everything", |dsn| Box::pin(a_second_open_finds_everything(dsn))),
];

const HANDLES: u8 = 4;

async fn all_open_at_once(dsn: Dsn) {
    let mut opening = JoinSet::new();
    for _ in 0..HANDLES {
        let dsn = dsn.clone();
        opening.spawn(async move { Storage::open(&dsn).await });
    }
    for outcome in opening.join_all().await {
        outcome.unwrap().close().await;
    }
}

async fn two_handles_write(dsn: Dsn) {
    const EACH: u8 = 20;
    let handles = [Storage::open(&dsn).await.unwrap(), Storage::open(&dsn).await.unwrap()];
    let mut writing = JoinSet::new();
    for (handle, storage) in handles.iter().enumerate() {
        for task in 0..EACH {
            let storage = storage.clone();
            writing.spawn(async move {
                let name = format!("u{handle}-{task}");
                storage.add_user(&user(&name, task), "", by(1)).await.unwrap();
                // The own write is there for every later read.
                assert_eq!(
                    storage.user(&name.parse().unwrap()).await.unwrap().user.secret.expose(),
                    &[task; 32]
                );
            });
        }
    }
    writing.join_all().await;
    for storage in &handles {
        assert_eq!(storage.users().await.unwrap().len(), 2 * usize::from(EACH));
        assert_eq!(storage.audit(None, 1000).await.unwrap().len(), 2 * usize::from(EACH));
    }
    for storage in handles {
        storage.close().await;
    }
}

async fn one_identity_for_all(dsn: Dsn) {
    let mut starting = JoinSet::new();
    for handle in 0..HANDLES {
        let dsn = dsn.clone();
        starting.spawn(async move {
            let storage = Storage::open(&dsn).await.unwrap();
            let identity = storage.init_meta("identity", &[handle; 32], 1).await.unwrap();
            storage.close().await;
            identity.expose().clone()
        });
    }
    let identities = starting.join_all().await;
    assert!(identities.iter().all(|one| one == &identities[0]), "{identities:?}");
}

async fn a_dropped_write_leaves_nothing(dsn: Dsn) {
    let storage = Storage::open(&dsn).await.unwrap();
    for polls in 0..40 {
        let adding = storage.clone();
        let alice = user("alice", 1);
        let mut future = Box::pin(async move { adding.add_user(&alice, "", by(1)).await });
        for _ in 0..polls {
            // Each round gives the driver's thread time for one more step of the transaction.
            if futures_poll(future.as_mut()).await {
                break;
            }
        }
        drop(future);
        let users = storage.users().await.unwrap().len();
        let entries = storage.audit(None, 1000).await.unwrap().len();
        // The commit may have gone out before the drop; half of it may not.
        if users == 1 {
            storage.remove_user(&"alice".parse().unwrap(), by(2)).await.unwrap();
            assert_eq!(entries % 2, 1, "an entry came with the user");
        } else {
            assert_eq!(entries % 2, 0, "no user, no entry");
        }
    }
    storage.add_user(&user("bob", 1), "", by(3)).await.unwrap();
    storage.close().await;
}

/// Polls once, then lets others run; says whether the future is done.
async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    let done = std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
    tokio::time::sleep(std::time::Duration::from_micros(200)).await;
    done
}

async fn a_second_open_finds_everything(dsn: Dsn) {
    let storage = Storage::open(&dsn).await.unwrap();
    storage.add_user(&user("alice", 4), "kept", by(5)).await.unwrap();
    storage.close().await;
    let storage = Storage::open(&dsn).await.unwrap();
    let alice = storage.user(&"alice".parse().unwrap()).await.unwrap();
    assert_eq!((alice.note.as_str(), alice.user.secret.expose()), ("kept", &[4; 32]));
    storage.close().await;
}
