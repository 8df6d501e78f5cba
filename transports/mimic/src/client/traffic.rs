//! Records in and out, and the messages that come after the handshake.

use std::time::Duration;

use super::{Client, Event, MAX_MESSAGE_BYTES, MAX_TICKETS, MAX_USELESS_RECORDS, State};
use crate::{
    Alert, Error, Ticket, message,
    record::{self, Header},
};

/// Records after which our keys are renewed: half of what AES-GCM allows (RFC 8446 §5.5: 2^24.5).
const RECORDS_BEFORE_UPDATE: u64 = 1 << 23;
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;

impl Client {
    /// Appends records of `bytes` to `out`.
    ///
    /// # Errors
    /// [`Error::NotOpen`] before the handshake is done.
    pub fn seal(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        if !self.is_open() {
            return Err(Error::NotOpen);
        }
        out.append(&mut self.outgoing);
        for part in bytes.chunks(self.max_fragment) {
            self.renew_keys_when_due()?;
            out.append(&mut self.outgoing);
            let send = self.send.as_mut().ok_or(Error::NotOpen)?;
            send.seal(out, record::APPLICATION_DATA, part)?;
        }
        Ok(())
    }

    /// Ends our direction (close_notify). What arrives is still read.
    ///
    /// # Errors
    /// [`Error::NotOpen`] before the handshake is done.
    pub fn close(&mut self) -> Result<(), Error> {
        if !self.is_open() {
            return Err(Error::NotOpen);
        }
        self.write_alert(1, Alert::CloseNotify)
    }

    pub(super) fn read_records(&mut self, now: Duration) -> Result<(), Error> {
        let mut incoming = std::mem::take(&mut self.incoming);
        let mut at = 0;
        let result = loop {
            let rest = incoming.get_mut(at..).unwrap_or_default();
            let header = match Header::read(rest) {
                Ok(Some(header)) => header,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            let Some(record) = rest.get_mut(..header.total()) else { break Ok(()) };
            at += header.total();
            if let Err(error) = self.read_record(now, header, record) {
                break Err(error);
            }
            if matches!(self.state, State::Closed) {
                break Ok(());
            }
        };
        incoming.drain(..at.min(incoming.len()));
        self.incoming = incoming;
        result
    }

    fn read_record(&mut self, now: Duration, header: Header, record: &mut [u8]) -> Result<(), Error> {
        if header.kind == record::CHANGE_CIPHER_SPEC {
            return self.read_change_cipher_spec(record);
        }
        let Some(receive) = &mut self.receive else {
            let body = record.get(record::HEADER_BYTES..).unwrap_or_default();
            return match header.kind {
                record::HANDSHAKE => self.read_messages(now, body),
                record::ALERT => self.read_alert(body),
                _ => Err(Error::Unexpected("record before ServerHello")),
            };
        };
        if header.kind != record::APPLICATION_DATA {
            return Err(Error::Unexpected("record without protection"));
        }
        let (kind, content) = receive.open(record)?;
        match kind {
            record::APPLICATION_DATA => {
                if !matches!(self.state, State::Open) {
                    return Err(Error::Unexpected("data before Finished"));
                }
                if content.is_empty() {
                    return self.count_useless();
                }
                self.useless_records = 0;
                self.plaintext.extend_from_slice(content);
                Ok(())
            }
            record::HANDSHAKE if content.is_empty() => Err(Error::Unexpected("empty handshake record")),
            record::HANDSHAKE => {
                let content = content.to_vec();
                self.read_messages(now, &content)
            }
            record::ALERT => {
                let content = content.to_vec();
                self.read_alert(&content)
            }
            _ => Err(Error::Unexpected("content type")),
        }
    }

    /// A server in compatibility mode sends one (RFC 8446 §5); it means nothing.
    fn read_change_cipher_spec(&mut self, record: &[u8]) -> Result<(), Error> {
        let body = record.get(record::HEADER_BYTES..).unwrap_or_default();
        if body != [1] || matches!(self.state, State::Open) {
            return Err(Error::Unexpected("change_cipher_spec"));
        }
        self.count_useless()
    }

    fn count_useless(&mut self) -> Result<(), Error> {
        self.useless_records += 1;
        if self.useless_records > MAX_USELESS_RECORDS {
            return Err(Error::Unexpected("flood of records without content"));
        }
        Ok(())
    }

    fn read_alert(&mut self, body: &[u8]) -> Result<(), Error> {
        let &[_level, alert] = body else { return Err(Error::Decode("alert")) };
        match alert {
            CLOSE_NOTIFY if matches!(self.state, State::Open) => {
                self.state = State::Closed;
                self.events.push_back(Event::Closed);
                Ok(())
            }
            USER_CANCELED => self.count_useless(),
            other => Err(Error::PeerAlert(other)),
        }
    }

    fn read_messages(&mut self, now: Duration, bytes: &[u8]) -> Result<(), Error> {
        self.messages.extend_from_slice(bytes);
        while let Some((kind, length)) = message::next(&self.messages, MAX_MESSAGE_BYTES)? {
            let rest = self.messages.split_off(length);
            let whole = std::mem::replace(&mut self.messages, rest);
            self.read_message(now, kind, &whole)?;
        }
        Ok(())
    }

    fn read_message(&mut self, now: Duration, kind: u8, whole: &[u8]) -> Result<(), Error> {
        let body = whole.get(4..).unwrap_or_default();
        match (&self.state, kind) {
            (State::Open, message::NEW_SESSION_TICKET) => {
                self.count_useless()?;
                self.read_ticket(now, body)
            }
            (State::Open, message::KEY_UPDATE) => self.read_key_update(body),
            (State::Open | State::Closed | State::Failed, _) => Err(Error::Unexpected("handshake message")),
            _ => self.read_handshake_message(now, kind, whole),
        }
    }

    fn read_ticket(&mut self, now: Duration, body: &[u8]) -> Result<(), Error> {
        let suite = crate::schedule::Suite::of(self.facts.suite).ok_or(Error::NotOpen)?;
        let resumption = self.resumption.as_ref().ok_or(Error::NotOpen)?;
        let ticket = Ticket::read(body, suite, resumption, now).ok_or(Error::Decode("NewSessionTicket"))?;
        let kept = self.events.iter().filter(|event| matches!(event, Event::Ticket(_))).count();
        if kept < MAX_TICKETS {
            self.events.push_back(Event::Ticket(ticket));
        }
        Ok(())
    }

    fn read_key_update(&mut self, body: &[u8]) -> Result<(), Error> {
        self.count_useless()?;
        self.keys_may_change()?;
        let receive = self.receive.as_mut().ok_or(Error::NotOpen)?;
        *receive = receive.updated()?;
        match body {
            [0] => Ok(()),
            [1] => self.renew_keys(),
            _ => Err(Error::Illegal("a KeyUpdate that is neither asked nor answered")),
        }
    }

    fn renew_keys_when_due(&mut self) -> Result<(), Error> {
        let due = self.send.as_ref().is_some_and(|send| send.records() >= RECORDS_BEFORE_UPDATE);
        if due { self.renew_keys() } else { Ok(()) }
    }

    fn renew_keys(&mut self) -> Result<(), Error> {
        let send = self.send.as_mut().ok_or(Error::NotOpen)?;
        send.seal(&mut self.outgoing, record::HANDSHAKE, &[message::KEY_UPDATE, 0, 0, 1, 0])?;
        *send = send.updated()?;
        Ok(())
    }

    /// No message may stand on both sides of a change of keys (RFC 8446 §5.1).
    pub(super) const fn keys_may_change(&self) -> Result<(), Error> {
        if self.messages.is_empty() {
            return Ok(());
        }
        Err(Error::Unexpected("message across a change of keys"))
    }
}
