//! A place: a part of the lab's little Internet with a network of its own, in which code, a runtime or a program can run.

mod command;
mod interactive;
mod keeper;
mod runtime;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

pub use command::{PlaceChild, PlaceCommand};
pub(crate) use keeper::Keeper;
pub use runtime::PlaceRuntime;

use crate::{
    LabError,
    namespace::{NameFiles, Namespaces},
};

/// A network namespace with files of its own about names, and the thread that starts programs in it.
#[derive(Debug)]
pub struct Place {
    name: &'static str,
    address: IpAddr,
    namespaces: Arc<Namespaces>,
    keeper: Keeper,
    environment: Mutex<BTreeMap<OsString, OsString>>,
}

impl Place {
    pub(crate) fn make(name: &'static str, address: IpAddr, files: NameFiles) -> Result<Self, LabError> {
        let (keeper, namespaces) = Keeper::start(name, files)?;
        Ok(Self { name, address, namespaces, keeper, environment: Mutex::default() })
    }

    /// Begins to end every program here. Dropping the place waits for it.
    pub(crate) fn begin_end(&mut self) {
        self.keeper.begin_end();
    }

    /// What it is called: `client`, `world` or `prober`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The address from which it speaks when nobody chose another.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// A program to run here. It and all that it starts die with the lab, however the lab ends.
    pub fn command(&self, program: impl AsRef<OsStr>) -> PlaceCommand<'_> {
        let mut command = PlaceCommand::new(self, program.as_ref());
        command.envs(self.environment.lock().unwrap_or_else(PoisonError::into_inner).iter());
        command
    }

    /// Sets an environment variable for all programs that are started here from now on.
    pub fn set_env(&self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.environment.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), value.into());
    }

    /// Runs code here, in a thread of its own, and gives what it gives. Sockets that it opens belong to this place for
    /// good, also when they are used elsewhere afterwards.
    ///
    /// # Errors
    /// [`LabError::Thread`], [`LabError::Namespace`], or [`LabError::Panicked`] when the code panicked.
    pub fn run<T: Send>(&self, code: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        thread::scope(|scope| {
            let inside = || self.namespaces.enter().map(|()| code());
            let thread = thread::Builder::new()
                .name(format!("lab-{}", self.name))
                .spawn_scoped(scope, inside)
                .map_err(|source| LabError::Thread { name: self.name, source })?;
            thread.join().map_err(|_panic| LabError::Panicked(self.name))?
        })
    }

    /// A tokio runtime whose threads are all here.
    ///
    /// # Errors
    /// [`LabError::Thread`] or [`LabError::Namespace`].
    pub fn runtime(&self) -> Result<PlaceRuntime, LabError> {
        PlaceRuntime::start(self.name, Arc::clone(&self.namespaces))
    }
}
