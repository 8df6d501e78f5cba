//! From our flight to the client's Finished. Who brought the hello may have taken it on its way, and then cannot finish: so
//! the target hears all that does not open the tunnel, stays at hand, and has the last word.

use std::io;

use commucat_mimic::Responder;
use commucat_transport_api::BoxStream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::READ_BYTES;
use crate::target::sealed_record;

/// Bytes of the target that are held while it is not known whether the client finishes. A target that says more is heard.
const MAX_SAID_BYTES: usize = 32 << 10;
/// The type of a record with an alert (RFC 8446 §5.1).
const ALERT: u8 = 21;

/// Whose the connection is after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// So many records of the target's were imitated already.
    Ours {
        said: usize,
    },
    Stranger,
}

/// Sends our flight and waits for the client's Finished. Of what the target says meanwhile and has `said` behind its flight,
/// sealed records are imitated at once, as servers in Go send a ticket before they heard the client; the rest is kept for a
/// stranger.
///
/// # Errors
/// One of the connections broke.
pub(super) async fn finish(
    responder: &mut Responder,
    client: &mut BoxStream,
    target: &mut BoxStream,
    said: &mut Vec<u8>,
) -> io::Result<Finish> {
    // What comes with the client's Finished may end below TLS.
    responder.set_stepwise(true);
    let (mut from_client, mut from_target) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
    let mut imitated = 0;
    loop {
        imitated += imitate(said, responder);
        transmit(responder, client).await?;
        tokio::select! {
            biased;
            count = client.read(&mut from_client) => {
                let bytes = from_client.get(..count?).unwrap_or_default();
                // An end is read again by whoever passes on, and passed on by it.
                if bytes.is_empty() {
                    return Ok(Finish::Stranger);
                }
                let taken = responder.handle_input(bytes);
                if taken.is_ok() && responder.is_open() {
                    return Ok(Finish::Ours { said: imitated });
                }
                target.write_all(bytes).await?;
                target.flush().await?;
                if taken.is_err() {
                    return Ok(Finish::Stranger);
                }
            }
            count = target.read(&mut from_target) => {
                let bytes = from_target.get(..count?).unwrap_or_default();
                said.extend_from_slice(bytes);
                // An end, or an alert, is the site's word to whoever this is.
                let over = bytes.is_empty() || bytes.first() == Some(&ALERT);
                if over || said.len() > MAX_SAID_BYTES {
                    return Ok(Finish::Stranger);
                }
            }
        }
    }
}

/// Sends what our end has to say.
pub(super) async fn transmit(responder: &mut Responder, client: &mut BoxStream) -> io::Result<()> {
    let mut wire = Vec::new();
    responder.poll_transmit(&mut wire);
    client.write_all(&wire).await?;
    client.flush().await
}

/// Has our end say records of the same lengths as the sealed ones that `said` begins with, and takes them out: how many.
fn imitate(said: &mut Vec<u8>, responder: &mut Responder) -> usize {
    let mut records = 0;
    while let Some(length) = sealed_record(said) {
        // What cannot be imitated is kept for a stranger.
        if responder.imitate_record(length).is_err() {
            break;
        }
        said.drain(..length);
        records += 1;
    }
    records
}
