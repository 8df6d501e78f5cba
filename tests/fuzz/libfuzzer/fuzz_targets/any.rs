//! Runs the target that `FUZZ_TARGET` names under libFuzzer.
#![no_main]

use std::{env, sync::LazyLock};

static TARGET: LazyLock<commucat_tests_fuzz::Target> = LazyLock::new(|| {
    let name = env::var("FUZZ_TARGET").unwrap_or_default();
    commucat_tests_fuzz::target(&name).expect("FUZZ_TARGET names a target")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
