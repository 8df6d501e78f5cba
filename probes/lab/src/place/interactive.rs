//! A shell for a person, inside a place.

use std::{ffi::OsStr, io::stdin, process::ExitStatus};

use nix::{
    sys::signal::{SigSet, Signal},
    unistd::{getpgrp, tcsetpgrp},
};

use super::Place;
use crate::LabError;

impl Place {
    /// Gives the terminal to a program inside this place, and takes it back when that ends.
    ///
    /// # Errors
    /// [`LabError::Spawn`] or [`LabError::Child`].
    pub fn interactive(
        &self,
        shell: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<ExitStatus, LabError> {
        let mut child = self.command(shell).args(args).spawn_in_our_group()?;
        let ended = child.wait();
        take_terminal_back();
        ended
    }
}

/// A shell with job control makes its own process group the terminal's. Its namespace does not know the number of ours,
/// so it cannot give the terminal back.
fn take_terminal_back() {
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTTOU);
    // A process in the background that asks for the terminal is stopped, unless it does not hear of it.
    if stop.thread_block().is_ok() {
        let _not_a_terminal = tcsetpgrp(stdin(), getpgrp());
        let _stays_blocked = stop.thread_unblock();
    }
}
