//! The record as JSON: written after every run, read again by `--from`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};

use crate::sample::{FORMAT, Record};

/// Writes the whole record into `dir`, named after its start.
///
/// # Errors
/// When the file cannot be written.
pub fn write(record: &Record, dir: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    let stamp: String = record.circumstances.started.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let path = dir.join(format!("bench-{stamp}.json"));
    fs::write(&path, one_sample_a_line(record)?).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// Reads a record.
///
/// # Errors
/// When it cannot be read or has another format.
pub fn read(path: &Path) -> anyhow::Result<Record> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let record: Record =
        serde_json::from_str(&text).with_context(|| format!("{} is no record", path.display()))?;
    ensure!(record.format == FORMAT, "{} has format {}, this is {FORMAT}", path.display(), record.format);
    Ok(record)
}

/// JSON that compares well line by line: everything else indented, every sample on a line of its own.
///
/// # Errors
/// When a figure has no JSON form.
pub fn one_sample_a_line(record: &Record) -> anyhow::Result<String> {
    let samples = record.samples.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    let rest = Record { samples: Vec::new(), ..record.clone() };
    let text = serde_json::to_string_pretty(&rest)?;
    let listed =
        if samples.is_empty() { "[]".to_owned() } else { format!("[\n    {}\n  ]", samples.join(",\n    ")) };
    Ok(text.replacen("\"samples\": []", &format!("\"samples\": {listed}"), 1) + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::{record, two_rounds};

    #[test]
    fn a_record_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut record = record(two_rounds());
        record.circumstances.started = "2026-11-21T14:00:00Z".to_owned();
        let path = write(&record, dir.path()).unwrap();
        assert!(path.ends_with("bench-20261121T140000Z.json"));
        assert_eq!(read(&path).unwrap(), record);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains(r#""kind""#)).count(), record.samples.len());
    }

    #[test]
    fn another_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut record = record(Vec::new());
        record.format = FORMAT + 1;
        let path = write(&record, dir.path()).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("format"));
        fs::write(&path, "{}").unwrap();
        assert!(read(&path).is_err());
    }
}
