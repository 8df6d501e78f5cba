//! The verdict ids. Stable: a name here is never given another meaning.

/// The endpoint works.
pub const OK: &str = "ok";
/// This machine has no network.
pub const NET_DOWN: &str = "net.down";
/// A captive portal answers in place of other hosts.
pub const NET_CAPTIVE: &str = "net.captive";
/// Only chosen addresses answer: the domestic control passed, every foreign one failed.
pub const NET_WHITELIST: &str = "net.whitelist_cidr";
/// Only chosen names pass in a hello.
pub const NET_WHITELIST_SNI: &str = "net.whitelist_sni";
/// Only the ports of names and web pages are left.
pub const NET_SHUTDOWN: &str = "net.shutdown";
/// The resolver gave an address that cannot be the bridge's.
pub const DNS_BOGON: &str = "dns.bogon";
/// Somebody on the way answers questions: two answers came, or one from a host that answers none.
pub const DNS_INJECTED: &str = "dns.injected";
/// Questions to another resolver are answered by somebody in its place.
pub const DNS_HIJACKED: &str = "dns.hijacked";
/// The resolvers disagree on the address.
pub const DNS_INCONSISTENT: &str = "dns.inconsistent";
/// The resolver says that the name does not exist.
pub const DNS_NXDOMAIN: &str = "dns.nxdomain";
/// The resolver did not answer.
pub const DNS_TIMEOUT: &str = "dns.timeout";
/// The connection was refused.
pub const TCP_REFUSED: &str = "tcp.refused";
/// The connection was reset while it was opened.
pub const TCP_RST: &str = "tcp.rst";
/// Nothing answered the connection attempt.
pub const TCP_TIMEOUT: &str = "tcp.timeout";
/// The network said that there is no way to that address.
pub const TCP_NO_ROUTE: &str = "tcp.no_route";
/// Reset right after the TLS hello.
pub const TLS_RST_AFTER_CH: &str = "tls.rst_after_ch";
/// Silence after the TLS hello.
pub const TLS_DROP_AFTER_CH: &str = "tls.drop_after_ch";
/// Closed right after the TLS hello.
pub const TLS_FIN_AFTER_CH: &str = "tls.fin_after_ch";
/// A certificate that is not the bridge's.
pub const TLS_MITM: &str = "tls.mitm";
/// The server ended the TLS handshake with an alert.
pub const TLS_ALERT: &str = "tls.alert";
/// Hellos with an encrypted client hello are stopped.
pub const TLS_ECH_BLOCKED: &str = "tls.ech_blocked";
/// Hellos with one fingerprint are stopped.
pub const TLS_FP_BLOCKED: &str = "tls.fp_blocked";
/// Every QUIC handshake is stopped after its first datagram.
pub const QUIC_DROP: &str = "quic.drop_after_initial";
/// QUIC handshakes that bear one name are stopped.
pub const QUIC_SNI: &str = "quic.sni";
/// Datagrams do not come through.
pub const UDP_BLOCKED: &str = "udp.blocked";
/// Reset after the first bytes of a protocol without TLS, or during the transfer.
pub const FLOW_RST: &str = "flow.rst_after_data";
/// Silence after the first bytes of a protocol without TLS.
pub const FLOW_DROP: &str = "flow.drop_after_data";
/// Closed after the first bytes of a protocol without TLS.
pub const FLOW_FIN: &str = "flow.fin_after_data";
/// The transfer began and then stood still.
pub const FLOW_FREEZE: &str = "flow.freeze_bytes";
/// The transfer stands still after a number of packets.
pub const FLOW_FREEZE_PACKETS: &str = "flow.freeze_packets";
/// The transfer is far slower than the path.
pub const FLOW_THROTTLED: &str = "flow.throttled";
/// Connections beyond a number beside each other are stopped.
pub const CONN_PARALLEL_LIMIT: &str = "conn.parallel_limit";
/// First payloads that look like random bytes are stopped.
pub const PROTO_FET: &str = "proto.fet";
/// Only known protocols pass.
pub const PROTO_ALLOWLIST: &str = "proto.allowlist";
/// The first packets of a VPN protocol are stopped.
pub const PROTO_VPN_SIGNATURE: &str = "proto.vpn_signature";
/// One address does not answer although its neighbours do.
pub const IP_BLOCKED: &str = "ip.blocked";
/// The bridge did not accept the key.
pub const AUTH_KEY: &str = "auth.key";
/// The bridge does not know the user.
pub const AUTH_USER: &str = "auth.user";
/// The clocks differ too much.
pub const AUTH_CLOCK: &str = "auth.clock";
/// The bridge asks for a newer version.
pub const BRIDGE_VERSION: &str = "bridge.version";
/// The bridge is at its limit.
pub const BRIDGE_FULL: &str = "bridge.full";
/// The bridge works, but does not reach the target.
pub const BRIDGE_TARGET: &str = "bridge.target";
/// Something else than this bridge answers.
pub const PEER_OTHER: &str = "peer.other_service";
/// The evidence does not decide.
pub const INCONCLUSIVE: &str = "inconclusive";
