//! One diagnosis for a whole bridge out of those of its endpoints.

use crate::{Cause, CauseKind, Confidence, Diagnosis};

/// The diagnosis that speaks for all: one endpoint that works is enough; else the one that tells the reader most.
/// `None` when there is none at all.
pub fn overall(diagnoses: &[Diagnosis]) -> Option<&Diagnosis> {
    diagnoses.iter().min_by_key(|diagnosis| (rank(&diagnosis.cause), confidence_rank(diagnosis.confidence)))
}

/// What the reader can act on comes first.
const fn rank(cause: &Cause) -> u8 {
    match cause.kind() {
        CauseKind::Ok => 0,
        CauseKind::TargetUnreachable => 1,
        CauseKind::NoNetwork => 2,
        CauseKind::ClockSkew => 3,
        CauseKind::WrongUser => 4,
        CauseKind::VersionTooOld => 5,
        CauseKind::BridgeFull => 6,
        CauseKind::WrongKey => 7,
        CauseKind::Blocked => 8,
        CauseKind::Unreachable => 9,
        CauseKind::CannotTell => 10,
    }
}

const fn confidence_rank(confidence: Confidence) -> u8 {
    match confidence {
        Confidence::Certain => 0,
        Confidence::Likely => 1,
        Confidence::Open => 2,
    }
}
