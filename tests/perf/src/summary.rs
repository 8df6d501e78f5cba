//! From samples to ratios: for every metric the figure of each product in each round, the ratio of the subject to the best peer, the noise
//! floor of the A/A control, and the closeness to the limit.

mod metrics;

use std::collections::BTreeMap;

pub use self::metrics::{Kind, Metric};
use crate::{
    cells::{Cell, Row},
    sample::{AGAIN, LIMIT, Reading, Record, Sample},
    stats::{Better, Spread, noise_floor, stands_out},
};

/// Everything that is said about one row.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RowSummary {
    /// The row.
    pub row: Row,
    /// Whom the ratios speak about.
    pub subject: String,
    /// The products of the row, the subject first; neither the control nor the limit.
    pub products: Vec<String>,
    /// In the order of the report.
    pub metrics: Vec<MetricSummary>,
    /// Bulk visits of the subject in which a stream stood still, by cell.
    pub stalled: BTreeMap<Cell, usize>,
    /// Failed visits, by product and cell, with the first reason.
    pub failures: BTreeMap<(String, String), (usize, String)>,
    /// Visits that others disturbed.
    pub disturbed: usize,
}

/// What is said about one metric.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MetricSummary {
    /// What it is.
    pub metric: Metric,
    /// Figures by product.
    pub figures: BTreeMap<String, Figure>,
    /// The peer with the best median.
    pub best_peer: Option<String>,
    /// Subject divided by the best peer, round by round.
    pub ratio: Option<Spread>,
    /// The noise floor: the largest distance from 1 that the A/A control showed.
    pub noise: Option<f64>,
}

/// One product's figures.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Figure {
    /// Over the rounds.
    pub spread: Spread,
    /// Over the single visits: what one run of it may meet, while a round is the sum of two visits.
    pub visits: Spread,
    /// Closeness to the limit (1 is the limit itself), median over the rounds; only for bulk.
    pub eta: Option<f64>,
}

impl MetricSummary {
    /// The worst round of the ratio.
    #[must_use]
    pub fn worst(&self) -> Option<f64> {
        self.ratio.as_ref().map(|ratio| self.metric.kind.better().worst(ratio))
    }

    /// Whether the median ratio stands out of the noise; `None` without a ratio or a control.
    #[must_use]
    pub fn clear(&self) -> Option<bool> {
        Some(stands_out(self.ratio?.median, self.noise?))
    }
}

impl RowSummary {
    /// Sums up one row of a record; `None` when it was not measured.
    #[must_use]
    pub fn of(record: &Record, row: Row) -> Option<Self> {
        let samples: Vec<&Sample> = record.of_row(row).collect();
        let mut products: Vec<String> = Vec::new();
        for sample in &samples {
            let id = &sample.product;
            if id != LIMIT && !id.ends_with(AGAIN) && !products.contains(id) {
                products.push(id.clone());
            }
        }
        // Whoever went first depends on the round; the report always begins with the subject.
        products.sort_by_key(|id| (*id != record.subject, position(record, id)));
        if products.is_empty() {
            return None;
        }
        let mut cells: Vec<Cell> = Vec::new();
        for sample in &samples {
            if !cells.contains(&sample.cell) {
                cells.push(sample.cell);
            }
        }
        cells.sort_by_key(|cell| metrics::order(*cell));
        let metrics = cells.into_iter().flat_map(metrics::of_cell);
        let metrics = metrics.filter_map(|metric| summarize(&samples, &record.subject, metric)).collect();
        Some(Self {
            row,
            subject: record.subject.clone(),
            metrics,
            stalled: stalled(&samples, &record.subject),
            failures: failures(&samples),
            disturbed: samples.iter().filter(|sample| sample.disturbed).count(),
            products,
        })
    }

    /// The metric of a kind in a cell.
    #[must_use]
    pub fn metric(&self, cell: Cell, kind: Kind) -> Option<&MetricSummary> {
        self.metrics.iter().find(|summary| summary.metric == Metric { cell, kind })
    }
}

fn summarize(samples: &[&Sample], subject: &str, metric: Metric) -> Option<MetricSummary> {
    let by_product = by_product(samples, metric);
    let limits = limits(samples, &by_product, metric);
    let better = metric.kind.better();
    let mut figures = BTreeMap::new();
    for (product, rounds) in &by_product {
        let Some(spread) = Spread::of(rounds.values().copied()) else { continue };
        let eta = limits.as_ref().and_then(|limits| {
            let etas = rounds.iter().filter_map(|(round, value)| {
                let limit = limits.get(round)?;
                Some(if better == Better::Lower { limit / value } else { value / limit })
            });
            Spread::of(etas).map(|etas| etas.median)
        });
        let Some(visits) = visits(samples, metric, product) else { continue };
        figures.insert(product.clone(), Figure { spread, visits, eta });
    }
    let control = figures.keys().find(|id| id.ends_with(AGAIN)).cloned();
    let mut best_peer: Option<(&String, f64)> = None;
    for (id, figure) in &figures {
        let peer = id != subject && id != LIMIT && !id.ends_with(AGAIN);
        if peer && best_peer.is_none_or(|(_, best)| better.prefers(figure.spread.median, best)) {
            best_peer = Some((id, figure.spread.median));
        }
    }
    let best_peer = best_peer.map(|(id, _)| id.clone()).filter(|_| metric.kind.comparable());
    let ratio = best_peer.as_ref().and_then(|peer| Spread::of(ratios(&by_product, subject, peer)));
    let noise = control.and_then(|control| noise_floor(&ratios(&by_product, &control, subject)));
    (!figures.is_empty()).then_some(MetricSummary { metric, figures, best_peer, ratio, noise })
}

type Rounds = BTreeMap<u32, f64>;

/// The figure of each product in each round. Both visits of a round make one figure.
fn by_product(samples: &[&Sample], metric: Metric) -> BTreeMap<String, Rounds> {
    let mut readings: BTreeMap<(String, u32), Vec<&Reading>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.cell == metric.cell) {
        readings.entry((sample.product.clone(), sample.round)).or_default().push(&sample.reading);
    }
    let mut figures: BTreeMap<String, Rounds> = BTreeMap::new();
    for ((product, round), readings) in readings {
        if let Some(value) = metric.kind.value(&readings) {
            figures.entry(product).or_default().insert(round, value);
        }
    }
    figures
}

/// The figure of each visit of a product by itself.
fn visits(samples: &[&Sample], metric: Metric, product: &str) -> Option<Spread> {
    let visits = samples.iter().filter(|sample| sample.cell == metric.cell && sample.product == product);
    Spread::of(visits.filter_map(|sample| metric.kind.value(&[&sample.reading])))
}

/// The limit of each round: the cost of two plain relays under the same load, plus sealing and opening once where the row does that.
fn limits(samples: &[&Sample], by_product: &BTreeMap<String, Rounds>, metric: Metric) -> Option<Rounds> {
    let relays = by_product.get(LIMIT)?;
    match metric.kind {
        Kind::Throughput => Some(relays.clone()),
        Kind::CpuPerGb => {
            if samples.first()?.row.record_bytes().is_none() {
                return Some(relays.clone());
            }
            let ciphers: Rounds = samples.iter().filter_map(|sample| cipher_of(sample)).collect();
            let with = |(round, relay): (&u32, &f64)| Some((*round, relay + ciphers.get(round)?));
            Some(relays.iter().filter_map(with).collect())
        }
        _ => None,
    }
}

fn cipher_of(sample: &Sample) -> Option<(u32, f64)> {
    match sample.reading {
        Reading::Cipher { seal_s_per_gb, open_s_per_gb, .. } => {
            Some((sample.round, seal_s_per_gb + open_s_per_gb))
        }
        _ => None,
    }
}

fn ratios(by_product: &BTreeMap<String, Rounds>, above: &str, below: &str) -> Vec<f64> {
    let (Some(above), Some(below)) = (by_product.get(above), by_product.get(below)) else {
        return Vec::new();
    };
    above.iter().filter_map(|(round, value)| Some(value / below.get(round)?)).collect()
}

fn stalled(samples: &[&Sample], subject: &str) -> BTreeMap<Cell, usize> {
    let mut stalled = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.product == subject) {
        if matches!(sample.reading, Reading::Bulk { stalled_streams: 1.., .. }) {
            *stalled.entry(sample.cell).or_insert(0) += 1;
        }
    }
    stalled
}

fn failures(samples: &[&Sample]) -> BTreeMap<(String, String), (usize, String)> {
    let mut failures = BTreeMap::new();
    for sample in samples {
        if let Reading::Failed { reason } = &sample.reading {
            let key = (sample.product.clone(), sample.cell.to_string());
            failures.entry(key).or_insert_with(|| (0, reason.clone())).0 += 1;
        }
    }
    failures
}

fn position(record: &Record, id: &str) -> usize {
    record.products.iter().position(|product| product.id == id).unwrap_or(usize::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
