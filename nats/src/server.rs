//! Finding a nats-server program that is new enough.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::errors::NatsError;

/// The oldest server whose behaviour ours relies on.
pub const MINIMUM: &str = "2.10.27";

/// The server that is tested, and that is kept in the cache where the system has none.
pub const TESTED: &str = "2.15.1";

/// The program: `ORRERY_NATS_SERVER`, else one on the path, else the one in the cache.
pub fn find() -> Result<PathBuf, NatsError> {
    let mut looked_at = Vec::new();
    for candidate in candidates() {
        match version(&candidate) {
            Some(version) if is_new_enough(&version) => return Ok(candidate),
            Some(version) => looked_at.push(format!("{} ({version})", candidate.display())),
            None => looked_at.push(candidate.display().to_string()),
        }
    }
    Err(NatsError::NoServer { minimum: MINIMUM, looked_at: looked_at.join(", ") })
}

/// Where the program is kept when the system has none.
pub fn cached() -> Option<PathBuf> {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = match named("ORRERY_CACHE_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(named("HOME")?).join(".cache/orrery"),
    };
    Some(cache.join("nats-server").join(TESTED).join("nats-server"))
}

fn candidates() -> Vec<PathBuf> {
    if let Some(chosen) = std::env::var_os("ORRERY_NATS_SERVER").filter(|value| !value.is_empty()) {
        return vec![chosen.into()];
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("nats-server")).filter(|program| program.is_file()).chain(cached()).collect()
}

fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.trim().rsplit('v').next()?.trim();
    output.status.success().then(|| version.to_owned())
}

fn is_new_enough(version: &str) -> bool {
    numbers(version) >= numbers(MINIMUM)
}

fn numbers(version: &str) -> Vec<u32> {
    version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number_and_not_by_letter() {
        for (version, good) in [
            ("2.15.1", true),
            ("2.10.27", true),
            ("2.10.27-RC.1", true),
            ("2.10.9", false),
            ("2.9.10", false),
            ("10.0.0", true),
            ("devel", false),
        ] {
            assert_eq!(is_new_enough(version), good, "{version}");
        }
    }
}
