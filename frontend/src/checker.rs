//! What the executor's own code says of a draft. It adds no rule of its own. The page's main binary does not carry it: it
//! is a second one, loaded when a definition is first looked at.

use orrery_compose::{Files, LoadOptions, Outcome, load};
use orrery_contracts::{Bundle, Severity};

use crate::check::{Check, Problem};
use crate::orbit::Body;

/// Looks at a bundle in its wire form, and tells what was found as JSON. What cannot be read has nothing to be found in.
#[must_use]
pub fn check_json(bundle: &str, project: &str) -> String {
    let bundle: Bundle = serde_json::from_slice(bundle.as_bytes()).unwrap_or_default();
    serde_json::to_string(&check(bundle, project)).unwrap_or_default()
}

/// Looks at the files of a draft.
fn check(bundle: Bundle, project: &str) -> Check {
    let files: Files = bundle.files.into_iter().map(|(path, file)| (path, file.bytes)).collect();
    let options = LoadOptions { project: if project.is_empty() { "app".into() } else { project.to_owned() }, ..LoadOptions::default() };
    let outcome = load(&files, &options);
    let project = outcome.project.as_ref();
    Check {
        problems: outcome.problems.iter().map(problem).collect(),
        services: services(&outcome),
        networks: project
            .iter()
            .flat_map(|project| project.networks.iter().filter(|(_, it)| !it.external).map(|(_, it)| it.name.value.clone()))
            .collect(),
        volumes: project
            .iter()
            .flat_map(|project| project.volumes.iter().filter(|(_, it)| !it.external).map(|(_, it)| it.name.value.clone()))
            .collect(),
        form: None,
    }
}

pub(crate) fn problem(problem: &orrery_compose::Problem) -> Problem {
    Problem {
        file: problem.file.clone(),
        line: problem.line,
        column: problem.column,
        end_line: problem.end_line,
        end_column: problem.end_column,
        severity: match problem.severity {
            orrery_compose::Severity::Error => Severity::Error,
            orrery_compose::Severity::Warning => Severity::Warning,
            orrery_compose::Severity::Note => Severity::Note,
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

#[cfg(test)]
mod tests {
    use super::*;
    use orrery_contracts::FileContent;

    fn bundle(text: &str) -> Bundle {
        Bundle { files: [("compose.yaml".to_owned(), FileContent::text(text))].into() }
    }

    #[test]
    fn a_bundle_without_a_definition_is_told_so() {
        let found = check(Bundle::default(), "shop");
        assert_eq!(found.blocking(), 1);
        assert!(found.problems[0].message.contains("compose.yaml"), "{}", found.problems[0].message);
    }

    #[test]
    fn networks_and_volumes_are_told_by_their_names_on_the_engine() {
        let text = "services:\n  web:\n    image: a\n    volumes: [data:/data, shared:/shared, other:/other]\nvolumes:\n  data: {}\n  shared: {name: shared-data}\n  other: {external: true}\n";
        let found = check(bundle(text), "shop");
        assert_eq!(
            (found.networks, found.volumes),
            (vec!["shop_default".to_owned()], vec!["shop_data".to_owned(), "shared-data".to_owned()])
        );
    }

    #[test]
    fn problems_go_to_the_file_that_they_are_in() {
        let found = check(bundle("services:\n  web:\n    prots: []\n"), "shop");
        assert!(found.blocking() > 0);
        assert_ne!(found.for_editor("compose.yaml"), "[]");
        assert_eq!(found.for_editor("other"), "[]");
    }

    #[test]
    fn what_is_told_across_the_border_is_what_was_found() {
        let bundle = bundle("services:\n  web:\n    image: a\n    depends_on: [db]\n  db:\n    image: b\n    prots: []\n");
        let told: Check = serde_json::from_str(&check_json(&serde_json::to_string(&bundle).unwrap(), "shop")).unwrap();
        assert_eq!(told, check(bundle, "shop"));
        assert!(!told.problems.is_empty());
    }
}
