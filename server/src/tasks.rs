//! Background tasks: each has a name, is visible in metrics and readiness, and ends when the bridge does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::metrics::Metrics;

/// The tasks of one bridge.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    cancel: CancellationToken,
    metrics: Arc<Metrics>,
    running: Arc<Mutex<BTreeMap<&'static str, bool>>>,
}

impl Tasks {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            tracker: TaskTracker::new(),
            cancel: CancellationToken::new(),
            metrics,
            running: Arc::default(),
        }
    }

    /// Runs a task until the bridge ends. One that ends or panics before that is told in log, metrics and readiness.
    pub(crate) fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let up = Up::new(name, self);
        let cancel = self.cancel.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = work => tracing::error!(task = name, "a background task ended"),
            }
            drop(up);
        });
    }

    pub(crate) fn cancelled(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Tasks that should run and do not.
    pub(crate) fn down(&self) -> Vec<&'static str> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().filter(|(_name, up)| !**up).map(|(name, _up)| *name).collect()
    }

    /// Ends all tasks and waits for them.
    pub(crate) async fn end(&self) {
        self.cancel.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    fn set(&self, name: &'static str, up: bool) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(name, up);
        self.metrics.task(name).set(if up { 1.0 } else { 0.0 });
    }
}

/// Says that a task runs until it is dropped, which a panic does too.
struct Up {
    name: &'static str,
    tasks: Tasks,
}

impl Up {
    fn new(name: &'static str, tasks: &Tasks) -> Self {
        tasks.set(name, true);
        Self { name, tasks: tasks.clone() }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.tasks.set(self.name, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_is_seen() {
        let metrics = Metrics::new();
        let tasks = Tasks::new(Arc::clone(&metrics));
        tasks.spawn("lasting", std::future::pending());
        let (ended, wait) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn("short", async move { drop(ended) });
        wait.await.unwrap_err();
        while tasks.down().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(tasks.down(), ["short"]);
        let text = metrics.render();
        assert!(text.contains("commucat_background_task_up{task=\"lasting\"} 1"), "{text}");
        assert!(text.contains("commucat_background_task_up{task=\"short\"} 0"), "{text}");
        tasks.end().await;
        assert_eq!(tasks.down(), ["lasting", "short"]);
    }
}
