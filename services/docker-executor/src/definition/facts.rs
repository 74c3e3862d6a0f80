//! A create request as a flat list of facts in the words of Compose: what the hash is over, what a plan compares, and
//! what a person reads ("image: from A to B"). One list serves all three, so that they cannot disagree.

use std::collections::BTreeMap;

use bollard::models::{ContainerCreateBody, EndpointSettings};
use orrery_contracts::{Digest, FieldChange};
use serde_json::Value;

/// The fact that holds the id of the image.
pub const IMAGE_ID: &str = "image_id";

/// The fact that holds what runs after the start.
pub const POST_START: &str = "post_start";
/// The fact that holds what runs before the stop.
pub const PRE_STOP: &str = "pre_stop";

/// Paths that the engine can change in a running container.
const UPDATABLE: [&str; 11] = [
    "restart",
    "mem_limit",
    "mem_reservation",
    "memswap_limit",
    "cpus",
    "cpu_shares",
    "cpu_quota",
    "cpu_period",
    "cpuset",
    "pids_limit",
    "blkio_config.weight",
];

/// Facts by path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(BTreeMap<String, Value>);

impl Facts {
    /// Puts a fact in, in the place of an earlier one.
    pub fn set(&mut self, path: &str, value: impl Into<Value>) {
        self.0.insert(path.to_owned(), value.into());
    }

    /// Takes a fact out.
    pub fn unset(&mut self, path: &str) {
        self.0.remove(path);
    }

    /// One fact.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.0.get(path)
    }

    /// The paths that begin so.
    pub fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.keys().filter(move |path| path.starts_with(prefix)).map(String::as_str)
    }

    /// The digest of all of them.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_label().as_bytes())
    }

    /// As JSON, sorted by path.
    #[must_use]
    pub fn to_label(&self) -> String {
        let sorted: BTreeMap<&String, Value> = self.0.iter().map(|(path, value)| (path, sorted(value))).collect();
        serde_json::to_string(&sorted).unwrap_or_default()
    }

    /// Reads what [`Self::to_label`] wrote.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        serde_json::from_str(label).ok().map(Self)
    }

    /// What would have to change to get from `self` to `wanted`.
    #[must_use]
    pub fn changes_to(&self, wanted: &Self) -> Vec<FieldChange> {
        let mut paths: Vec<&String> = self.0.keys().chain(wanted.0.keys()).collect();
        paths.sort();
        paths.dedup();
        let differs = |path: &&String| self.0.get(*path) != wanted.0.get(*path);
        let change = |path: &String| FieldChange { path: path.clone(), from: self.0.get(path).cloned(), to: wanted.0.get(path).cloned() };
        paths.into_iter().filter(differs).map(change).collect()
    }

    /// The facts of a create request. `mounts` says of each mount what it holds, by its place in the container, where
    /// the path on the host does not.
    #[must_use]
    pub fn of_container(body: &ContainerCreateBody, networks: &[(String, EndpointSettings)], mounts: &BTreeMap<String, Value>) -> Self {
        let mut facts = Self::default();
        if let Ok(Value::Object(fields)) = serde_json::to_value(body) {
            for (key, value) in fields {
                facts.add_field(&key, value);
            }
        }
        for (name, endpoint) in networks {
            let value = serde_json::to_value(endpoint).unwrap_or_default();
            facts.set(&format!("networks.{name}"), prune(value));
        }
        for (target, held) in mounts {
            facts.set(&format!("volumes.{target}"), held.clone());
        }
        facts
    }

    /// The facts of any other request: its fields as they are.
    #[must_use]
    pub fn of_request(body: &impl serde::Serialize) -> Self {
        let mut facts = Self::default();
        if let Ok(Value::Object(fields)) = serde_json::to_value(body) {
            for (key, value) in fields {
                facts.leaves(&snake(&key), prune(value));
            }
        }
        facts
    }

    fn add_field(&mut self, key: &str, value: Value) {
        match (key, value) {
            ("HostConfig", Value::Object(fields)) => {
                for (key, value) in fields {
                    self.add_host_field(&key, value);
                }
            }
            ("Env", Value::Array(lines)) => {
                for line in lines.iter().filter_map(Value::as_str) {
                    match line.split_once('=') {
                        Some((name, value)) => self.set(&format!("environment.{name}"), value),
                        None => self.set(&format!("environment.{line}"), Value::Bool(false)),
                    }
                }
            }
            (key, value) => self.leaves(word(key), prune(value)),
        }
    }

    fn add_host_field(&mut self, key: &str, value: Value) {
        match (key, value) {
            ("Mounts", Value::Array(_)) => {}
            ("Binds", Value::Array(binds)) => {
                for bind in binds.iter().filter_map(Value::as_str) {
                    let target = bind.split(':').nth(1).unwrap_or(bind);
                    self.set(&format!("volumes.{target}"), bind);
                }
            }
            ("PortBindings", Value::Object(ports)) => {
                for (port, bindings) in ports {
                    self.set(&format!("ports.{port}"), bindings_text(&bindings));
                }
            }
            ("RestartPolicy", policy) => {
                if let Some(text) = restart_text(&policy) {
                    self.set("restart", text);
                }
            }
            (key, value) => self.leaves(word(key), prune(value)),
        }
    }

    /// Objects become one fact a field; everything else is one fact. What is empty is none.
    fn leaves(&mut self, path: &str, value: Value) {
        match value {
            Value::Null => {}
            Value::Object(fields) => {
                for (key, value) in fields {
                    let key = if MAPS.contains(&path) { key } else { snake(&key) };
                    self.leaves(&format!("{path}.{key}"), value);
                }
            }
            value @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => self.set(path, value),
        }
    }
}

/// Facts whose fields are the author's own words, not the engine's.
const MAPS: [&str; 8] = ["labels", "expose", "sysctls", "tmpfs", "storage_opt", "annotations", "options", "driver_opts"];

/// Whether the engine can make all of these changes in place.
#[must_use]
pub fn updatable(changes: &[FieldChange]) -> bool {
    let can = |change: &FieldChange| UPDATABLE.contains(&change.path.as_str()) && (change.to.is_some() || change.path == "restart");
    !changes.is_empty() && changes.iter().all(can)
}

/// The facts that an engine can tell of a running container, and that may differ from what it was made with.
#[must_use]
pub fn is_updatable(path: &str) -> bool {
    UPDATABLE.contains(&path)
}

/// All paths for which [`is_updatable`] holds.
pub fn updatable_paths() -> impl Iterator<Item = &'static str> {
    UPDATABLE.into_iter()
}

/// A restart policy in the words of Compose; none for "no".
#[must_use]
pub fn restart_text(policy: &Value) -> Option<String> {
    let name = policy.get("Name").and_then(Value::as_str).filter(|name| !name.is_empty() && *name != "no")?;
    match policy.get("MaximumRetryCount").and_then(Value::as_i64).filter(|count| *count > 0) {
        Some(count) => Some(format!("{name}:{count}")),
        None => Some(name.to_owned()),
    }
}

fn bindings_text(bindings: &Value) -> String {
    let text = |binding: &Value, key: &str| binding.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let one = |binding: &Value| {
        let (ip, port) = (text(binding, "HostIp"), text(binding, "HostPort"));
        if ip.is_empty() { port } else { format!("{ip}:{port}") }
    };
    bindings.as_array().map(|all| all.iter().map(one).collect::<Vec<_>>().join(", ")).unwrap_or_default()
}

/// The word of Compose for a field of the engine, where it has one.
fn word(key: &str) -> &str {
    match key {
        "Image" => "image",
        "Cmd" => "command",
        "Entrypoint" => "entrypoint",
        "Labels" => "labels",
        "ExposedPorts" => "expose",
        "Healthcheck" => "healthcheck",
        "WorkingDir" => "working_dir",
        "User" => "user",
        "Hostname" => "hostname",
        "Domainname" => "domainname",
        "StopSignal" => "stop_signal",
        "StopTimeout" => "stop_grace_period",
        "Tty" => "tty",
        "OpenStdin" => "stdin_open",
        "Memory" => "mem_limit",
        "MemoryReservation" => "mem_reservation",
        "MemorySwap" => "memswap_limit",
        "NanoCpus" => "cpus",
        "CpuShares" => "cpu_shares",
        "CpuQuota" => "cpu_quota",
        "CpuPeriod" => "cpu_period",
        "CpusetCpus" => "cpuset",
        "PidsLimit" => "pids_limit",
        "BlkioWeight" => "blkio_config.weight",
        "NetworkMode" => "network_mode",
        "ReadonlyRootfs" => "read_only",
        "Privileged" => "privileged",
        "CapAdd" => "cap_add",
        "CapDrop" => "cap_drop",
        "Sysctls" => "sysctls",
        "Tmpfs" => "tmpfs",
        "Ulimits" => "ulimits",
        "ExtraHosts" => "extra_hosts",
        "LogConfig" => "logging",
        "StorageOpt" => "storage_opt",
        "Annotations" => "annotations",
        other => other,
    }
}

fn snake(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut lower = false;
    for c in key.chars() {
        if c.is_ascii_uppercase() && lower {
            out.push('_');
        }
        lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Without nulls and empty strings, lists and objects, which the engine takes for "not given".
fn prune(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept: serde_json::Map<_, _> =
                fields.into_iter().map(|(key, value)| (key, prune_inner(value))).filter(|(_, value)| !value.is_null()).collect();
            Value::Object(kept)
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => other,
    }
}

fn prune_inner(value: Value) -> Value {
    match value {
        Value::String(text) if text.is_empty() => Value::Null,
        Value::Array(list) if list.is_empty() => Value::Null,
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => prune(other),
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut pairs: Vec<_> = fields.iter().collect();
            pairs.sort_by_key(|(key, _)| key.as_str());
            Value::Object(pairs.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::{HostConfig, RestartPolicy, RestartPolicyNameEnum};

    use super::*;

    fn body(image: &str, env: &[&str]) -> ContainerCreateBody {
        ContainerCreateBody {
            image: Some(image.to_owned()),
            env: Some(env.iter().map(ToString::to_string).collect()),
            host_config: Some(HostConfig {
                memory: Some(1024),
                restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::ALWAYS), maximum_retry_count: None }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }

    #[test]
    fn facts_speak_the_words_of_compose() {
        let facts = Facts::of_container(&body("nginx", &["A=1"]), &[], &BTreeMap::new());
        assert_eq!(facts.to_label(), r#"{"environment.A":"1","image":"nginx","mem_limit":1024,"restart":"always"}"#);
        assert_eq!(Facts::from_label(&facts.to_label()), Some(facts));
    }

    #[test]
    fn a_change_names_the_field_with_both_values() {
        let old = Facts::of_container(&body("nginx:1", &["A=1"]), &[], &BTreeMap::new());
        let new = Facts::of_container(&body("nginx:2", &["B=1"]), &[], &BTreeMap::new());
        let paths: Vec<_> = old.changes_to(&new).into_iter().map(|change| change.path).collect();
        assert_eq!(paths, ["environment.A", "environment.B", "image"]);
        assert_ne!(old.digest(), new.digest());
    }

    #[test]
    fn limits_can_be_changed_in_place_and_taken_away_only_by_a_new_container() {
        let mut with = Facts::default();
        with.set("mem_limit", 1);
        let mut more = with.clone();
        more.set("mem_limit", 2);
        assert!(updatable(&with.changes_to(&more)));
        assert!(!updatable(&with.changes_to(&Facts::default())));
        assert!(!updatable(&[]));
    }
}
