//! The causes a diagnosis can name.

use std::fmt;

use serde::Serialize;

/// Why an endpoint does not work, or that it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// It works.
    Ok,
    /// This machine has no network.
    NoNetwork,
    /// The bridge does not answer for an ordinary reason: it is off, the port or the name is wrong.
    Unreachable,
    /// The path is interfered with; the id in [`crate::ids`] says how.
    Blocked {
        /// What the interference looks like.
        how: &'static str,
    },
    /// The bridge did not accept the key.
    WrongKey,
    /// The bridge does not know the user.
    WrongUser,
    /// The clocks differ too much.
    ClockSkew {
        /// Seconds that this machine's clock is ahead; negative when behind.
        seconds: i64,
    },
    /// The bridge asks for a newer version of this program.
    VersionTooOld,
    /// The bridge takes no further connections.
    BridgeFull,
    /// The bridge works; the host behind it that was asked for does not answer, or is not allowed.
    TargetUnreachable,
    /// The evidence fits several causes equally well.
    CannotTell {
        /// Which ones.
        between: Vec<CauseKind>,
    },
}

/// The causes without their details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CauseKind {
    /// It works.
    Ok,
    /// No network.
    NoNetwork,
    /// Unreachable.
    Unreachable,
    /// Blocked.
    Blocked,
    /// Wrong key.
    WrongKey,
    /// Wrong user.
    WrongUser,
    /// Clock skew.
    ClockSkew,
    /// Version too old.
    VersionTooOld,
    /// Bridge full.
    BridgeFull,
    /// Target unreachable.
    TargetUnreachable,
    /// Cannot tell.
    CannotTell,
}

impl Cause {
    /// The cause without its details.
    pub const fn kind(&self) -> CauseKind {
        match self {
            Self::Ok => CauseKind::Ok,
            Self::NoNetwork => CauseKind::NoNetwork,
            Self::Unreachable => CauseKind::Unreachable,
            Self::Blocked { .. } => CauseKind::Blocked,
            Self::WrongKey => CauseKind::WrongKey,
            Self::WrongUser => CauseKind::WrongUser,
            Self::ClockSkew { .. } => CauseKind::ClockSkew,
            Self::VersionTooOld => CauseKind::VersionTooOld,
            Self::BridgeFull => CauseKind::BridgeFull,
            Self::TargetUnreachable => CauseKind::TargetUnreachable,
            Self::CannotTell { .. } => CauseKind::CannotTell,
        }
    }
}

impl CauseKind {
    /// The words people read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoNetwork => "no network",
            Self::Unreachable => "unreachable",
            Self::Blocked => "blocked",
            Self::WrongKey => "wrong key",
            Self::WrongUser => "wrong user",
            Self::ClockSkew => "clock skew",
            Self::VersionTooOld => "version too old",
            Self::BridgeFull => "bridge full",
            Self::TargetUnreachable => "target unreachable",
            Self::CannotTell => "cannot tell",
        }
    }
}

impl fmt::Display for CauseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked { how } => write!(f, "blocked ({how})"),
            Self::ClockSkew { seconds } => {
                let side = if *seconds >= 0 { "ahead" } else { "behind" };
                write!(f, "clock skew ({} s {side})", seconds.unsigned_abs())
            }
            Self::CannotTell { between } => {
                for (at, kind) in between.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { " or " })?;
                    f.write_str(kind.as_str())?;
                }
                Ok(())
            }
            other @ (Self::Ok
            | Self::NoNetwork
            | Self::Unreachable
            | Self::WrongKey
            | Self::WrongUser
            | Self::VersionTooOld
            | Self::BridgeFull
            | Self::TargetUnreachable) => f.write_str(other.kind().as_str()),
        }
    }
}
