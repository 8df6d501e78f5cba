//! The verdict ids. Stable: a name here is never given another meaning.

/// The endpoint works.
pub const OK: &str = "ok";
/// This machine has no network.
pub const NET_DOWN: &str = "net.down";
/// A captive portal answers in place of other hosts.
pub const NET_CAPTIVE: &str = "net.captive";
/// Only chosen addresses answer: the domestic control passed, every foreign one failed.
pub const NET_WHITELIST: &str = "net.whitelist_cidr";
/// The resolver gave an address that cannot be the bridge's.
pub const DNS_BOGON: &str = "dns.bogon";
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
/// Reset after the first bytes of a protocol without TLS, or during the transfer.
pub const FLOW_RST: &str = "flow.rst_after_data";
/// Silence after the first bytes of a protocol without TLS.
pub const FLOW_DROP: &str = "flow.drop_after_data";
/// Closed after the first bytes of a protocol without TLS.
pub const FLOW_FIN: &str = "flow.fin_after_data";
/// The transfer began and then stood still.
pub const FLOW_FREEZE: &str = "flow.freeze_bytes";
/// The transfer is far slower than the path.
pub const FLOW_THROTTLED: &str = "flow.throttled";
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
