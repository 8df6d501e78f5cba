//! One suite, two databases: what holds on SQLite holds on PostgreSQL.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod concurrency;
mod postgres;
mod suite;

use commucat_storage::{Dsn, Storage};
use postgres::{Cluster, Found};

async fn run_all(mut fresh: impl AsyncFnMut(&str) -> Dsn) {
    for (name, case) in suite::CASES {
        println!("case {name}");
        let storage =
            Storage::open(&fresh(name).await).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        case(storage.clone()).await;
        storage.close().await;
    }
    for (name, case) in concurrency::CASES {
        println!("case {name}");
        case(fresh(name).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_conforms() {
    let dir = tempfile::tempdir().unwrap();
    run_all(async |name: &str| Dsn::sqlite(dir.path().join(format!("{name}.db")))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_conforms() {
    let cluster = match Cluster::start() {
        Found::Running(cluster) => cluster,
        Found::NotInstalled => {
            assert!(std::env::var("CI").is_err(), "CI must run this: apt-get install postgresql");
            println!("skipped: PostgreSQL (apt-get install postgresql)");
            return;
        }
    };
    run_all(async |name: &str| cluster.fresh_database(name)).await;
    postgres::the_server_speaks_clearly(&cluster).await;
    postgres::a_foreign_lock_is_locked_and_passes(&cluster).await;
    postgres::a_server_that_goes_is_unreachable(cluster).await;
}
