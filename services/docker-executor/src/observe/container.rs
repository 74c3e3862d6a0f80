//! From the engine's answer about one container, anybody's, to an observation: what it is, how it does, and in what it
//! differs from the version that it was made for.

use bollard::models::ContainerInspectResponse;
use orrery_contracts::{ContainerObservation, Drift, PublishedPort, StackId, Time};

use crate::definition::identity::{self as labels, Labels, NEW, OLD};
use crate::definition::{Facts, facts};
use crate::engine::inspect;
use crate::files::DataDir;

/// What is published of a container; none without an id.
#[must_use]
pub fn observation(inspect: ContainerInspectResponse, host: &str, epoch: u64, data: &DataDir) -> Option<ContainerObservation> {
    let state = inspect.state.clone().unwrap_or_default();
    let config = inspect.config.clone().unwrap_or_default();
    let label = config.labels.clone().unwrap_or_default();
    let name = inspect.name.clone().unwrap_or_default().trim_start_matches('/').to_owned();
    let transient = name.ends_with(NEW) || name.ends_with(OLD);
    let number = |key: &str| label.get(key).and_then(|text| text.parse().ok());
    let stack_id: Option<StackId> = label.get(labels::STACK).and_then(|text| text.parse().ok());
    let drift = match stack_id {
        Some(stack) if !transient => drift(&inspect, &label, &name, stack, data),
        Some(_) | None => Vec::new(),
    };
    let word = state.status.map(|status| status.to_string()).unwrap_or_default();
    let ended = matches!(word.as_str(), "exited" | "dead");
    Some(ContainerObservation {
        id: inspect.id.clone()?,
        host: host.to_owned(),
        installation: label.get(labels::INSTALLATION).and_then(|text| text.parse().ok()),
        stack_id,
        project: label.get(labels::PROJECT).cloned(),
        service: label.get(labels::SERVICE).cloned(),
        number: number(labels::NUMBER),
        version: number(labels::VERSION),
        image: config.image.unwrap_or_default(),
        image_id: inspect.image.clone().unwrap_or_default(),
        health: inspect::health(&state),
        exit_code: state.exit_code.filter(|_| ended),
        ports: ports(&inspect),
        created_at: inspect.created.map(Time::new),
        started_at: instant(state.started_at.as_deref()),
        finished_at: instant(state.finished_at.as_deref()),
        state: if word.is_empty() { "exited".to_owned() } else { word },
        name,
        transient,
        drift,
        epoch,
    })
}

/// The engine's way to say "never" is the year 1.
fn instant(text: Option<&str>) -> Option<Time> {
    Time::parse(text?).ok().filter(|time| time.inner().year() > 1)
}

fn ports(inspect: &ContainerInspectResponse) -> Vec<PublishedPort> {
    let map = inspect.network_settings.as_ref().and_then(|settings| settings.ports.as_ref());
    let mut ports = map.map(inspect::wanted_ports).unwrap_or_default();
    ports.dedup();
    ports
}

/// In what a container differs from its version: what the engine can change under it, and what was taken from it.
fn drift(inspect: &ContainerInspectResponse, label: &Labels, name: &str, stack: StackId, data: &DataDir) -> Vec<Drift> {
    let written = label.get(labels::FACTS).and_then(|text| Facts::from_label(text)).unwrap_or_default();
    let expected = data.expected(stack).remove(name).unwrap_or_else(|| written.clone());
    let host = inspect.host_config.clone().unwrap_or_default();
    let networks = inspect.network_settings.as_ref().and_then(|settings| settings.networks.clone()).unwrap_or_default();
    let attached: Vec<String> = networks.into_keys().collect();
    let (now, _) = inspect::attached_facts(inspect::facts_now(label, &host, inspect.image.as_deref()), &attached);
    let told = |path: &str| facts::is_updatable(path) || path.starts_with("networks.") || path == facts::IMAGE_ID;
    let changes = expected.changes_to(&now).into_iter().filter(|change| told(&change.path));
    changes.map(|change| Drift { path: change.path, expected: change.from, actual: change.to }).collect()
}
