//! A tokio runtime whose worker and blocking threads are all inside a place.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
};

use crate::{LabError, namespace::Namespaces};

/// Threads that run tasks: enough that one task which computes does not hold up the others.
const WORKER_THREADS: usize = 2;
/// Threads for blocking calls (file access, name lookups of the system).
const BLOCKING_THREADS_MAX: usize = 64;

/// A runtime inside a place. Tasks run on its own threads and nowhere else, so that every socket they open belongs to
/// the place; dropping it drops the tasks.
#[derive(Debug)]
pub struct PlaceRuntime {
    name: &'static str,
    runtime: Option<Runtime>,
    handle: Handle,
}

impl PlaceRuntime {
    pub(super) fn start(name: &'static str, namespaces: Arc<Namespaces>) -> Result<Self, LabError> {
        let refused = Arc::new(Mutex::new(None));
        let remember = Arc::clone(&refused);
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKER_THREADS)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name(format!("lab-{name}"))
            .enable_all()
            .on_thread_start(move || {
                if let Err(error) = namespaces.enter() {
                    remember.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            })
            .build()
            .map_err(|source| LabError::Thread { name, source })?;
        let handle = runtime.handle().clone();
        let inside = Self { name, runtime: Some(runtime), handle };
        // One task on a worker, one on a blocking thread: both kinds have started when these are done.
        inside
            .block_on(async {
                let blocking = tokio::task::spawn_blocking(|| ());
                blocking.await
            })?
            .map_err(|_panic| LabError::Panicked(name))?;
        let first = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.map_or(Ok(inside), Err)
    }

    /// Starts a task inside the place.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(task)
    }

    /// Runs a task inside the place and waits for it. Must not be called from a task.
    ///
    /// # Errors
    /// [`LabError::Panicked`] when the task panicked.
    pub fn block_on<F>(&self, task: F) -> Result<F::Output, LabError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // `Runtime::block_on` would poll the task on the caller's thread, which is outside.
        let running = self.spawn(task);
        self.handle.block_on(running).map_err(|_panic| LabError::Panicked(self.name))
    }

    /// A handle with which other tasks can start tasks here. `Handle::block_on` runs its future on the caller's thread,
    /// outside: use [`Handle::spawn`] only.
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for PlaceRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A plain drop waits for blocking calls, and panics inside another runtime's task.
            runtime.shutdown_background();
        }
    }
}
