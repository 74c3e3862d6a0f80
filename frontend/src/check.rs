//! What was found in a draft, in the form in which the checker tells it and the page shows it: problems by file, and the
//! services as they would be. The checker itself is a binary of its own; here nothing is looked at.

use std::collections::BTreeMap;

use orrery_contracts::{Bundle, Severity};
use serde::{Deserialize, Serialize};

use crate::orbit::Body;

/// A problem; the editor takes it in this form too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) end_line: u32,
    pub(crate) end_column: u32,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// Whether it stands in the way of a plan.
    pub(crate) blocks: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) problems: Vec<Problem>,
    pub(crate) services: Vec<Body>,
    /// Networks and volumes that are the stack's own, by their names on the engine.
    pub(crate) networks: Vec<String>,
    pub(crate) volumes: Vec<String>,
    /// What the form of a machine shows; none for a stack, and for what cannot be read.
    pub(crate) form: Option<Form>,
}

/// The fields of the form of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Field {
    Box,
    Cpus,
    Memory,
    Disk,
    /// `nat default`, `bridge br0`, `isolated lab`, `user`.
    Network,
    User,
    Key,
    Autostart,
}

/// What a definition says for each field that it has; a field that is written in a way that a form cannot show is not there.
pub(crate) type Form = BTreeMap<Field, String>;

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

/// The name of the definition's file in a bundle.
pub(crate) fn definition_file(bundle: &Bundle) -> String {
    let mut names = orrery_compose::load::FILE_NAMES.iter().chain(&orrery_machine::FILE_NAMES);
    let found = names.find(|name| bundle.files.contains_key(**name));
    found.map_or_else(|| bundle.files.keys().next().cloned().unwrap_or_default(), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orrery_contracts::FileContent;

    #[test]
    fn the_definition_is_found_by_its_name() {
        let mut bundle = Bundle::default();
        bundle.files.insert("a.txt".into(), FileContent::text(""));
        assert_eq!(definition_file(&bundle), "a.txt");
        bundle.files.insert("docker-compose.yml".into(), FileContent::text(""));
        assert_eq!(definition_file(&bundle), "docker-compose.yml");
    }
}
