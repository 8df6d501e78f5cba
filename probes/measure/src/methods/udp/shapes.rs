//! Datagrams with the shapes of VPN protocols. They carry no key and open nothing. The server echoes each without its
//! last byte, so a datagram one byte longer than an answer makes the server send the shape of that answer.

use commucat_verdict::observations::Payload;

/// Sizes of WireGuard's messages, in bytes: initiation, response, keepalive (whitepaper §5.4).
const WIREGUARD_INITIATION: usize = 148;
const WIREGUARD_RESPONSE: usize = 92;
const WIREGUARD_KEEPALIVE: usize = 32;
/// OpenVPN: `P_CONTROL_HARD_RESET_CLIENT_V2`, `…_SERVER_V2`, `P_ACK_V1`, `P_CONTROL_V1`, opcode in the upper five bits.
const OPENVPN_RESET_CLIENT: u8 = 7 << 3;
const OPENVPN_RESET_SERVER: u8 = 8 << 3;
const OPENVPN_ACK: u8 = 5 << 3;
const OPENVPN_CONTROL: u8 = 4 << 3;
/// Sizes of the harmless ones, in bytes. The large one is as large as a QUIC Initial.
const SMALL: usize = 64;
const LARGE: usize = 1200;

/// The datagrams of one flow, each sent after the echo of the one before.
pub(super) fn datagrams(payload: Payload, rng: &mut fastrand::Rng) -> Vec<Vec<u8>> {
    match payload {
        Payload::DatagramLarge => vec![random(LARGE, rng)],
        Payload::WireGuard => wireguard(rng),
        Payload::OpenVpn => openvpn(rng),
        Payload::Dtls => vec![dtls(rng), dtls(rng)],
        Payload::VpnSized => {
            let sizes = wireguard(rng).into_iter().chain(openvpn(rng)).chain([dtls(rng)]);
            sizes.map(|datagram| random(datagram.len(), rng)).collect()
        }
        _ => vec![random(SMALL, rng); 2],
    }
}

/// Initiation, the size and type of a response, and transport data.
fn wireguard(rng: &mut fastrand::Rng) -> Vec<Vec<u8>> {
    let message = |kind: u8, len: usize, rng: &mut fastrand::Rng| {
        let mut message = random(len, rng);
        message.splice(..4, [kind, 0, 0, 0]);
        message
    };
    vec![
        message(1, WIREGUARD_INITIATION, rng),
        message(2, WIREGUARD_RESPONSE + 1, rng),
        message(4, WIREGUARD_KEEPALIVE, rng),
        message(4, WIREGUARD_KEEPALIVE + 16 * 4, rng),
    ]
}

/// The opening of a session: resets, an acknowledgement, the first control packet. With one session id throughout.
fn openvpn(rng: &mut fastrand::Rng) -> Vec<Vec<u8>> {
    let (ours, theirs) = (random(8, rng), random(8, rng));
    let packet_id = [0_u8; 4];
    let mut reset = vec![OPENVPN_RESET_CLIENT];
    reset.extend(&ours);
    reset.push(0); // no acknowledgements
    reset.extend(packet_id);
    let mut answer = vec![OPENVPN_RESET_SERVER];
    answer.extend(&theirs);
    answer.push(1); // one acknowledgement
    answer.extend(packet_id);
    answer.extend(&ours);
    answer.extend(packet_id);
    answer.push(0); // the byte that the echo drops
    let mut ack = vec![OPENVPN_ACK];
    ack.extend(&ours);
    ack.push(1);
    ack.extend(packet_id);
    ack.extend(&theirs);
    let mut control = vec![OPENVPN_CONTROL];
    control.extend(&ours);
    control.push(0);
    control.extend([0, 0, 0, 1]);
    control.extend(random(200, rng));
    vec![reset, answer, ack, control]
}

/// A DTLS 1.2 ClientHello (RFC 6347 §4.2.2) as WebRTC stacks send it, with the groups x25519, P-256, P-384 and the
/// extensions of SRTP.
fn dtls(rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut extensions = Vec::new();
    let mut extension = |kind: u16, body: &[u8]| {
        extensions.extend(kind.to_be_bytes());
        extensions.extend(length(body.len()));
        extensions.extend(body);
    };
    extension(10, &[0, 6, 0, 29, 0, 23, 0, 24]); // supported_groups
    extension(11, &[1, 0]); // ec_point_formats
    extension(13, &[0, 8, 4, 3, 8, 4, 4, 1, 5, 3]); // signature_algorithms
    extension(14, &[0, 4, 0, 7, 0, 1, 0]); // use_srtp (RFC 5764)
    extension(23, &[]); // extended_master_secret
    extension(65281, &[0]); // renegotiation_info
    let ciphers: [u16; 6] = [0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc009, 0xc013];
    let mut body = vec![0xfe, 0xfd];
    body.extend(random(32, rng));
    body.extend([0, 0]); // no session id, no cookie
    body.extend(length(ciphers.len() * 2));
    ciphers.iter().for_each(|cipher| body.extend(cipher.to_be_bytes()));
    body.extend([1, 0]); // no compression
    body.extend(length(extensions.len()));
    body.extend(extensions);
    let [high, low] = length(body.len());
    let mut handshake = vec![1, 0, high, low, 0, 0, 0, 0, 0, 0, high, low];
    handshake.extend(body);
    let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0];
    record.extend(length(handshake.len()));
    record.extend(handshake);
    record
}

fn length(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}

fn random(len: usize, rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = vec![0; len];
    bytes.fill_with(|| rng.u8(..));
    bytes
}
