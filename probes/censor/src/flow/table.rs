//! The table of flows: bounded, by key, each with a time after which it is forgotten.

use std::time::Duration;

use super::{Flow, FlowKey, TcpState};
use crate::{bounded::Bounded, event::Side};

/// Flows that are remembered at once. When one more comes, the flow that was silent longest is forgotten.
pub const FLOWS_MAX: usize = 16 * 1024;

/// Bytes of stream beginnings held for all flows together. When they are used up, new segments are not put together
/// until flows end.
const REASSEMBLY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a TCP handshake may take: Russian boxes forget a SYN after 60 s (IMC 2022, from memory).
const SYN_IDLE: Duration = Duration::from_secs(60);
/// How long an open connection may be silent: 480 s in Russian boxes (IMC 2022, from memory).
const OPEN_IDLE: Duration = Duration::from_secs(480);
/// After FIN or RST: long enough for what is still on the way.
const CLOSED_IDLE: Duration = Duration::from_secs(10);
/// Between datagrams: the usual 180 s of Linux conntrack for a flow with answers.
const DATAGRAMS_IDLE: Duration = Duration::from_secs(180);
/// The shortest of them.
const IDLE_MIN: Duration = CLOSED_IDLE;

#[derive(Debug)]
pub(crate) struct FlowTable {
    flows: Bounded<FlowKey, Box<Flow>>,
    made: u64,
    /// Bytes that may still be held.
    pub(crate) room: usize,
}

impl FlowTable {
    pub(crate) fn new() -> Self {
        Self { flows: Bounded::new(FLOWS_MAX), made: 0, room: REASSEMBLY_BYTES_MAX }
    }

    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }

    /// Takes the flow out when it is over for a packet that comes now: its time ran out, or the packet opens a new
    /// connection with the same ports: `syn` is the sequence number of a SYN. A SYN that is merely sent again opens
    /// nothing, nor does a SYN in an open connection.
    pub(crate) fn take_if_over(
        &mut self,
        key: &FlowKey,
        now: Duration,
        from: Side,
        syn: Option<u32>,
    ) -> Option<Box<Flow>> {
        let flow = self.flows.peek(key)?;
        let reopened = syn.is_some_and(|sequence| match flow.state {
            TcpState::Closed | TcpState::Closing | TcpState::Midstream => true,
            TcpState::SynSent | TcpState::SynAnswered => !flow.streams.get(from).begins_after(sequence),
            TcpState::Established | TcpState::Datagrams => false,
        });
        if is_idle(flow, now) || reopened { self.take(key) } else { None }
    }

    pub(crate) fn contains(&self, key: &FlowKey) -> bool {
        self.flows.contains(key)
    }

    /// Takes out the flow that was silent longest.
    pub(crate) fn take_any(&mut self) -> Option<Box<Flow>> {
        let key = self.flows.oldest()?;
        self.take(&key)
    }

    /// The flow of that key; `None` when it must be [made](Self::open).
    pub(crate) fn get(&mut self, key: &FlowKey) -> Option<(&mut Flow, &mut usize)> {
        let flow = self.flows.get(key)?;
        Some((flow, &mut self.room))
    }

    /// Puts a new flow in. Gives back the flow that had to leave for it.
    pub(crate) fn open(&mut self, key: FlowKey, opened_by: Side, now: Duration) -> Option<Box<Flow>> {
        self.made += 1;
        let left = self.flows.insert(key, Box::new(Flow::new(self.made, key, opened_by, now)));
        left.map(|(_key, flow)| self.gone(flow))
    }

    /// Takes out one flow whose time ran out, if there is one. `from` remembers where to go on.
    pub(crate) fn take_idle(&mut self, now: Duration, from: &mut Option<FlowKey>) -> Option<Box<Flow>> {
        let mut next = match from.take() {
            Some(key) => Some(key),
            None => self.flows.oldest(),
        };
        while let Some(key) = next {
            let flow = self.flows.peek(&key)?;
            if flow.last + IDLE_MIN > now {
                return None;
            }
            next = self.flows.newer(&key);
            if is_idle(flow, now) {
                *from = next;
                return self.take(&key);
            }
        }
        None
    }

    fn take(&mut self, key: &FlowKey) -> Option<Box<Flow>> {
        self.flows.remove(key).map(|flow| self.gone(flow))
    }

    fn gone(&mut self, flow: Box<Flow>) -> Box<Flow> {
        self.room += flow.streams.client.held() + flow.streams.world.held();
        flow
    }
}

fn is_idle(flow: &Flow, now: Duration) -> bool {
    let idle = match flow.state {
        TcpState::SynSent | TcpState::SynAnswered => SYN_IDLE,
        TcpState::Established | TcpState::Midstream | TcpState::Closing => OPEN_IDLE,
        TcpState::Closed => CLOSED_IDLE,
        TcpState::Datagrams => DATAGRAMS_IDLE,
    };
    now.saturating_sub(flow.last) > idle
}
