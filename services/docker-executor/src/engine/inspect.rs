//! From the engine's answer about one container to what a plan compares. What the engine can change in place is taken
//! from what it says now, everything else from the label that was written when the container was made.

use std::collections::HashMap;

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryStateEnum,
    Health as ContainerHealth, HealthStatusEnum, HealthcheckResult, HostConfig, PortMap,
};
use orrery_contracts::{Health, PublishedPort};
use serde_json::Value;

use super::Probed;
use super::observed::{Seen, State};
use crate::definition::Facts;
use crate::definition::facts;
use crate::definition::identity as labels;

/// Reads one of our containers.
pub(crate) fn seen(inspect: ContainerInspectResponse) -> Option<Seen> {
    let state = inspect.state.unwrap_or_default();
    let config = inspect.config.unwrap_or_default();
    let host = inspect.host_config.unwrap_or_default();
    let label = config.labels.unwrap_or_default();
    let number = |key: &str| label.get(key).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let attached: Vec<String> = inspect.network_settings.and_then(|settings| settings.networks).unwrap_or_default().into_keys().collect();
    let (facts, lacks) = attached_facts(facts_now(&label, &host, inspect.image.as_deref()), &attached);
    Some(Seen {
        id: inspect.id?,
        name: inspect.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        service: label.get(labels::SERVICE).cloned().unwrap_or_default(),
        number: u32::try_from(number(labels::NUMBER)).unwrap_or_default(),
        command: number(labels::COMMAND),
        version: u32::try_from(number(labels::VERSION)).unwrap_or_default(),
        facts,
        lacks,
        health: health(&state),
        exit_code: state.exit_code.unwrap_or_default(),
        state: doing(&state),
        restarts: inspect.restart_count.unwrap_or_default(),
        oom_killed: state.oom_killed.unwrap_or_default(),
        ports: host.port_bindings.as_ref().map(wanted_ports).unwrap_or_default(),
        anonymous: anonymous(&inspect.mounts.unwrap_or_default()),
        joins: joins(&host),
        depends_on: label.get("com.docker.compose.depends_on").cloned().unwrap_or_default(),
    })
}

/// One of our containers as a listing tells it: what [`seen`] says, without what somebody changed by hand, how often it
/// was started again, and what it shares.
pub(super) fn listed(summary: ContainerSummary) -> Option<Seen> {
    let label = summary.labels.unwrap_or_default();
    let number = |key: &str| label.get(key).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let attached: Vec<String> = summary.network_settings.and_then(|settings| settings.networks).unwrap_or_default().into_keys().collect();
    let status = summary.status.unwrap_or_default();
    let name = summary.names.unwrap_or_default().into_iter().next().unwrap_or_default();
    let (facts, lacks) = attached_facts(written_facts(&label, summary.image_id.as_deref()), &attached);
    Some(Seen {
        id: summary.id?,
        name: name.trim_start_matches('/').to_owned(),
        service: label.get(labels::SERVICE).cloned().unwrap_or_default(),
        number: u32::try_from(number(labels::NUMBER)).unwrap_or_default(),
        command: number(labels::COMMAND),
        version: u32::try_from(number(labels::VERSION)).unwrap_or_default(),
        facts,
        lacks,
        state: listed_state(summary.state),
        health: listed_health(&status),
        exit_code: listed_exit_code(&status),
        restarts: 0,
        oom_killed: false,
        // What it holds now, where it runs: or its own forwarder would look like somebody else.
        ports: summary.ports.unwrap_or_default().into_iter().filter_map(super::listing::published).collect(),
        anonymous: Vec::new(),
        joins: Vec::new(),
        depends_on: label.get("com.docker.compose.depends_on").cloned().unwrap_or_default(),
    })
}

fn listed_state(state: Option<ContainerSummaryStateEnum>) -> State {
    match state {
        Some(ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::STOPPING) => State::Running,
        Some(ContainerSummaryStateEnum::PAUSED) => State::Paused,
        Some(ContainerSummaryStateEnum::RESTARTING) => State::Restarting,
        Some(ContainerSummaryStateEnum::CREATED) => State::Created,
        Some(ContainerSummaryStateEnum::REMOVING | ContainerSummaryStateEnum::DEAD) => State::Dead,
        Some(ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::EMPTY) | None => State::Exited,
    }
}

/// `Up 2 minutes (healthy)`.
fn listed_health(status: &str) -> Health {
    match status.rsplit_once('(').map(|(_, end)| end.trim_end_matches(')')) {
        Some("healthy") => Health::Healthy,
        Some("unhealthy") => Health::Unhealthy,
        Some("health: starting") => Health::Starting,
        Some(_) | None => Health::None,
    }
}

/// `Exited (137) 3 minutes ago`.
fn listed_exit_code(status: &str) -> i64 {
    let code = status.strip_prefix("Exited (").and_then(|rest| rest.split_once(')'));
    code.and_then(|(code, _)| code.parse().ok()).unwrap_or_default()
}

fn written_facts(label: &HashMap<String, String>, image_id: Option<&str>) -> Facts {
    let mut known = label.get(labels::FACTS).and_then(|text| Facts::from_label(text)).unwrap_or_default();
    if let Some(id) = image_id {
        known.set(facts::IMAGE_ID, id);
    }
    known
}

/// The facts of the label, with what the engine says instead where it can differ.
pub(crate) fn facts_now(label: &HashMap<String, String>, host: &HostConfig, image_id: Option<&str>) -> Facts {
    let mut known = written_facts(label, image_id);
    for (path, value) in changeable(host) {
        // The engine fills in a swap limit of its own beside a memory limit; it is a difference only where one was asked for.
        let unasked = path == "memswap_limit" && known.get(path).is_none();
        match value {
            _ if unasked => {}
            Some(value) => known.set(path, value),
            None => known.unset(path),
        }
    }
    known
}

/// Without the networks that it is not attached to; and these.
pub(crate) fn attached_facts(mut known: Facts, attached: &[String]) -> (Facts, Vec<String>) {
    const NETWORKS: &str = "networks.";
    let names = known.under(NETWORKS).filter_map(|path| path.strip_prefix(NETWORKS));
    let lacks: Vec<String> = names.filter(|name| !attached.iter().any(|there| there == name)).map(str::to_owned).collect();
    for name in &lacks {
        known.unset(&format!("{NETWORKS}{name}"));
    }
    (known, lacks)
}

/// What the engine can change in place, as it says it now; none where it is not set.
fn changeable(host: &HostConfig) -> [(&'static str, Option<Value>); 11] {
    let number = |value: Option<i64>| value.filter(|value| *value != 0).map(Value::from);
    let policy = host.restart_policy.as_ref().and_then(|policy| serde_json::to_value(policy).ok());
    [
        ("restart", policy.as_ref().and_then(facts::restart_text).map(Value::from)),
        ("mem_limit", number(host.memory)),
        ("mem_reservation", number(host.memory_reservation)),
        ("memswap_limit", number(host.memory_swap)),
        ("cpus", number(host.nano_cpus)),
        ("cpu_shares", number(host.cpu_shares)),
        ("cpu_quota", number(host.cpu_quota)),
        ("cpu_period", number(host.cpu_period)),
        ("cpuset", host.cpuset_cpus.clone().filter(|set| !set.is_empty()).map(Value::from)),
        ("pids_limit", number(host.pids_limit)),
        ("blkio_config.weight", number(host.blkio_weight.map(i64::from))),
    ]
}

pub(crate) fn doing(state: &ContainerState) -> State {
    match state.status {
        Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING) => State::Running,
        Some(ContainerStateStatusEnum::PAUSED) => State::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => State::Restarting,
        Some(ContainerStateStatusEnum::CREATED) => State::Created,
        Some(ContainerStateStatusEnum::REMOVING | ContainerStateStatusEnum::DEAD) => State::Dead,
        Some(ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::EMPTY) | None => State::Exited,
    }
}

pub(crate) fn health(state: &ContainerState) -> Health {
    match state.health.as_ref().and_then(|health| health.status) {
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        Some(HealthStatusEnum::NONE | HealthStatusEnum::EMPTY) | None => Health::None,
    }
}

/// How many probes are told.
const PROBES: usize = 3;
/// How much of what a probe wrote is told, in characters.
const PROBE_OUTPUT: usize = 2000;

/// What the last probes said, the latest last.
pub(super) fn probes(health: ContainerHealth) -> Vec<Probed> {
    let log = health.log.unwrap_or_default();
    let last = log.len().saturating_sub(PROBES);
    let probed = |result: HealthcheckResult| {
        let output = result.output.unwrap_or_default();
        let output = output.trim().chars().take(PROBE_OUTPUT).collect();
        Probed { exit_code: result.exit_code.unwrap_or_default(), output }
    };
    log.into_iter().skip(last).map(probed).collect()
}

/// The ports of the host that a container wants; those that the engine chooses are not among them.
pub(crate) fn wanted_ports(map: &PortMap) -> Vec<PublishedPort> {
    let mut ports = Vec::new();
    for (key, bindings) in map {
        let (port, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
        for binding in bindings.iter().flatten() {
            let host_port = binding.host_port.as_deref().and_then(|text| text.parse().ok());
            if let (Some(host_port), Ok(container_port)) = (host_port, port.parse()) {
                let host_ip = binding.host_ip.clone().unwrap_or_default();
                ports.push(PublishedPort { host_ip, host_port, container_port, protocol: protocol.to_owned() });
            }
        }
    }
    ports.retain(|port| port.host_port != 0);
    ports.sort();
    ports
}

fn anonymous(mounts: &[bollard::models::MountPoint]) -> Vec<(String, String)> {
    let is_hex = |name: &str| name.len() == 64 && name.chars().all(|c| c.is_ascii_hexdigit());
    let volumes = mounts.iter().filter(|mount| mount.typ.as_deref() == Some("volume"));
    volumes.filter_map(|mount| Some((mount.destination.clone()?, mount.name.clone().filter(|name| is_hex(name))?))).collect()
}

fn joins(host: &HostConfig) -> Vec<String> {
    let modes = [&host.network_mode, &host.ipc_mode, &host.pid_mode];
    let joined = modes.into_iter().flatten().filter_map(|mode| mode.strip_prefix("container:"));
    joined.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_tells_health_and_exit_code_in_words() {
        assert_eq!(listed_health("Up 2 minutes (healthy)"), Health::Healthy);
        assert_eq!(listed_health("Up 2 minutes (health: starting)"), Health::Starting);
        assert_eq!(listed_health("Up Less than a second (unhealthy)"), Health::Unhealthy);
        assert_eq!(listed_health("Up 3 hours (Paused)"), Health::None);
        assert_eq!(listed_health("Exited (137) 3 minutes ago"), Health::None);
        assert_eq!((listed_exit_code("Exited (137) 3 minutes ago"), listed_exit_code("Up 2 minutes")), (137, 0));
    }
}
