//! Measuring again and again.

use std::{
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use commucat_measure::{
    output::read_file,
    watch::{JOURNAL_BYTES_MIN, Journal, JournalError, WatchError, watch, watch_paced},
};
use tokio::sync::Notify;

use crate::sample::{clear, days, interfered};

#[tokio::test]
async fn runs_are_written_told_and_stopped() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("watch.jsonl");
    let journal = Journal::open(&path, 1 << 30, 3).unwrap();
    let stop = Arc::new(Notify::new());
    let number = AtomicU64::new(0);
    let mut told = Vec::new();
    let measure = || {
        let number = number.fetch_add(1, Ordering::Relaxed);
        async move {
            let mut run = if number == 2 { clear() } else { interfered() };
            run.seed = number;
            run
        }
    };
    let whole = watch_paced(
        || async {},
        Some(journal),
        stop.notified(),
        measure,
        |feed| {
            told.push((feed.number, feed.changed.map(|diff| (diff.appeared.len(), diff.vanished.len()))));
            if feed.number == 4 {
                stop.notify_one();
            }
            Ok(())
        },
    );
    let whole = whole.await.unwrap();
    assert_eq!(whole, 4);
    assert_eq!(told, [(1, None), (2, Some((0, 0))), (3, Some((0, 7))), (4, Some((7, 0)))]);
    assert_eq!(read_file(&path).unwrap().runs.len(), 4);
}

#[tokio::test]
async fn a_stop_drops_the_run_under_way() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("watch.jsonl");
    let journal = Journal::open(&path, 1 << 30, 3).unwrap();
    let stop = tokio::time::sleep(Duration::from_millis(50));
    let never = std::future::pending;
    assert_eq!(watch_paced(|| async {}, Some(journal), stop, never, |_| Ok(())).await.unwrap(), 0);
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
}

#[tokio::test]
async fn too_often_is_refused() {
    let run = || async { clear() };
    let refused = watch(Duration::from_secs(1), None, std::future::pending(), run, |_| Ok(())).await;
    assert!(matches!(refused, Err(WatchError::TooOften)));
}

#[tokio::test]
async fn a_reader_that_is_gone_ends_it() {
    let run = || async { clear() };
    let gone = |_: commucat_measure::watch::Feed<'_>| Err(io::ErrorKind::BrokenPipe.into());
    let ended = watch_paced(|| async {}, None, std::future::pending(), run, gone).await;
    assert!(matches!(ended, Err(WatchError::Feed(_))));
}

#[test]
fn a_journal_turns_over_and_forgets_the_oldest() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("watch.jsonl");
    let mut journal = Journal::open(&path, JOURNAL_BYTES_MIN, 2).unwrap();
    let runs = days(8);
    for run in &runs {
        journal.append(run).unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(scratch.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["watch.jsonl", "watch.jsonl.1", "watch.jsonl.2"]);
    let mut kept = Vec::new();
    for name in ["watch.jsonl.2", "watch.jsonl.1", "watch.jsonl"] {
        kept.extend(read_file(&scratch.path().join(name)).unwrap().runs);
    }
    assert!(kept.len() < runs.len(), "the oldest are gone");
    assert!(kept == runs[runs.len() - kept.len()..], "what is left is whole and in order");
}

#[test]
fn a_half_line_after_a_crash_is_cut_off() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("watch.jsonl");
    Journal::open(&path, 1 << 30, 0).unwrap().append(&interfered()).unwrap();
    let mut torn = fs::read(&path).unwrap();
    let whole = torn.len();
    torn.extend(vec![b'{'; 200_000]);
    fs::write(&path, torn).unwrap();
    let mut journal = Journal::open(&path, 1 << 30, 0).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), whole as u64);
    journal.append(&clear()).unwrap();
    let read = read_file(&path).unwrap();
    assert_eq!((read.runs.len(), read.skipped_count), (2, 0));
}

#[test]
fn a_full_disk_is_an_error_and_leaves_whole_runs() {
    let full = std::path::Path::new("/dev/full");
    match Journal::open(full, 1 << 30, 0) {
        Ok(mut journal) => assert!(matches!(journal.append(&clear()), Err(JournalError::Io { .. }))),
        Err(error) => assert!(matches!(error, JournalError::Io { .. })),
    }
    assert!(matches!(Journal::open(full, 10, 0), Err(JournalError::BadLimits)));
}
