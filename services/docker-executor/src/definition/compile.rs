//! From a project to what is desired: every service with its containers, in the order of dependency.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use orrery_compose::model::{Condition, SECRET_REFERENCE, UpdateOrder};
use orrery_compose::{Files, Place, Problem, Project, Service};
use orrery_contracts::{Digest, SecretName};

use super::container::container_body;
use super::facts::{Facts, POST_START, PRE_STOP};
use super::image::image_need;
use super::mounts::{self, Held};
use super::network::{endpoints, network_spec, volume_spec};
use super::{ContainerSpec, Desired, Identity, Need, Probe, ServiceSpec};
use crate::secrets;

/// How long a container without a health check must stay up, where the definition does not say.
const STABLE: Duration = Duration::from_millis(500);

/// Where the files of a stack lie on the host.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The files of the version's bundle.
    pub bundle: PathBuf,
    /// The folder that all versions of the stack share.
    pub stack: PathBuf,
    /// Contents that were written in a definition, by digest.
    pub inline: PathBuf,
}

impl Folders {
    /// The folders of a stack and a bundle below the data folder.
    #[must_use]
    pub fn below(data_dir: &Path, identity: &Identity, bundle: &Digest) -> Self {
        Self {
            bundle: data_dir.join("bundles").join(bundle.as_str()),
            stack: data_dir.join("stacks").join(identity.stack.to_string()).join("files"),
            inline: data_dir.join("inline"),
        }
    }
}

/// What everything of one version is made with.
pub(super) struct Setting<'a> {
    pub(super) project: &'a Project,
    pub(super) files: &'a Files,
    pub(super) folders: &'a Folders,
    pub(super) identity: &'a Identity,
}

impl Setting<'_> {
    /// A secret of the stack with its version; a problem where it has none of this name.
    pub(super) fn secret(&self, name: &str, place: &Place, problems: &mut Vec<Problem>) -> Option<(SecretName, u32)> {
        let found = name.parse::<SecretName>().map_err(|error| Problem::refused(place, error.to_string())).and_then(|name| {
            let missing = || {
                let hint = format!("Set it on the stack's page, or by PUT /api/v1/secrets/<stack>/{name}, and apply again.");
                Problem::refused(place, format!("the stack has no secret {:?}", name.as_str())).hint(hint)
            };
            let version = self.identity.secrets.get(&name).copied().ok_or_else(missing)?;
            Ok((name, version))
        });
        found.map_err(|problem| problems.push(problem)).ok()
    }
}

/// Compiles a project into what is desired.
///
/// # Errors
/// What cannot be run although it is valid Compose, located.
pub fn compile(project: &Project, identity: &Identity, files: &Files, folders: &Folders) -> Result<Desired, Vec<Problem>> {
    let setting = Setting { project, files, folders, identity };
    let mut desired = Desired { identity: identity.clone(), ..Desired::default() };
    let mut problems = Vec::new();
    for (key, network) in &project.networks {
        desired.networks.insert(network.name.value.clone(), network_spec(key, network));
    }
    for (key, volume) in &project.volumes {
        desired.volumes.insert(volume.name.value.clone(), volume_spec(key, volume));
    }
    let finishers = completed(project);
    for name in in_order(project) {
        let Some(service) = project.services.get(name) else { continue };
        if let Some(problem) = replicas_collide(service) {
            problems.push(problem);
        }
        let mut held = Held::default();
        let spec = service_spec(&setting, service, finishers.contains(name), &mut held, &mut problems);
        desired.inline.append(&mut held.inline);
        desired.folders.append(&mut held.folders);
        desired.secrets.append(&mut held.secrets);
        desired.services.insert(name.to_owned(), spec);
    }
    if problems.is_empty() { Ok(desired) } else { Err(problems) }
}

fn service_spec(setting: &Setting<'_>, service: &Service, awaited_end: bool, held: &mut Held, problems: &mut Vec<Problem>) -> ServiceSpec {
    let image = image_need(setting, service);
    mounts::collect(setting, service, held, problems);
    let secret = secret_variables(setting, service, held, problems);
    let body = container_body(setting, service, &image.reference, held, problems);
    let networks = endpoints(setting.project, service);
    let containers = (1..=service.replicas).map(|number| {
        let name = container_name(setting.project, service, number);
        let networks = networks.iter().map(|(network, endpoint)| (network.clone(), endpoint.named(&name))).collect::<Vec<_>>();
        let mut facts = Facts::of_container(&body, &networks, &held.facts);
        for (path, shown) in &secret {
            facts.set(path, shown.as_str());
        }
        if let Some(platform) = &service.platform {
            facts.set("platform", platform.as_str());
        }
        for (fact, hooks) in [(POST_START, &service.post_start), (PRE_STOP, &service.pre_stop)] {
            if !hooks.is_empty() {
                facts.set(fact, serde_json::to_value(hooks).unwrap_or_default());
            }
        }
        ContainerSpec {
            name,
            service: service.name.clone(),
            number,
            body: body.clone(),
            networks,
            facts,
            platform: service.platform.clone().unwrap_or_default(),
            grace: service.stop_grace_period.unwrap_or(Duration::from_secs(10)),
        }
    });
    ServiceSpec {
        name: service.name.clone(),
        image,
        containers: containers.collect(),
        needs: needs(service),
        joins: super::host::joined_services(service),
        start_first: service.deploy.update.order == UpdateOrder::StartFirst && can_overlap(service),
        may_finish: awaited_end || may_finish(service),
        parallelism: service.deploy.update.parallelism.unwrap_or(1),
        delay: service.deploy.update.delay.unwrap_or_default(),
        stable: service.deploy.update.monitor.unwrap_or(STABLE),
        probe: probe(service),
    }
}

/// The variables of a service whose values are secrets, as they are compared and shown.
fn secret_variables(setting: &Setting<'_>, service: &Service, held: &mut Held, problems: &mut Vec<Problem>) -> Vec<(String, String)> {
    let mut shown = Vec::new();
    for (variable, value) in &service.environment {
        let Some(name) = value.value.as_deref().and_then(|value| value.strip_prefix(SECRET_REFERENCE)) else { continue };
        let Some((name, version)) = setting.secret(name, &value.place, problems) else { continue };
        shown.push((format!("environment.{variable}"), secrets::shown(&name, version)));
        held.secrets.insert(name);
    }
    for hook in service.post_start.iter().chain(&service.pre_stop) {
        let of_hook = |(_, value): &(&String, &Option<String>)| value.as_ref().is_some_and(|value| value.starts_with(SECRET_REFERENCE));
        if let Some((variable, _)) = hook.environment.iter().find(of_hook) {
            let message = format!("the variable {variable} of a hook cannot be a secret");
            let hint = "Put it into the service's environment: its hooks have that too.";
            problems.push(Problem::refused(&hook.place, message).hint(hint));
        }
    }
    shown
}

fn needs(service: &Service) -> Vec<Need> {
    let need = |(name, dependency): (&String, &orrery_compose::model::Dependency)| Need {
        service: name.clone(),
        condition: dependency.condition,
        restart: dependency.restart,
        required: dependency.required,
    };
    service.depends_on.iter().map(need).collect()
}

fn probe(service: &Service) -> Probe {
    match &service.healthcheck {
        None => Probe::Image,
        Some(check) if check.disable => Probe::Disabled,
        Some(check) if check.test.is_none() => Probe::Image,
        Some(_) => Probe::Defined,
    }
}

/// A service that serves nobody and is not kept running may end by itself, and be right.
fn may_finish(service: &Service) -> bool {
    use orrery_compose::model::Restart;
    let ends = match service.restart {
        None | Some(Restart::No | Restart::OnFailure { .. }) => true,
        Some(Restart::Always | Restart::UnlessStopped) => false,
    };
    ends && service.ports.is_empty() && service.healthcheck.is_none()
}

/// Two containers of a service can run at once where no port, fixed address or writable volume forbids it.
fn can_overlap(service: &Service) -> bool {
    let fixed_port = service.ports.iter().any(|port| port.published.is_some_and(|range| range.count() == 1));
    let fixed_address =
        service.networks.values().any(|at| at.ipv4_address.is_some() || at.ipv6_address.is_some() || at.mac_address.is_some());
    let host_network = matches!(service.network_mode.as_deref(), Some(orrery_compose::model::NetworkMode::Host));
    let writes = service.volumes.iter().any(|mount| !mount.read_only && mounts::is_shared(mount));
    !(fixed_port || fixed_address || host_network || writes)
}

fn replicas_collide(service: &Service) -> Option<Problem> {
    if service.replicas < 2 {
        return None;
    }
    if let Some(name) = &service.container_name {
        let message = format!("{} containers cannot all be called {:?}", service.replicas, name.value);
        return Some(Problem::refused(&name.place, message).hint("Leave container_name out, or take one container."));
    }
    let port = service.ports.iter().find(|port| port.published.is_some_and(|range| range.count() < service.replicas))?;
    let message = format!("{} containers cannot share one host port", service.replicas);
    Some(Problem::refused(&port.place, message).hint("Publish a range of ports with room for all of them, or take one container."))
}

fn container_name(project: &Project, service: &Service, number: u32) -> String {
    match &service.container_name {
        Some(name) => name.value.clone(),
        None => format!("{}-{}-{number}", project.name, service.name),
    }
}

/// Services that another one waits for to end.
fn completed(project: &Project) -> BTreeSet<String> {
    let waits = |service: &Service| {
        let ended = |(name, need): (&String, &orrery_compose::model::Dependency)| {
            (need.condition == Condition::ServiceCompletedSuccessfully).then(|| name.clone())
        };
        service.depends_on.iter().filter_map(ended).collect::<Vec<_>>()
    };
    project.services.values().flat_map(waits).collect()
}

/// The services, each after those that it depends on, else in the order of the file.
fn in_order(project: &Project) -> Vec<&str> {
    let mut done: IndexMap<&str, ()> = IndexMap::new();
    let mut waiting: Vec<&Service> = project.services.values().collect();
    while !waiting.is_empty() {
        let ready = |service: &&Service| {
            service.depends_on.keys().all(|name| done.contains_key(name.as_str()) || !project.services.contains_key(name))
        };
        let next: Vec<&Service> = waiting.iter().copied().filter(ready).collect();
        if next.is_empty() {
            break;
        }
        waiting.retain(|service| !next.iter().any(|taken| taken.name == service.name));
        done.extend(next.iter().map(|service| (service.name.as_str(), ())));
    }
    done.extend(waiting.iter().map(|service| (service.name.as_str(), ())));
    done.into_keys().collect()
}
