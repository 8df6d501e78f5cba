//! A visit over HTTP/2: the first page, then some walkers that follow its links. Pure: time and random bits come in.

use std::time::{Duration, Instant};

use super::{
    http2::{Event, Opener, Request},
    page::Page,
    plan::{Draw, Plan},
};

/// Who is on the way, and what is known of the site.
pub(super) struct Walk<'a> {
    plan: &'a Plan,
    opener: Opener<'a>,
    draw: &'a mut Draw<'a>,
    paths: Vec<String>,
    walkers: Vec<Walker>,
    /// Nothing is asked for any more.
    over: bool,
}

struct Walker {
    /// Pages that are still to be asked for.
    left: u32,
    referer: Option<String>,
    state: State,
    page: Page,
}

enum State {
    /// Asks for the next page then.
    Waits(Instant),
    /// The answer to this stream is read: the page of that path.
    Reads(u32, String),
}

impl<'a> Walk<'a> {
    /// Begins with the page of the plan.
    pub(super) fn new(plan: &'a Plan, opener: Opener<'a>, draw: &'a mut Draw<'a>, now: Instant) -> Self {
        let first = Walker { left: 1, referer: None, state: State::Waits(now), page: Page::default() };
        Self { plan, opener, draw, paths: vec![plan.path.clone()], walkers: vec![first], over: false }
    }

    /// The requests that are due.
    pub(super) fn requests(&mut self, now: Instant) -> Vec<u8> {
        let mut out = Vec::new();
        if self.over {
            return out;
        }
        for walker in &mut self.walkers {
            let State::Waits(at) = walker.state else { continue };
            if at > now {
                continue;
            }
            let at = (self.draw)() as usize % self.paths.len().max(1);
            let Some(path) = self.paths.get(at).cloned() else { continue };
            let request = Request {
                path: &path,
                referer: walker.referer.as_deref(),
                padding: self.plan.padding.draw(self.draw) as usize,
            };
            walker.left -= 1;
            walker.page = Page::default();
            walker.state = State::Reads(self.opener.get(&request, &mut out), path);
        }
        out
    }

    /// When the next request is due, if one will be.
    pub(super) fn next(&self) -> Option<Instant> {
        let waits = |walker: &Walker| match walker.state {
            State::Waits(at) => Some(at),
            State::Reads(..) => None,
        };
        if self.over { None } else { self.walkers.iter().filter_map(waits).min() }
    }

    /// Takes what the site said.
    pub(super) fn heard(&mut self, event: &Event<'_>, now: Instant) {
        match event {
            Event::Data(stream, bytes) => {
                if let Some(walker) = self.reader(*stream) {
                    walker.page.take(bytes);
                }
            }
            Event::End(stream) => self.page_ended(*stream, now),
            Event::Goodbye => self.over = true,
        }
    }

    fn reader(&mut self, stream: u32) -> Option<&mut Walker> {
        self.walkers
            .iter_mut()
            .find(|walker| matches!(walker.state, State::Reads(reads, _) if reads == stream))
    }

    fn page_ended(&mut self, stream: u32, now: Instant) {
        let Some(at) = self
            .walkers
            .iter()
            .position(|walker| matches!(walker.state, State::Reads(reads, _) if reads == stream))
        else {
            return;
        };
        let mut walker = self.walkers.swap_remove(at);
        let State::Reads(_, path) = walker.state else { return };
        walker.page.links(self.opener.site(), &mut self.paths);
        if walker.referer.is_none() {
            self.spread(&path, now);
        } else if walker.left > 0 {
            let pause = Duration::from_millis(self.plan.interval_ms.draw(self.draw).into());
            walker.referer = Some(path);
            walker.state = State::Waits(now + pause);
            self.walkers.push(walker);
        }
    }

    /// The first page is there: some begin to follow its links.
    fn spread(&mut self, first: &str, now: Instant) {
        for _ in 0..self.plan.walkers.draw(self.draw) {
            let left = self.plan.pages.draw(self.draw);
            if left > 0 {
                let (referer, state) = (Some(first.to_owned()), State::Waits(now));
                self.walkers.push(Walker { left, referer, state, page: Page::default() });
            }
        }
    }
}
