//! Whose something on the engine is: the labels that say so, written and read in this one place.

use std::collections::HashMap;

use orrery_contracts::{Name, StackId};
use uuid::Uuid;

use super::Facts;
use crate::secrets::Versions;

/// The schema of our labels. A label of another schema is compared by its facts alone.
pub const SCHEMA: &str = "1";

/// Label: the installation that made it.
pub const INSTALLATION: &str = "io.orrery.installation";
/// Label: the stack's id.
pub const STACK: &str = "io.orrery.stack";
/// Label: the version that it was made for.
pub const VERSION: &str = "io.orrery.version";
/// Label: the sequence of the command that made it.
pub const COMMAND: &str = "io.orrery.command";
/// Label: the stack's owner.
pub const OWNER: &str = "io.orrery.owner";
/// Label: the digest of its facts.
pub const HASH: &str = "io.orrery.hash";
/// Label: the schema of these labels.
pub const LABEL_SCHEMA: &str = "io.orrery.schema";
/// Label: its facts, so that a difference can be told field by field.
pub const FACTS: &str = "io.orrery.facts";

/// Label of Compose: the project.
pub const PROJECT: &str = "com.docker.compose.project";
/// Label of Compose: the service.
pub const SERVICE: &str = "com.docker.compose.service";
/// Label of Compose: the number within the service.
pub const NUMBER: &str = "com.docker.compose.container-number";

/// Suffix of a container's name while it is swapped in.
pub const NEW: &str = ".orrery-new";
/// Suffix of the name of a container that is kept for the way back.
pub const OLD: &str = ".orrery-old";

/// What the labels of everything that a command makes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The installation.
    pub installation: Uuid,
    /// The stack.
    pub stack: StackId,
    /// Its owner.
    pub owner: String,
    /// Its Compose project.
    pub project: String,
    /// The version that is wanted.
    pub version: u32,
    /// The command that wants it; 0 for a question.
    pub command: u64,
    /// The secrets that the stack has. In no label.
    pub secrets: Versions,
}

impl Default for Identity {
    fn default() -> Self {
        let stack = StackId::new(Uuid::nil());
        Self {
            installation: Uuid::nil(),
            stack,
            owner: String::new(),
            project: String::new(),
            version: 0,
            command: 0,
            secrets: Versions::new(),
        }
    }
}

/// Labels as the engine takes them.
pub type Labels = HashMap<String, String>;

impl Identity {
    /// The owner, when it is a name.
    #[must_use]
    pub fn owner_name(&self) -> Option<Name> {
        self.owner.parse().ok()
    }

    /// Labels of everything that this command makes, put over the author's own.
    #[must_use]
    pub fn labels(&self, own: Option<&Labels>, facts: &Facts) -> Labels {
        let mut labels = own.cloned().unwrap_or_default();
        let hash = facts.digest().as_str().to_owned();
        for (key, value) in [
            (INSTALLATION, self.installation.to_string()),
            (STACK, self.stack.to_string()),
            (VERSION, self.version.to_string()),
            (COMMAND, self.command.to_string()),
            (OWNER, self.owner.clone()),
            (HASH, hash),
            (LABEL_SCHEMA, SCHEMA.to_owned()),
            (FACTS, facts.to_label()),
            (PROJECT, self.project.clone()),
        ] {
            labels.insert(key.to_owned(), value);
        }
        labels
    }

    /// Labels of a container: also those by which Compose and its kin know one.
    #[must_use]
    pub fn container_labels(&self, own: Option<&Labels>, facts: &Facts, place: &ContainerPlace<'_>) -> Labels {
        let mut labels = self.labels(own, facts);
        for (key, value) in [
            (SERVICE, place.service.to_owned()),
            (NUMBER, place.number.to_string()),
            ("com.docker.compose.oneoff", "False".to_owned()),
            ("com.docker.compose.config-hash", facts.digest().as_str().to_owned()),
            ("com.docker.compose.depends_on", place.depends_on.to_owned()),
            ("com.docker.compose.image", place.image_id.to_owned()),
        ] {
            labels.insert(key.to_owned(), value);
        }
        labels
    }

    /// Labels of a network or volume, with the one by which Compose finds its key.
    #[must_use]
    pub fn resource_labels(&self, own: Option<&Labels>, facts: &Facts, kind: &str, key: &str) -> Labels {
        let mut labels = self.labels(own, facts);
        labels.insert(format!("com.docker.compose.{kind}"), key.to_owned());
        labels
    }

    /// Whether these labels say that something is this stack's.
    #[must_use]
    pub fn owns(&self, labels: &Labels) -> bool {
        let says = |key: &str, value: String| labels.get(key) == Some(&value);
        says(INSTALLATION, self.installation.to_string()) && says(STACK, self.stack.to_string())
    }
}

/// Where a container stands in its project.
#[derive(Clone, Copy, Debug)]
pub struct ContainerPlace<'a> {
    /// Its service.
    pub service: &'a str,
    /// Its number.
    pub number: u32,
    /// `service:condition:restart` of what it depends on, with commas between.
    pub depends_on: &'a str,
    /// The id of its image.
    pub image_id: &'a str,
}

/// The name without the suffix of a swap.
#[must_use]
pub fn settled_name(name: &str) -> &str {
    name.strip_suffix(NEW).or_else(|| name.strip_suffix(OLD)).unwrap_or(name)
}
