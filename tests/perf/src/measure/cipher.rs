//! The second half of the physical limit: what AES-128-GCM costs with the fastest library at hand.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::Context;
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::sample::Reading;

/// How long each of sealing and opening is repeated.
const WINDOW: Duration = Duration::from_millis(300);

/// Seals and opens records of `record_bytes` and reports the cost per gigabyte.
///
/// # Errors
/// When the library refuses, or `/proc` cannot be read.
pub fn measure(record_bytes: usize) -> anyhow::Result<Reading> {
    let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).context("no AES-128-GCM")?;
    let key = LessSafeKey::new(key);
    // The same nonce again and again: nothing here is secret, and the time does not depend on it.
    let nonce = || Nonce::assume_unique_for_key([1; 12]);
    let mut record = vec![3; record_bytes];
    let mut tag = Vec::new();
    let seal_s_per_gb = cost(record_bytes, || {
        let sealed = key.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut record);
        tag = sealed.context("sealing")?.as_ref().to_vec();
        Ok(())
    })?;
    let sealed: Vec<u8> = record.iter().chain(&tag).copied().collect();
    let mut buffer = sealed.clone();
    // Opening destroys its input, so every turn starts with a copy, and the cost of the copy is taken off again.
    let with_copy = cost(record_bytes, || {
        buffer.copy_from_slice(&sealed);
        key.open_in_place(nonce(), Aad::empty(), &mut buffer).context("opening")?;
        Ok(())
    })?;
    let copy = cost(record_bytes, || {
        buffer.copy_from_slice(&sealed);
        std::hint::black_box(&mut buffer);
        Ok(())
    })?;
    Ok(Reading::Cipher { record_bytes, seal_s_per_gb, open_s_per_gb: (with_copy - copy).max(0.0) })
}

/// CPU seconds per gigabyte of a step that handles `bytes`.
fn cost(bytes: usize, mut step: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let (start, cpu_before) = (Instant::now(), thread_cpu()?);
    let mut turns = 0_u32;
    while start.elapsed() < WINDOW {
        for _ in 0..64 {
            step()?;
        }
        turns += 64;
    }
    let cpu = thread_cpu()?.saturating_sub(cpu_before);
    let bytes = u32::try_from(bytes).context("a record of gigabytes")?;
    Ok(cpu.as_secs_f64() / (f64::from(turns) * f64::from(bytes)) * 1e9)
}

/// Processor time of this thread. It is brought up to date when the thread leaves the processor, so it yields first.
fn thread_cpu() -> anyhow::Result<Duration> {
    std::thread::sleep(Duration::from_millis(1));
    let text = fs::read_to_string("/proc/thread-self/schedstat").context("reading the thread's clock")?;
    let nanos = text.split_ascii_whitespace().next().context("an empty clock")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_cost_something() {
        let Reading::Cipher { record_bytes, seal_s_per_gb, open_s_per_gb } = measure(16_384).unwrap() else {
            panic!("another kind of reading");
        };
        assert_eq!(record_bytes, 16_384);
        assert!(seal_s_per_gb > 0.0 && open_s_per_gb > 0.0, "{seal_s_per_gb} {open_s_per_gb}");
    }
}
