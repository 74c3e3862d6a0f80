//! What the executor's own code says of a draft: problems by file, and the services as they would be. It adds no rule of
//! its own.

use orrery_compose::{Files, LoadOptions, Outcome, Severity, load};
use orrery_contracts::Bundle;
use serde::Serialize;

use crate::orbit::Body;
use crate::words::Tone;

/// A problem in the form that the editor takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    #[serde(skip)]
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) end_line: u32,
    pub(crate) end_column: u32,
    pub(crate) severity: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Whether it stands in the way of a plan.
    #[serde(skip)]
    pub(crate) blocks: bool,
}

impl Problem {
    pub(crate) fn tone(&self) -> Tone {
        match self.severity {
            "error" => Tone::Bad,
            "warning" => Tone::Warn,
            _ => Tone::Off,
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Check {
    pub(crate) problems: Vec<Problem>,
    pub(crate) services: Vec<Body>,
    /// Networks and volumes that are the stack's own, by their names in the definition.
    pub(crate) networks: Vec<String>,
    pub(crate) volumes: Vec<String>,
}

impl Check {
    /// How many problems stand in the way.
    pub(crate) fn blocking(&self) -> usize {
        self.problems.iter().filter(|problem| problem.blocks).count()
    }

    /// The problems of one file as JSON for the editor.
    pub(crate) fn for_editor(&self, path: &str) -> String {
        let here: Vec<&Problem> = self.problems.iter().filter(|problem| problem.file == path).collect();
        serde_json::to_string(&here).unwrap_or_else(|_| "[]".into())
    }
}

/// Looks at the files of a draft.
pub(crate) fn check(bundle: &Bundle, project: &str) -> Check {
    let files: Files = bundle.files.iter().map(|(path, file)| (path.clone(), file.bytes.clone())).collect();
    let options = LoadOptions { project: if project.is_empty() { "app".into() } else { project.to_owned() }, ..LoadOptions::default() };
    let outcome = load(&files, &options);
    let project = outcome.project.as_ref();
    Check {
        problems: outcome.problems.iter().map(problem).collect(),
        services: services(&outcome),
        networks: project
            .iter()
            .flat_map(|project| project.networks.iter().filter(|(_, network)| !network.external).map(|(name, _)| name.clone()))
            .collect(),
        volumes: project
            .iter()
            .flat_map(|project| project.volumes.iter().filter(|(_, volume)| !volume.external).map(|(name, _)| name.clone()))
            .collect(),
    }
}

fn problem(problem: &orrery_compose::Problem) -> Problem {
    Problem {
        file: problem.file.clone(),
        line: problem.line,
        column: problem.column,
        end_line: problem.end_line,
        end_column: problem.end_column,
        severity: match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        },
        message: problem.message.clone(),
        hint: problem.hint.clone(),
        blocks: problem.blocks(),
    }
}

fn services(outcome: &Outcome) -> Vec<Body> {
    let all = outcome.project.iter().flat_map(|project| project.services.values());
    all.map(|service| Body {
        name: service.name.clone(),
        replicas: service.replicas,
        depends_on: service.depends_on.keys().cloned().collect(),
    })
    .collect()
}

/// The name of the definition's file in a bundle.
pub(crate) fn definition_file(bundle: &Bundle) -> String {
    let names = orrery_compose::load::FILE_NAMES;
    let found = names.iter().find(|name| bundle.files.contains_key(**name));
    found.map_or_else(|| bundle.files.keys().next().cloned().unwrap_or_default(), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orrery_contracts::FileContent;

    #[test]
    fn a_bundle_without_a_definition_is_told_so() {
        let found = check(&Bundle::default(), "shop");
        assert_eq!(found.blocking(), 1);
        assert!(found.problems[0].message.contains("compose.yaml"), "{}", found.problems[0].message);
    }

    #[test]
    fn problems_go_to_the_file_that_they_are_in() {
        let mut bundle = Bundle::default();
        bundle.files.insert("compose.yaml".into(), FileContent::text("services:\n  web:\n    prots: []\n"));
        let found = check(&bundle, "shop");
        assert!(found.blocking() > 0);
        assert_ne!(found.for_editor("compose.yaml"), "[]");
        assert_eq!(found.for_editor("other"), "[]");
    }

    #[test]
    fn the_definition_is_found_by_its_name() {
        let mut bundle = Bundle::default();
        bundle.files.insert("a.txt".into(), FileContent::text(""));
        assert_eq!(definition_file(&bundle), "a.txt");
        bundle.files.insert("docker-compose.yml".into(), FileContent::text(""));
        assert_eq!(definition_file(&bundle), "docker-compose.yml");
    }
}
