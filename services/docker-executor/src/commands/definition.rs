//! From a bundle to what is desired: read, checked against the policy, compiled.

use orrery_compose::{Files, LoadOptions, Problem, load};
use orrery_contracts::{Bundle, Digest, PlanNote, Role, Severity};

use crate::definition::{Desired, Folders, Identity, compile, policy};
use crate::files::DataDir;

/// What reading a definition came to.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What is desired; none when something blocks it.
    pub desired: Option<Desired>,
    /// Everything there is to say, blocking or not.
    pub problems: Vec<Problem>,
}

impl Reading {
    /// The first problem that blocks, in words, with its place.
    #[must_use]
    pub fn blocked(&self) -> Option<String> {
        self.problems.iter().find(|problem| problem.blocks()).map(ToString::to_string)
    }

    /// The first problem that says that it is not Compose at all.
    #[must_use]
    pub fn invalid(&self) -> Option<String> {
        self.problems.iter().find(|problem| problem.is_invalid()).map(ToString::to_string)
    }
}

/// Reads the definition of a bundle for a stack, as somebody with this role.
#[must_use]
pub fn read_definition(data: &DataDir, identity: &Identity, bundle: &Bundle, digest: &Digest, role: Role) -> Reading {
    let files: Files = bundle.files.iter().map(|(path, file)| (path.as_str(), file.bytes.clone())).collect();
    let folders = Folders::below(data.root(), identity, digest);
    let options = LoadOptions {
        project: identity.project.clone(),
        project_dir: folders.bundle.to_string_lossy().into_owned(),
        ..LoadOptions::default()
    };
    let outcome = load(&files, &options);
    let mut problems = outcome.problems.clone();
    if let Some(project) = &outcome.project {
        problems.extend(policy::refusals(project, role));
    }
    let mut desired = None;
    if !problems.iter().any(Problem::blocks)
        && let Some(project) = &outcome.project
    {
        match compile(project, identity, &files, &folders) {
            Ok(compiled) => desired = Some(compiled),
            Err(found) => problems.extend(found),
        }
    }
    orrery_compose::problem::sort(&mut problems);
    if let Some(desired) = &mut desired {
        desired
            .notes
            .extend(problems.iter().map(|problem| PlanNote { severity: severity(problem.severity), message: problem.to_string() }));
    }
    Reading { desired, problems }
}

/// How much a problem matters, in the words of the wire.
pub(crate) fn severity(of: orrery_compose::Severity) -> Severity {
    match of {
        orrery_compose::Severity::Error => Severity::Error,
        orrery_compose::Severity::Warning => Severity::Warning,
        orrery_compose::Severity::Note => Severity::Note,
    }
}
