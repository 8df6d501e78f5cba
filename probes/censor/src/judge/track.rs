//! What a packet changes in the memory of its flow.

use std::time::Duration;

use commucat_dissect::ip::{Packet, TcpSegment, Transport};

use crate::{event::Side, flow::Flow, hello::NewHellos};

impl Flow {
    /// Counts the packet, follows the connection, and puts the beginning of the stream together. Answers the hellos
    /// that it completed. `room` is how many more bytes all flows together may hold.
    pub(super) fn see(
        &mut self,
        now: Duration,
        from: Side,
        packet: &Packet<'_>,
        room: &mut usize,
    ) -> NewHellos {
        self.last = now;
        *self.packets.get_mut(from) += 1;
        *self.bytes.get_mut(from) += packet.bytes.len() as u64;
        match &packet.transport {
            Transport::Tcp(segment) => {
                self.count_payload(from, segment.payload.len());
                self.follow(from, segment.flags);
                self.collect(from, segment, room)
            }
            Transport::Udp(datagram) => {
                self.count_payload(from, datagram.payload.len());
                NewHellos::default()
            }
            Transport::Icmp(_) | Transport::Fragment | Transport::Other(_) => NewHellos::default(),
        }
    }

    fn count_payload(&mut self, from: Side, bytes: usize) {
        if bytes > 0 {
            *self.data_packets.get_mut(from) += 1;
            *self.payload_bytes.get_mut(from) += bytes as u64;
        }
    }

    fn collect(&mut self, from: Side, segment: &TcpSegment<'_>, room: &mut usize) -> NewHellos {
        let stream = self.streams.get_mut(from);
        if segment.flags.syn {
            stream.open(segment.sequence);
        }
        if segment.payload.is_empty() || segment.flags.rst {
            return NewHellos::default();
        }
        stream.insert(segment.sequence.wrapping_add(u32::from(segment.flags.syn)), segment.payload, room);
        if from == Side::World || !self.hellos.is_open() {
            return NewHellos::default();
        }
        self.hellos.look(segment.payload, stream.prefix(), self.payload_bytes.client)
    }
}

/// Who began the flow, told from the first packet that was seen of it. Without a SYN, servers are taken to have the
/// lower port.
pub(super) fn opener(from: Side, first: &Packet<'_>) -> Side {
    match &first.transport {
        Transport::Tcp(segment) => match (segment.flags.syn, segment.flags.ack) {
            (true, true) => from.other(),
            (false, _) if segment.source_port < segment.destination_port => from.other(),
            _ => from,
        },
        Transport::Udp(_) | Transport::Icmp(_) | Transport::Fragment | Transport::Other(_) => from,
    }
}
