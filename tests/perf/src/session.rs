//! A run: rows, rounds, visits. Whatever fails becomes a note and the rest goes on.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;

use crate::{
    cells::{Cell, Row},
    isolate,
    measure::{
        Effort, Outcome, cipher,
        system::{FOREIGN_CORES_MAX, LOAD_MAX, circumstances, load_average},
        visit,
    },
    options::Options,
    peers::{Credentials, Field, Product, site::Site},
    report::{progress, say},
    rig::Rig,
    rounds::palindrome,
    sample::{AGAIN, FORMAT, LIMIT, Reading, Record, Sample},
};

/// How often a disturbed cell of a round is measured again before the figure is kept with its mark.
const REPEATS: u32 = 3;
/// How long a run waits for a busy machine to calm down.
const CALM_LIMIT: Duration = Duration::from_secs(180);

/// Measures everything the options ask for.
///
/// # Errors
/// When the machine stays busy, or no keys can be made.
pub fn run(options: &Options, field: Field, notes: Vec<String>) -> anyhow::Result<Record> {
    wait_for_calm(options)?;
    let mut circumstances = circumstances()?;
    let effort = options.effort();
    circumstances.own_network = isolate::inside();
    circumstances.rounds = options.rounds;
    circumstances.window_s = effort.window.as_secs_f64();
    circumstances.warm_up_s = effort.warm_up.as_secs_f64();
    let mut session = Session {
        options,
        effort,
        site: Site::start()?,
        row_end: Instant::now(),
        credentials: Credentials::generate()?,
        record: Record {
            format: FORMAT,
            circumstances,
            subject: options.subject.clone(),
            products: field.participants,
            samples: Vec::new(),
            notes,
        },
    };
    for &row in &options.rows {
        session.row(row, &field.products);
    }
    Ok(session.record)
}

/// A place in the order of a round: a product, possibly for the second time.
#[derive(Debug)]
struct Slot<'a> {
    id: String,
    product: &'a dyn Product,
}

#[derive(Debug)]
struct Session<'a> {
    options: &'a Options,
    effort: Effort,
    credentials: Credentials,
    site: Site,
    /// No cell of the current row is measured again after this.
    row_end: Instant,
    record: Record,
}

impl Session<'_> {
    fn row(&mut self, row: Row, products: &[Box<dyn Product>]) {
        let slots = slots(row, products, &self.options.subject);
        for product in products.iter().filter(|product| !product.speaks(row)) {
            if let Some(reason) = product.absence(row) {
                self.note(format!("{}: {} is absent: {reason}", row.id(), product.id()));
            }
        }
        let (start, rounds) = (Instant::now(), self.options.rounds);
        self.row_end = start + self.options.budget(row);
        let mut last = Duration::ZERO;
        for round in 0..rounds {
            let begin = Instant::now();
            // The next one takes about as long as the last one.
            if round > 0 && begin + last > self.row_end {
                let minutes = start.elapsed().as_secs() / 60;
                self.note(format!("{}: {round} of {rounds} rounds after {minutes} minutes", row.id()));
                break;
            }
            say(&format!("{}: round {} of {rounds}", row.title(), round + 1));
            self.round(row, round, &slots);
            last = begin.elapsed();
        }
    }

    /// One round: everybody is started anew, so that no luck or age of a process lasts longer than a round.
    fn round(&mut self, row: Row, round: u32, slots: &[Slot<'_>]) {
        let mut rigs = Vec::new();
        for slot in slots {
            match Rig::start(slot.product, &self.credentials, self.site.address(), row) {
                Ok(rig) => rigs.push((slot.id.as_str(), rig)),
                Err(error) => {
                    self.note(format!("{} {}: {} did not start: {error:#}", row.id(), round + 1, slot.id))
                }
            }
        }
        for cell in self.options.planned_cells(row) {
            match cell {
                _ if round >= cell.rounds_max() => {}
                Cell::Cipher => self.cipher(row, round),
                _ => self.cell(row, round, cell, &rigs),
            }
        }
    }

    fn cell(&mut self, row: Row, round: u32, cell: Cell, rigs: &[(&str, Rig)]) {
        let repeats = if self.options.quick || self.options.allow_busy { 0 } else { REPEATS };
        for attempt in 0..=repeats {
            let samples = self.walk(row, round, cell, rigs);
            let disturbed = samples.iter().filter(|sample| sample.disturbed).count();
            if samples.is_empty() {
                return;
            }
            progress(cell, &samples);
            if disturbed == 0 || attempt == repeats || Instant::now() > self.row_end {
                if disturbed > 0 {
                    self.note(format!(
                        "{} {}: {cell}: {disturbed} visits were disturbed",
                        row.id(),
                        round + 1
                    ));
                }
                self.record.samples.extend(samples);
                return;
            }
            say(&format!("{cell}: others used the processor; once more"));
        }
    }

    /// The visits of one cell in one round, in mirrored order.
    fn walk(&self, row: Row, round: u32, cell: Cell, rigs: &[(&str, Rig)]) -> Vec<Sample> {
        let mut samples = Vec::new();
        for step in palindrome(rigs.len(), round) {
            let Some((id, rig)) = rigs.get(step.product) else { continue };
            // Relays have no SOCKS5 inbound, and their memory is of no interest.
            let idle = *id == LIMIT && !matches!(cell, Cell::Bulk { .. } | Cell::FirstByte { .. });
            let no_socks =
                rig.socks.is_none() && cell == Cell::FirstByte { route: crate::cells::Route::Socks };
            // Once is enough for the limit: no goal is a ratio to it.
            let once = cell.once_a_round() || (*id == LIMIT && self.options.subject != LIMIT);
            if idle || no_socks || (once && step.pass > 0) {
                continue;
            }
            let Outcome { reading, foreign_cores } = visit(rig, cell, &self.effort);
            let disturbed = foreign_cores.is_some_and(|cores| cores > FOREIGN_CORES_MAX);
            let (product, pass) = ((*id).to_owned(), step.pass);
            samples.push(Sample { row, round, pass, product, cell, foreign_cores, disturbed, reading });
        }
        samples
    }

    fn cipher(&mut self, row: Row, round: u32) {
        let Some(record_bytes) = row.record_bytes() else { return };
        let reading = cipher::measure(record_bytes)
            .unwrap_or_else(|error| Reading::Failed { reason: format!("{error:#}") });
        self.record.samples.push(Sample {
            row,
            round,
            pass: 0,
            product: LIMIT.to_owned(),
            cell: Cell::Cipher,
            foreign_cores: None,
            disturbed: false,
            reading,
        });
    }

    fn note(&mut self, note: String) {
        say(&note);
        self.record.notes.push(note);
    }
}

/// The subject twice (the A/A control), then the peers, then the limit.
fn slots<'a>(row: Row, products: &'a [Box<dyn Product>], subject: &str) -> Vec<Slot<'a>> {
    let mut slots = Vec::new();
    for product in products.iter().filter(|product| product.speaks(row)) {
        slots.push(Slot { id: product.id().to_owned(), product: product.as_ref() });
        if product.id() == subject {
            slots.push(Slot { id: format!("{subject}{AGAIN}"), product: product.as_ref() });
        }
    }
    slots
}

fn wait_for_calm(options: &Options) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let load = load_average()?;
        if load <= LOAD_MAX || options.allow_busy {
            return Ok(());
        }
        if start.elapsed() > CALM_LIMIT {
            bail!(
                "the load average stays at {load} (> {LOAD_MAX}): others use this machine; --allow-busy measures anyway"
            );
        }
        say(&format!("the load average is {load}; waiting until others are done"));
        thread::sleep(Duration::from_secs(15));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::relays::Relays;

    #[test]
    fn the_subject_comes_twice() {
        let products: Vec<Box<dyn Product>> = vec![Box::new(Relays::new().unwrap())];
        let ids: Vec<_> = slots(Row::Shadowsocks, &products, LIMIT).into_iter().map(|slot| slot.id).collect();
        assert_eq!(ids, ["limit", "limit-again"]);
        assert_eq!(slots(Row::Shadowsocks, &products, "commucat").len(), 1);
    }
}
