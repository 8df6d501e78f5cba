//! Starting labs in tests, and finding foreign programs.

use commucat_censor::Profile;
use commucat_lab::{Lab, LabConfig, check_privileges};

/// Whether labs can run here; says in a line what is missing when not.
pub(crate) fn allowed() -> bool {
    match check_privileges() {
        Ok(()) => true,
        Err(missing) => {
            eprintln!("skipped: {missing}");
            false
        }
    }
}

/// Whether a foreign program is installed; says in a line when not.
pub(crate) fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !there {
        eprintln!("skipped: `{program}` is not installed");
    }
    there
}

/// What a lab with this profile is started with.
pub(crate) fn config(profile: &str) -> LabConfig {
    LabConfig::new(Profile::parse(profile).unwrap())
}

/// A lab that changes nothing, when labs can run here.
pub(crate) fn clean_lab() -> Option<Lab> {
    allowed().then(|| Lab::start(config("clean")).unwrap())
}
