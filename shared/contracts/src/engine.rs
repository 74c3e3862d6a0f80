//! Who executes a command. [`owner`] is frozen: it decides over raw bytes, before anything is parsed, and gives the
//! same answer in every release, because two releases of two executors must agree on it. Its golden tests may grow
//! and may not change.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

/// An engine that an installation may have; each has one executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Stacks of containers: docker-executor.
    Docker,
    /// Machines and boxes: libvirt-executor.
    Libvirt,
}

impl Engine {
    /// The engine's word in subjects, keys and configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Libvirt => "libvirt",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The executor that owns the message with this body, whatever else is wrong with it: a JSON object with exactly one
/// `type`, a string that starts with `machine.` or `box.`, belongs to libvirt; everything else to Docker.
#[must_use]
pub fn owner(body: &[u8]) -> Engine {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let machine = reader.deserialize_map(TypeField).is_ok_and(|found| found) && reader.end().is_ok();
    if machine { Engine::Libvirt } else { Engine::Docker }
}

/// Walks the top-level object and answers whether its only `type` names a machine or a box.
struct TypeField;

impl<'de> Visitor<'de> for TypeField {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut types = 0_u32;
        let mut machine = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "type" {
                types = types.saturating_add(1);
                let text: TypeValue = map.next_value()?;
                machine = text.0;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(types == 1 && machine)
    }
}

/// The value of a `type` field: true when it is a string of the libvirt executor's.
struct TypeValue(bool);

impl<'de> Deserialize<'de> for TypeValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(Self(value.as_str().is_some_and(|text| text.starts_with("machine.") || text.starts_with("box."))))
    }
}

#[cfg(test)]
mod tests {
    use super::{Engine, owner};

    #[test]
    fn golden_owners_of_raw_bodies() {
        let libvirt: [&[u8]; 6] = [
            br#"{"type":"machine.create","target":"a"}"#,
            br#"{"type":"box.import"}"#,
            br#"{"type":"machine.","unknown":[{"type":"stack.apply"}]}"#,
            br#" {"target":1,"type":"machine.nonsense"} "#,
            br#"{"\u0074ype":"box.x"}"#,
            br#"{"type":"box.\u0069mport","schema":99}"#,
        ];
        for body in libvirt {
            assert_eq!(owner(body), Engine::Libvirt, "{}", String::from_utf8_lossy(body));
        }
        let docker: [&[u8]; 14] = [
            b"",
            b"null",
            b"[]",
            b"{",
            br#"{"type":"stack.apply"}"#,
            br#"{"type":"machine.create","type":"machine.create"}"#,
            br#"{"type":"machine"}"#,
            br#"{"type":"Machine.create"}"#,
            br#"{"type":["machine.create"]}"#,
            br#"{"type":"machine.create"} trailing"#,
            br#"{"type":"machine.create""#,
            br#"[{"type":"machine.create"}]"#,
            br#"{"stream":"COMMANDS","seq":7}"#,
            b"\xff\xfe{\"type\":\"machine.create\"}",
        ];
        for body in docker {
            assert_eq!(owner(body), Engine::Docker, "{}", String::from_utf8_lossy(body));
        }
    }
}
