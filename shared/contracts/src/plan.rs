//! The plan as people and programs see it: what would be done, to what, and why. How it is made is the executor's.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::Severity;

/// The ordered actions that bring what is observed to what is desired; empty when they agree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// True when there is nothing to do.
    pub empty: bool,
    /// What would be done, in order.
    pub actions: Vec<PlanAction>,
    /// The containers that stay as they are.
    #[serde(default)]
    pub kept: Vec<PlanKept>,
    /// What else is worth knowing: conflicts, values without effect.
    pub notes: Vec<PlanNote>,
}

/// Something that a plan says beside its actions. Plans of earlier releases hold plain texts here; they are read as notes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PlanNote {
    /// How much it matters: with an `error` an apply would be refused.
    pub severity: Severity,
    /// What there is to say.
    pub message: String,
}

impl PlanNote {
    /// Why an apply would be refused.
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into() }
    }

    /// What is worth knowing.
    pub fn note(message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, message: message.into() }
    }
}

impl<'de> Deserialize<'de> for PlanNote {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// A note, or the text that earlier releases wrote. An untagged enum would do the same, and weighs a kilobyte in the page.
struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = PlanNote;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a note with its severity, or a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<PlanNote, E> {
        Ok(PlanNote::note(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PlanNote, A::Error> {
        let (mut severity, mut message) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "severity" => severity = Some(map.next_value()?),
                "message" => message = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let missing = de::Error::missing_field;
        Ok(PlanNote { severity: severity.ok_or_else(|| missing("severity"))?, message: message.ok_or_else(|| missing("message"))? })
    }
}

/// One action of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanAction {
    /// Its number, from 1.
    pub n: u32,
    /// What would be done: `network.create`, `volume.create`, `image.pull`, `image.build`, `container.create`,
    /// `container.replace`, `container.start`, `container.stop`, `container.restart`, `container.update`,
    /// `container.remove`, `network.remove`, `volume.remove`.
    pub action: String,
    /// What it is about: the name of a container, network, volume or image.
    pub subject: String,
    /// The service that it belongs to.
    pub service: Option<String>,
    /// Why, in words.
    pub reason: String,
    /// The fields that differ.
    pub changes: Vec<FieldChange>,
    /// The actions that must have ended before this one begins.
    pub after: Vec<u32>,
}

/// A container that a plan leaves as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanKept {
    /// Its name.
    pub subject: String,
    /// Its service.
    pub service: String,
    /// Why, in words.
    pub reason: String,
}

impl PlanAction {
    /// The kind of action, for colour and words.
    #[must_use]
    pub fn verb(&self) -> Verb {
        match self.action.rsplit('.').next() {
            Some("create" | "build" | "pull" | "start") => Verb::Add,
            Some("remove" | "stop") => Verb::Remove,
            // `replace`, `update`, `restart`, and whatever a later release may say.
            Some(_) | None => Verb::Change,
        }
    }
}

/// What an action does to the world, at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Something new.
    Add,
    /// Something that exists becomes different.
    Change,
    /// Something goes.
    Remove,
}

/// A field of a definition or of a running container that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// The path within the service: `image`, `environment.CACHE_TTL`.
    pub path: String,
    /// What it is now; null when it is not there.
    pub from: Option<serde_json::Value>,
    /// What it becomes; null when it goes.
    pub to: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Plan, PlanNote};

    #[test]
    fn notes_that_earlier_releases_wrote_as_texts_are_still_read() {
        let written = json!({
            "empty": true, "actions": [], "kept": [],
            "notes": ["volumes stay: shop_data", {"severity": "error", "message": "port 80/tcp is held by another"}],
        });
        let plan: Plan = serde_json::from_value(written).unwrap();
        assert_eq!(plan.notes, [PlanNote::note("volumes stay: shop_data"), PlanNote::error("port 80/tcp is held by another")]);
        assert!(serde_json::from_value::<PlanNote>(json!({"severity": "error"})).is_err());
        assert_eq!(serde_json::to_value(&plan.notes[0]).unwrap(), json!({"severity": "note", "message": "volumes stay: shop_data"}));
    }
}
