//! What an engine has, as far as a stack is concerned: plain data, read once, compared by [`crate::plan`].

use std::collections::{BTreeMap, BTreeSet};

use orrery_contracts::{Health, PublishedPort, StackId};
use orrery_queue::ports::{Program, container_words};
use uuid::Uuid;

use crate::definition::identity::{self as labels, Labels};
use crate::definition::{Desired, Facts, Identity};

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Whose containers, networks and volumes are ours.
    pub identity: Identity,
    /// Images by the names that the definition uses.
    pub images: BTreeSet<String>,
    /// Networks by name.
    pub networks: BTreeSet<String>,
    /// Volumes by name.
    pub volumes: BTreeSet<String>,
    /// Ports of the host that it publishes.
    pub ports: BTreeSet<u16>,
    /// The stack's containers as a listing tells them: one question for all of them, which does not tell what somebody
    /// changed by hand. Enough to judge, not to act.
    pub in_short: bool,
}

impl Scope {
    /// All that a version mentions.
    #[must_use]
    pub fn of(desired: &Desired) -> Self {
        Self {
            identity: desired.identity.clone(),
            images: desired.services.values().flat_map(|service| service.image.names().map(str::to_owned)).collect(),
            networks: desired.networks.keys().cloned().collect(),
            volumes: desired.volumes.keys().cloned().collect(),
            ports: desired.containers().flat_map(|(_, spec)| spec.published()).map(|port| port.host_port).collect(),
            in_short: false,
        }
    }

    /// The same in short.
    #[must_use]
    pub fn shortly(self) -> Self {
        Self { in_short: true, ..self }
    }
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// The stack's containers, whatever they are called.
    pub containers: Vec<Seen>,
    /// The networks that were asked for, and all that are the stack's, by name.
    pub networks: BTreeMap<String, SeenNetwork>,
    /// The volumes that were asked for, and all that are the stack's, by name.
    pub volumes: BTreeMap<String, SeenVolume>,
    /// The images that were asked for, by the names they were asked by.
    pub images: BTreeMap<String, SeenImage>,
    /// Every other container of the engine.
    pub others: Vec<Other>,
    /// Who listens on the ports that were asked for, the engine's own forwarders included.
    pub programs: Vec<Program>,
}

/// A container of the stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The engine's id.
    pub id: String,
    /// Its name, as it is now.
    pub name: String,
    /// Its service.
    pub service: String,
    /// Its number.
    pub number: u32,
    /// The command that made it.
    pub command: u64,
    /// The version that it was made for.
    pub version: u32,
    /// What it was made with, and what the engine says differs from that.
    pub facts: Facts,
    /// Networks that it was made for and is not attached to: it was cut off, or its making was.
    pub lacks: Vec<String>,
    /// What it does.
    pub state: State,
    /// What its health check says.
    pub health: Health,
    /// The exit code, once it has ended.
    pub exit_code: i64,
    /// How often the engine has started it again.
    pub restarts: i64,
    /// Whether the kernel killed something in it for want of memory, since it was started.
    pub oom_killed: bool,
    /// Ports of the host that it wants, whether it runs or not.
    pub ports: Vec<PublishedPort>,
    /// Its anonymous volumes: place in the container, and name.
    pub anonymous: Vec<(String, String)>,
    /// Ids of containers in whose name spaces it lives.
    pub joins: Vec<String>,
    /// `service:condition:restart` of what it depends on, with commas between.
    pub depends_on: String,
}

/// What a container does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Made, and never started.
    Created,
    /// Runs.
    Running,
    /// Stands still.
    Paused,
    /// Has ended, and the engine starts it again.
    Restarting,
    /// Has ended.
    Exited,
    /// Is being removed, or could not be.
    Dead,
}

impl State {
    /// Whether it holds its ports and its name spaces.
    #[must_use]
    pub const fn is_up(self) -> bool {
        match self {
            Self::Running | Self::Paused | Self::Restarting => true,
            Self::Created | Self::Exited | Self::Dead => false,
        }
    }
}

/// A network.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenNetwork {
    /// Whether its labels say that it is this stack's.
    pub ours: bool,
    /// The project that its labels name.
    pub project: Option<String>,
    /// What it was made with; none when nobody wrote it down.
    pub facts: Option<Facts>,
    /// The command that made it.
    pub command: u64,
}

/// A volume.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenVolume {
    /// Whether its labels say that it is this stack's.
    pub ours: bool,
    /// Whether it was kept from an earlier stack of this owner and project.
    pub kept: bool,
    /// The owner that its labels name, when this installation made it.
    pub owner: Option<String>,
    /// The project that its labels name.
    pub project: Option<String>,
    /// What it was made with; none when nobody wrote it down.
    pub facts: Option<Facts>,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenImage {
    /// Its id.
    pub id: String,
    /// Whether it brings a health check.
    pub probed: bool,
    /// What it runs on: `linux/amd64`, `linux/arm/v7`.
    pub platform: String,
    /// How a registry knows it, `repository@sha256:…`, when it came from one.
    pub digest: Option<String>,
}

impl SeenImage {
    /// Whether it runs on this platform, which may leave parts out; an empty one is any.
    #[must_use]
    pub fn is_for(&self, platform: &str) -> bool {
        let parts = |text: &str| text.split('/').map(|part| known_as(part).to_owned()).collect::<Vec<_>>();
        let (mine, wanted) = (parts(&self.platform), parts(platform));
        // Each of these processors has one variant that goes without saying.
        let usual = |at: usize, part: &str| {
            at == 2 && mine.len() == 2 && matches!((mine.get(1).map(String::as_str), part), (Some("arm64"), "v8") | (Some("amd64"), "v1"))
        };
        platform.is_empty() || wanted.iter().enumerate().all(|(at, part)| mine.get(at) == Some(part) || usual(at, part))
    }
}

fn known_as(part: &str) -> &str {
    match part {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "armhf" => "arm",
        other => other,
    }
}

/// A container that is not this stack's.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    /// Its name.
    pub name: String,
    /// Its Compose project.
    pub project: Option<String>,
    /// The installation that its labels name.
    pub installation: Option<Uuid>,
    /// The stack that its labels name.
    pub stack: Option<StackId>,
    /// The owner that its labels name.
    pub owner: Option<String>,
    /// The ports of the host that it holds now.
    pub ports: Vec<PublishedPort>,
}

impl Other {
    /// Whose it is, in words.
    #[must_use]
    pub fn whose(&self) -> String {
        container_words(&self.name, self.owner.as_deref(), self.project.as_deref())
    }
}

impl SeenVolume {
    /// Reads the labels of a volume, as this stack sees them.
    #[must_use]
    pub fn of(identity: &Identity, label: &Labels) -> Self {
        let ours = identity.owns(label);
        let installation = label.get(labels::INSTALLATION).is_some_and(|text| *text == identity.installation.to_string());
        let owner = label.get(labels::OWNER).filter(|_| installation).cloned();
        let project = label.get(labels::PROJECT).cloned();
        let kept = !ours && owner.as_ref() == Some(&identity.owner) && project.as_ref() == Some(&identity.project);
        Self { ours, kept, owner, project, facts: label.get(labels::FACTS).and_then(|text| Facts::from_label(text)) }
    }
}

impl Observed {
    /// The container with this id.
    #[must_use]
    pub fn container(&self, id: &str) -> Option<&Seen> {
        self.containers.iter().find(|seen| seen.id == id)
    }

    /// The container with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Seen> {
        self.containers.iter().find(|seen| seen.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::SeenImage;

    #[test]
    fn an_image_is_for_a_platform_when_every_part_that_is_named_agrees() {
        let image = |platform: &str| SeenImage { id: "sha256:1".into(), probed: false, platform: platform.into(), digest: None };
        for (has, wanted, fits) in [
            ("linux/amd64", "", true),
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/x86_64", true),
            ("linux/amd64", "linux", true),
            ("linux/amd64", "linux/arm64", false),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("linux/arm/v7", "linux/arm", true),
        ] {
            assert_eq!(image(has).is_for(wanted), fits, "{has} for {wanted}");
        }
    }
}
