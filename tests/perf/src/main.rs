//! `./run bench`: makes the products ready, moves into a network of its own, measures, reports.
#![forbid(unsafe_code)]

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::bail;
use clap::Parser;
use commucat_tests_perf::{
    cache::Cache,
    cells::Row,
    isolate,
    measure::relay,
    options::{Options, Part},
    peers::Field,
    report::{self, json, markdown, say},
    session,
};

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> anyhow::Result<()> {
    if let Some(Part::Relay { listen, target }) = options.part {
        return relay::run(listen, target);
    }
    let options = options.settled()?;
    let cache = Cache::standard()?;
    if options.list {
        return list(&options, &cache);
    }
    let record = if let Some(path) = &options.from {
        json::read(path)?
    } else {
        let record = measure(&options, &cache)?;
        let path = json::write(&record, options.out.as_deref().unwrap_or(&cache.records()))?;
        say(&format!("the record is {}", path.display()));
        record
    };
    report::print(&record)?;
    if options.markdown {
        // The checkout that this program was built from.
        markdown::update(&record, &Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))?;
        say(&format!("{} is up to date", markdown::PAGE));
    }
    Ok(())
}

fn measure(options: &Options, cache: &Cache) -> anyhow::Result<commucat_tests_perf::sample::Record> {
    // Fetching needs the network that the run itself must not have; inside, everything is found in the cache.
    let field = Field::prepare(options, cache);
    let notes = isolate::enter(options).into_iter().collect::<Vec<_>>();
    isolate::raise_descriptors();
    for product in &field.participants {
        if let Some(reason) = &product.absent {
            say(&format!("{} is absent: {reason}", product.id));
        }
    }
    for note in &notes {
        say(note);
    }
    if !field.has(&options.subject) {
        bail!("{} cannot be measured; --subject names another one", options.subject);
    }
    session::run(options, field, notes)
}

fn list(options: &Options, cache: &Cache) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for row in Row::ALL {
        writeln!(out, "row {}: {}", row.id(), row.title())?;
    }
    for &row in &options.rows {
        for cell in options.planned_cells(row) {
            writeln!(out, "cell {} {cell}", row.id())?;
        }
    }
    for product in Field::prepare(options, cache).participants {
        let state = match (product.version, product.absent) {
            (Some(version), _) => version,
            (None, reason) => format!("absent: {}", reason.unwrap_or_default()),
        };
        writeln!(out, "product {}: {state}", product.id)?;
    }
    Ok(())
}
