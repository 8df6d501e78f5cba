//! The table that fills while a run goes on.

use std::{
    io::Write as _,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use commucat_measure::{
    Event, Progress,
    output::{Look, Table},
};

use crate::terminal;

/// Between two drawings, so that the spinner turns.
const REDRAW_EVERY: Duration = Duration::from_millis(120);

/// Draws a run's table on standard error, again and again in the same place.
#[derive(Debug)]
pub(super) struct Live {
    state: Mutex<State>,
    drawn: bool,
}

#[derive(Debug, Default)]
struct State {
    table: Table,
    /// Lines that stand on the terminal now.
    lines: usize,
    frame: usize,
    over: bool,
}

impl Live {
    /// Begins; `drawn` says whether anything is drawn at all.
    pub(super) fn start(drawn: bool) -> Arc<Self> {
        let live = Arc::new(Self { state: Mutex::default(), drawn });
        if drawn {
            tokio::spawn(redraw(Arc::downgrade(&live)));
        }
        live
    }

    /// Takes the table away: the result itself comes now.
    pub(super) fn clear(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.over = true;
        if self.drawn {
            write!(std::io::stderr().lock(), "{}", erase(state.lines)).ok();
            state.lines = 0;
        }
    }

    fn draw(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.over {
            return false;
        }
        let look = Look {
            width: terminal::width(),
            colour: terminal::colour(true),
            frame: state.frame,
            ..Look::default()
        };
        let text = state.table.to_text(look);
        write!(std::io::stderr().lock(), "{}{text}", erase(state.lines)).ok();
        state.lines = text.lines().count();
        state.frame += 1;
        true
    }
}

/// Goes up and clears to the end of the screen.
fn erase(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\u{1b}[{lines}A\r\u{1b}[J") }
}

async fn redraw(live: Weak<Live>) {
    while let Some(live) = live.upgrade() {
        if !live.draw() {
            return;
        }
        drop(live);
        tokio::time::sleep(REDRAW_EVERY).await;
    }
}

impl Progress for Live {
    fn event(&self, event: &Event<'_>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).table.apply(event);
    }
}
