//! Runs every target over its corpus, over each beginning of each file, and over changed copies. The changes are
//! drawn from a fixed seed, so that a failure comes again; its input is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::{fs, panic, path::Path};

use commucat_tests_fuzz::{TARGETS, Target, target};

const CHANGED_COPIES: u64 = 2_000;
/// Beginnings are tried up to this length, and then every 16th.
const EVERY_BEGINNING_BYTES: usize = 256;

#[test]
fn every_target_keeps_its_promise_on_its_corpus() {
    for (name, run) in TARGETS {
        let inputs = corpus(name);
        assert!(!inputs.is_empty(), "corpus/{name} is empty");
        for input in &inputs {
            try_one(name, *run, input);
            for end in 0..input.len() {
                if end < EVERY_BEGINNING_BYTES || end % 16 == 0 {
                    try_one(name, *run, &input[..end]);
                }
            }
            for seed in 1..=CHANGED_COPIES {
                try_one(name, *run, &changed(input, seed));
            }
        }
    }
}

#[test]
fn every_corpus_folder_has_a_target() {
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(target(&name).is_some(), "corpus/{name} has no target");
    }
}

#[test]
fn a_broken_promise_is_noticed() {
    let broken = |data: &[u8]| assert!(data.len() < 3, "as a parser that panics");
    assert!(panic::catch_unwind(|| try_one("made up", broken, b"abc")).is_err());
    try_one("made up", broken, b"ab");
}

fn folder() -> std::path::PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("corpus")
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = folder().join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .expect(name)
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn try_one(name: &str, run: Target, input: &[u8]) {
    let kept = panic::catch_unwind(|| run(input)).is_ok();
    let hex = || input.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(kept, "target {name}, input {:?}, in hex {}", String::from_utf8_lossy(input), hex());
}

/// A copy with one to four bytes changed, put in, taken out or doubled.
fn changed(input: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below.max(1)
    };
    let mut copy = input.to_vec();
    for _change in 0..=draw(4) {
        let at = draw(copy.len());
        let byte = u8::try_from(draw(256)).unwrap();
        match draw(5) {
            0 if at < copy.len() => copy[at] = byte,
            1 if at < copy.len() => copy[at] ^= 1 << draw(8),
            2 if at < copy.len() => drop(copy.remove(at)),
            3 => copy.insert(at, byte),
            _ => {
                let piece: Vec<u8> = copy[at..].iter().copied().take(draw(16)).collect();
                copy.splice(at..at, piece);
            }
        }
    }
    copy
}
