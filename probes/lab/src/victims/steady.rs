//! A sender with a rate of its own: it goes on sending at that rate whatever is lost, as Brutal and its kind do.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::UdpSocket,
    time::{Instant, sleep},
};

use super::{Outcome, Scene, datagram};

/// Bytes of a datagram, and how many of them leave in a second: 10 Mbit/s.
const DATAGRAM_BYTES: usize = 1250;
const DATAGRAMS_PER_SECOND: u32 = 1000;
/// How long it sends.
const DURATION: Duration = Duration::from_millis(1600);
/// Pause between two looks at what is due.
const TICK: Duration = Duration::from_millis(2);
/// What it says when it is done, and how often, because a datagram may be lost on a busy machine.
const END: &[u8] = b"end";
const ENDS: usize = 5;

/// Opens the sender in the world and listens to it. Like a call, it is intact when its end arrives: what is lost on the
/// way is not asked for again.
pub(super) async fn listen(scene: &Scene, at: SocketAddr) -> Outcome {
    match try_listen(scene, at).await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

async fn try_listen(scene: &Scene, at: SocketAddr) -> Result<Outcome, Outcome> {
    let socket = scene.in_world(UdpSocket::bind(at)).await?;
    scene.leave_in_world(async move {
        // The socket ends with the world.
        let ended: io::Result<()> = send(&socket).await;
        drop(ended);
    });
    let socket = datagram::connect(scene, at).await?;
    scene.wait(0, socket.send(b"begin")).await?;
    let mut bytes = 0;
    loop {
        let datagram = datagram::receive(scene, &socket, bytes).await?;
        if datagram == END {
            return Ok(Outcome::Intact { bytes });
        }
        bytes += u64::try_from(datagram.len()).unwrap_or_default();
    }
}

async fn send(socket: &UdpSocket) -> io::Result<()> {
    let mut asked = [0; 16];
    let (_, to) = socket.recv_from(&mut asked).await?;
    let datagram = [0x9c; DATAGRAM_BYTES];
    let interval = Duration::from_secs(1) / DATAGRAMS_PER_SECOND;
    let began = Instant::now();
    let mut due = began;
    while began.elapsed() < DURATION {
        // What a late wake-up missed is made up for, so the rate holds over any longer time.
        while due <= Instant::now() {
            socket.send_to(&datagram, to).await?;
            due += interval;
        }
        sleep(TICK).await;
    }
    for _ in 0..ENDS {
        socket.send_to(END, to).await?;
        sleep(TICK).await;
    }
    Ok(())
}
