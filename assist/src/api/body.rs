//! Reads a request body: not more than so many bytes, not longer than so long.

use axum::body::Body;
use commucat_proto::problem::{Problem, ProblemKind};
use commucat_transport_api::BoxFuture;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes};

use super::reply::Refusal;

pub(super) async fn read(body: Body, limit: usize, late: BoxFuture<'static, ()>) -> Result<Bytes, Refusal> {
    // A length that is announced is refused before a byte of it is read.
    if usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX) > limit {
        return Err(too_large(limit));
    }
    let collected = tokio::select! {
        biased;
        collected = Limited::new(body, limit).collect() => collected,
        () = late => return Err(Problem::new(ProblemKind::RequestTimeout).into()),
    };
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            return too_large(limit);
        }
        Problem::new(ProblemKind::BadRequest).with_detail("the body broke off").into()
    })
}

fn too_large(limit: usize) -> Refusal {
    Problem::new(ProblemKind::PayloadTooLarge)
        .with_detail(format_args!("at most {limit} bytes"))
        .with("limit_bytes", limit)
        .into()
}
