//! `security_opt` as the engine takes it. Two of its words are the client's: a profile of seccomp is a file for a person
//! and a text for the engine, and `systempaths` is two lists of paths.

use orrery_compose::files::resolve;
use orrery_compose::model::Spanned;
use orrery_compose::{Problem, Service};
use serde_json::Value;

use super::compile::Setting;

/// What `security_opt` comes to.
#[derive(Debug, Default)]
pub(super) struct Security {
    /// Options of the engine.
    pub(super) options: Vec<String>,
    /// Nothing of `/proc` and `/sys` is hidden or read-only.
    pub(super) open_system_paths: bool,
}

pub(super) fn read(setting: &Setting<'_>, service: &Service, problems: &mut Vec<Problem>) -> Security {
    let mut security = Security::default();
    for option in &service.security_opt {
        match option.value.split_once(['=', ':']) {
            Some(("systempaths", "unconfined")) => security.open_system_paths = true,
            Some(("seccomp", profile)) if !matches!(profile, "unconfined" | "builtin") => match seccomp(setting, option, profile) {
                Ok(text) => security.options.push(format!("seccomp={text}")),
                Err(problem) => problems.push(problem),
            },
            Some(_) | None => security.options.push(option.value.clone()),
        }
    }
    security
}

/// The text of a profile that lies in the bundle.
fn seccomp(setting: &Setting<'_>, option: &Spanned<String>, profile: &str) -> Result<String, Problem> {
    let missing = || {
        let problem = Problem::refused(&option.place, format!("the bundle has no seccomp profile {profile}"));
        problem.hint("Add the file to the bundle, and write its path relative to compose.yaml.")
    };
    let path = resolve("", profile).map_err(|_| missing())?;
    let bytes = setting.files.get(&path).ok_or_else(missing)?;
    let read: Value = serde_json::from_slice(bytes).map_err(|error| {
        let problem = Problem::refused(&option.place, format!("the seccomp profile {profile} is no JSON: {error}"));
        problem.hint("Mend the file; the engine's documentation shows a profile.")
    })?;
    Ok(read.to_string())
}
