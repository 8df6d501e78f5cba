//! A spec in JSON, as it stands in links and answers: both ends take it or say what is wrong with it.

use std::sync::{Arc, LazyLock};

use commucat_bundle::Bundle;
use commucat_transport_api::{Spec, UserTable};

static BUNDLE: LazyLock<Bundle> = LazyLock::new(Bundle::standard);

pub(crate) fn run(data: &[u8]) {
    let Ok(spec) = serde_json::from_slice::<Spec>(data) else { return };
    let written = serde_json::to_vec(&spec).expect("a spec has a JSON form");
    assert_eq!(serde_json::from_slice::<Spec>(&written).expect("what was written is a spec"), spec);
    let (Ok(_) | Err(_)) = BUNDLE.client(&spec);
    let (Ok(_) | Err(_)) = BUNDLE.server(&spec, &Arc::new(UserTable::default()));
}
