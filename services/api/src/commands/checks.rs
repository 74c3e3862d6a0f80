//! What can be said about files before anybody runs them: limits, paths, and the definition itself, read by the very
//! code of the executor.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use orrery_compose::{Files, LoadOptions, Outcome};
use orrery_contracts::{Bundle, BundleLimits, Code, Digest, Located, Severity};

use crate::problems::{Answer, Refusal, fault};
use crate::state::Api;

/// How many digests are remembered as fit to run.
const REMEMBERED: usize = 4096;

/// Bundles that were found fit to run, by project and digest: a digest never changes its mind.
#[derive(Default)]
pub struct FitToRun(Mutex<BTreeSet<(String, Digest)>>);

impl FitToRun {
    fn has(&self, project: &str, digest: &Digest) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(&(project.to_owned(), digest.clone()))
    }

    fn remember(&self, project: &str, digest: &Digest) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert((project.to_owned(), digest.clone()));
    }
}

/// Refuses files that are too many, too large or outside of the bundle.
///
/// # Errors
/// 413 when a limit is exceeded, 422 when a path is wrong; with every fault.
pub fn bundle_can_be_taken(bundle: &Bundle, limits: &BundleLimits) -> Answer<()> {
    let faults = bundle.faults(limits);
    if faults.is_empty() {
        return Ok(());
    }
    let total: usize = bundle.files.values().map(|file| file.bytes.len()).sum();
    let over =
        bundle.files.len() > limits.files || total > limits.bytes || bundle.files.values().any(|file| file.bytes.len() > limits.file_bytes);
    let errors: Vec<Located> = faults
        .into_iter()
        .map(|found| Located { file: (!found.path.is_empty()).then(|| found.path.clone()), ..fault("files", found.message) })
        .collect();
    let (code, detail) = if over {
        (Code::TooLarge, "the bundle is larger than allowed")
    } else {
        (Code::InvalidDefinition, "the bundle has files that it cannot have")
    };
    Err(Refusal::new(code, detail).with_errors(errors))
}

/// Refuses a definition that is not valid Compose.
///
/// # Errors
/// 422 with located errors.
pub async fn definition_is_valid(bundle: &Bundle, project: &str) -> Answer<()> {
    let outcome = read(bundle, LoadOptions { project: project.to_owned(), ..LoadOptions::default() }).await?;
    if outcome.is_valid() {
        return Ok(());
    }
    let errors: Vec<Located> = outcome.errors().map(located).collect();
    Err(Refusal::new(Code::InvalidDefinition, format!("the definition has {} error(s)", errors.len())).with_errors(errors))
}

/// Refuses a definition that is not valid Compose, or that Orrery does not run.
///
/// # Errors
/// 422 with located errors.
pub async fn definition_can_run(bundle: &Bundle, project: &str) -> Answer<()> {
    let outcome = read(bundle, LoadOptions { project: project.to_owned(), ..LoadOptions::default() }).await?;
    if outcome.runnable().is_some() {
        return Ok(());
    }
    let errors: Vec<Located> = outcome.problems.iter().filter(|problem| problem.blocks()).map(located).collect();
    Err(Refusal::new(Code::InvalidDefinition, format!("the definition cannot be run: {} error(s)", errors.len())).with_errors(errors))
}

/// The same for a bundle that lies at the broker; one that was fit before still is.
///
/// # Errors
/// 422 with located errors; 503 when the broker is away.
pub async fn stored_definition_can_run(api: &Api, digest: &Digest, project: &str) -> Answer<()> {
    if api.fit_to_run.has(project, digest) {
        return Ok(());
    }
    let bundle = super::sources::bundle_at(api, digest).await?;
    definition_can_run(&bundle, project).await?;
    api.fit_to_run.remember(project, digest);
    Ok(())
}

/// Reads a definition, off the threads that answer.
///
/// # Errors
/// When reading it breaks.
pub async fn read(bundle: &Bundle, options: LoadOptions) -> Answer<Outcome> {
    let files: Files = bundle.files.iter().map(|(path, file)| (path.clone(), file.bytes.clone())).collect();
    let read = tokio::task::spawn_blocking(move || orrery_compose::load(&files, &options)).await;
    read.map_err(|error| Refusal::internal("reading a definition", &error))
}

/// A message about a definition, as the API writes it.
pub fn located(problem: &orrery_compose::Problem) -> Located {
    Located {
        file: Some(problem.file.clone()),
        line: Some(problem.line),
        column: Some(problem.column),
        path: problem.path.clone(),
        message: problem.message.clone(),
        hint: problem.hint.clone(),
        severity: match problem.severity {
            orrery_compose::Severity::Error => Severity::Error,
            orrery_compose::Severity::Warning => Severity::Warning,
            orrery_compose::Severity::Note => Severity::Note,
        },
    }
}
