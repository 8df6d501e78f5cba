//! From our flight to the client's Finished. Who brought the hello may have taken it on its way, and then cannot finish: so
//! the target hears all that does not open the tunnel, stays at hand, and has the last word.

use std::io;

use commucat_mimic::Responder;
use commucat_transport_api::BoxStream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::READ_BYTES;

/// Bytes of the target that are held while it is not known whether the client finishes. A target that says more is heard.
const MAX_SAID_BYTES: usize = 32 << 10;
/// The type of a record with an alert (RFC 8446 §5.1).
const ALERT: u8 = 21;

/// Whose the connection is after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Ours,
    Stranger,
}

/// Sends our flight and waits for the client's Finished. What the target says meanwhile is added to `said`: for a stranger.
///
/// # Errors
/// One of the connections broke.
pub(super) async fn finish(
    responder: &mut Responder,
    client: &mut BoxStream,
    target: &mut BoxStream,
    said: &mut Vec<u8>,
) -> io::Result<Finish> {
    let mut wire = Vec::new();
    responder.poll_transmit(&mut wire);
    // What comes with the client's Finished may end below TLS.
    responder.set_stepwise(true);
    client.write_all(&wire).await?;
    client.flush().await?;
    drop(wire);
    let (mut from_client, mut from_target) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
    loop {
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
                    return Ok(Finish::Ours);
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
                // Tickets that came early are for nobody; an end, or an alert, is the site's word to whoever this is.
                let over = bytes.is_empty() || bytes.first() == Some(&ALERT);
                if over || said.len() > MAX_SAID_BYTES {
                    return Ok(Finish::Stranger);
                }
            }
        }
    }
}
