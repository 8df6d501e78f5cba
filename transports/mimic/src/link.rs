//! What both ends have alike: records in and out, their protection, and what comes after the handshake.

mod bulk;

pub use self::bulk::{Content, MAX_RECORD_BYTES, Opened, Sealed, sealed_bytes};
use crate::{
    Alert, Error, message,
    record::{self, Header, Protection},
};

/// Records in a row that move nothing (RFC 8446 allows them; a flood of them is an attack). BoringSSL's number.
pub(crate) const MAX_USELESS_RECORDS: u32 = 32;
/// Bytes of one handshake message.
const MAX_MESSAGE_BYTES: usize = crate::decompress::MAX_CERTIFICATE_BYTES;
/// Records after which our keys are renewed: half of what AES-GCM allows (RFC 8446 §5.5: 2^24.5).
const RECORDS_BEFORE_UPDATE: u64 = 1 << 23;
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Handshake,
    Open,
    /// The peer ended its direction; ours may go on.
    Closed,
    Failed,
}

/// Something that the owner of a link must look at.
#[derive(Debug)]
pub(crate) enum Input {
    /// A whole handshake message with its header.
    Message(u8, Vec<u8>),
    /// The peer ended its direction.
    Closed,
}

/// Records in and out.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) phase: Phase,
    pub(crate) send: Option<Protection>,
    pub(crate) receive: Option<Protection>,
    pub(crate) outgoing: Vec<u8>,
    pub(crate) plaintext: Vec<u8>,
    /// The most bytes of one record that we send.
    pub(crate) max_fragment: usize,
    /// Stop behind each record that held bytes, until these were taken.
    pub(crate) stepwise: bool,
    incoming: Vec<u8>,
    /// How much of `incoming` was read.
    read: usize,
    messages: Vec<u8>,
    useless_records: u32,
}

impl Link {
    pub(crate) const fn new() -> Self {
        Self {
            phase: Phase::Handshake,
            send: None,
            receive: None,
            outgoing: Vec::new(),
            plaintext: Vec::new(),
            max_fragment: record::MAX_PLAINTEXT_BYTES,
            stepwise: false,
            incoming: Vec::new(),
            read: 0,
            messages: Vec::new(),
            useless_records: 0,
        }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.incoming.extend_from_slice(bytes);
    }

    /// Forgets what was read; call when [`Self::next`] has no more.
    pub(crate) fn compact(&mut self) {
        self.incoming.drain(..self.read.min(self.incoming.len()));
        self.read = 0;
    }

    /// Bytes that arrived and were not decrypted.
    const fn unread(&self) -> usize {
        self.incoming.len() - self.read
    }

    /// The bytes that arrived and were not decrypted.
    pub(crate) fn take_undecrypted(&mut self) -> Vec<u8> {
        self.compact();
        std::mem::take(&mut self.incoming)
    }

    /// Reads on until there is something for the owner; `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Input>, Error> {
        loop {
            if let Some(input) = self.next_message()? {
                return Ok(Some(input));
            }
            if self.phase == Phase::Closed || (self.stepwise && !self.plaintext.is_empty()) {
                return Ok(None);
            }
            let Some(input) = self.read_record()? else { return Ok(None) };
            if let Some(input) = input {
                return Ok(Some(input));
            }
        }
    }

    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Closed)
    }

    /// The handshake is done: records move bytes from here on.
    pub(crate) const fn open(&mut self) {
        self.phase = Phase::Open;
        self.useless_records = 0;
    }

    /// Appends records of `bytes` to `out`.
    pub(crate) fn seal(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        if !self.is_open() {
            return Err(Error::NotOpen);
        }
        out.append(&mut self.outgoing);
        for part in bytes.chunks(self.max_fragment) {
            let send = self.send.as_mut().ok_or(Error::NotOpen)?;
            if send.records() >= RECORDS_BEFORE_UPDATE {
                self.renew_keys()?;
                out.append(&mut self.outgoing);
            }
            let send = self.send.as_mut().ok_or(Error::NotOpen)?;
            send.seal(out, record::APPLICATION_DATA, part)?;
        }
        Ok(())
    }

    /// Changes our keys and asks the peer to change its own.
    pub(crate) fn update_keys(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if !self.is_open() {
            return Err(Error::NotOpen);
        }
        self.write_key_update(1)?;
        out.append(&mut self.outgoing);
        Ok(())
    }

    /// No message may stand on both sides of a change of keys (RFC 8446 §5.1).
    pub(crate) const fn keys_may_change(&self) -> Result<(), Error> {
        if self.messages.is_empty() {
            return Ok(());
        }
        Err(Error::Unexpected("message across a change of keys"))
    }

    /// Ends the connection for `error`, with the alert that is due.
    pub(crate) fn fail(&mut self, error: &Error) {
        self.phase = Phase::Failed;
        let Some(alert) = error.alert() else { return };
        // The connection is over either way: an alert that cannot be sealed is not sent.
        self.write_alert(2, alert).ok();
    }

    pub(crate) fn write_alert(&mut self, level: u8, alert: Alert) -> Result<(), Error> {
        let body = [level, alert as u8];
        match &mut self.send {
            Some(send) => send.seal(&mut self.outgoing, record::ALERT, &body),
            None => {
                record::plain(&mut self.outgoing, record::ALERT, 0x0303, &body);
                Ok(())
            }
        }
    }

    pub(crate) fn count_useless(&mut self) -> Result<(), Error> {
        self.useless_records += 1;
        if self.useless_records > MAX_USELESS_RECORDS {
            return Err(Error::Unexpected("flood of records without content"));
        }
        Ok(())
    }

    fn next_message(&mut self) -> Result<Option<Input>, Error> {
        while let Some((kind, length)) = message::next(&self.messages, MAX_MESSAGE_BYTES)? {
            let rest = self.messages.split_off(length);
            let whole = std::mem::replace(&mut self.messages, rest);
            match (self.phase, kind) {
                (Phase::Handshake, _) => return Ok(Some(Input::Message(kind, whole))),
                (Phase::Open, message::KEY_UPDATE) => {
                    self.read_key_update(whole.get(4..).unwrap_or_default())?;
                }
                (Phase::Open, _) => {
                    self.count_useless()?;
                    return Ok(Some(Input::Message(kind, whole)));
                }
                (Phase::Closed | Phase::Failed, _) => return Err(Error::Unexpected("handshake message")),
            }
        }
        Ok(None)
    }

    /// Reads one record: `None` when it is not whole yet.
    fn read_record(&mut self) -> Result<Option<Option<Input>>, Error> {
        let rest = self.incoming.get_mut(self.read..).unwrap_or_default();
        let Some(header) = Header::read(rest)? else { return Ok(None) };
        let Some(record) = rest.get_mut(..header.total()) else { return Ok(None) };
        self.read += header.total();
        if header.kind == record::CHANGE_CIPHER_SPEC {
            // In compatibility mode a peer sends one (RFC 8446 §5); it means nothing.
            let meant = record.get(record::HEADER_BYTES..) == Some(&[1]) && self.phase == Phase::Handshake;
            if !meant {
                return Err(Error::Unexpected("change_cipher_spec"));
            }
            return self.count_useless().map(|()| Some(None));
        }
        let (kind, content) = match &mut self.receive {
            Some(_) if header.kind != record::APPLICATION_DATA => {
                return Err(Error::Unexpected("record without protection"));
            }
            Some(receive) => receive.open(record)?,
            None if header.kind == record::APPLICATION_DATA => {
                return Err(Error::Unexpected("sealed record before the hello"));
            }
            None => (header.kind, record.get_mut(record::HEADER_BYTES..).unwrap_or_default()),
        };
        if kind == record::APPLICATION_DATA && self.phase == Phase::Open && !content.is_empty() {
            self.useless_records = 0;
            self.plaintext.extend_from_slice(content);
            return Ok(Some(None));
        }
        // The record stands in a buffer of ours; what is no data is short.
        let content = content.to_vec();
        self.take_other(kind, &content).map(Some)
    }

    /// Takes the content of a record that holds no data.
    fn take_other(&mut self, kind: u8, content: &[u8]) -> Result<Option<Input>, Error> {
        match kind {
            record::APPLICATION_DATA if self.phase != Phase::Open => {
                Err(Error::Unexpected("data before Finished"))
            }
            record::APPLICATION_DATA => self.count_useless().map(|()| None),
            record::HANDSHAKE if content.is_empty() => Err(Error::Unexpected("empty handshake record")),
            record::HANDSHAKE => {
                self.messages.extend_from_slice(content);
                Ok(None)
            }
            record::ALERT => {
                let alert = <[u8; 2]>::try_from(content).map_err(|_slice| Error::Decode("alert"))?;
                self.read_alert(alert)
            }
            _ => Err(Error::Unexpected("content type")),
        }
    }

    fn read_alert(&mut self, [_level, alert]: [u8; 2]) -> Result<Option<Input>, Error> {
        match alert {
            CLOSE_NOTIFY if self.phase == Phase::Open => {
                self.phase = Phase::Closed;
                Ok(Some(Input::Closed))
            }
            USER_CANCELED => self.count_useless().map(|()| None),
            other => Err(Error::PeerAlert(other)),
        }
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

    fn renew_keys(&mut self) -> Result<(), Error> {
        self.write_key_update(0)
    }

    /// Says that our next record has new keys; `request` is 1 to ask the peer for the same.
    fn write_key_update(&mut self, request: u8) -> Result<(), Error> {
        let send = self.send.as_mut().ok_or(Error::NotOpen)?;
        send.seal(&mut self.outgoing, record::HANDSHAKE, &[message::KEY_UPDATE, 0, 0, 1, request])?;
        *send = send.updated()?;
        Ok(())
    }
}
