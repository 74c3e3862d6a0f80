//! What must fit together across a project: references, circles, ports, names, limits.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use indexmap::IndexMap;

use crate::model::{FileMount, FileObject, FileSource, MountKind, NetworkMode, Port, Project, Service, VolumesSource};
use crate::problem::{Place, Problem};
use crate::schema::nearest;

/// Checks a project.
pub(crate) fn check(project: &Project, problems: &mut Vec<Problem>) {
    let mut checker = Checker { project, problems };
    for service in project.services.values() {
        checker.references(service);
        checker.mounts(service);
        checker.replicas(service);
        checker.platform(service);
    }
    checker.circle();
    checker.ports();
    checker.container_names();
    checker.unused();
}

struct Checker<'a> {
    project: &'a Project,
    problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    fn references(&mut self, service: &Service) {
        let project = self.project;
        for (name, attachment) in &service.networks {
            if !project.networks.contains_key(name) {
                self.undefined("network", name, "networks", &attachment.place, project.networks.keys());
            }
        }
        if let Some(mode) = service.network_mode.as_ref().filter(|_| !service.networks.is_empty()) {
            let problem = Problem::invalid(&mode.place, "network_mode and networks exclude each other");
            self.problems.push(problem.hint("Keep one of the two."));
        }
        if let Some(mode) = &service.network_mode {
            let alone = matches!(mode.value, NetworkMode::Host | NetworkMode::Service(_) | NetworkMode::Container(_) | NetworkMode::None);
            if let Some(port) = service.ports.first().filter(|_| alone) {
                let problem = Problem::warning(&port.place, "published ports have no effect with this network_mode");
                self.problems.push(problem.hint("Remove ports, or use networks."));
            }
        }
        for (name, dependency) in &service.depends_on {
            let known = project.services.contains_key(name);
            if known || !dependency.required && project.disabled.contains_key(name) {
                continue;
            }
            if let Some(disabled) = project.disabled.get(name) {
                let message = format!("{} depends on {name}, which no chosen profile enables", service.name);
                let hint = format!("Enable {}, or write required: false.", disabled.profiles.join(" or "));
                self.problems.push(Problem::invalid(&dependency.place, message).hint(hint));
            } else {
                self.undefined("service", name, "services", &dependency.place, project.services.keys());
            }
        }
        for from in &service.volumes_from {
            if let VolumesSource::Service(name) = &from.source
                && !project.services.contains_key(name)
            {
                self.undefined("service", name, "services", &from.place, project.services.keys());
            }
        }
        self.links(service);
        self.file_mounts(&service.configs, "config", "configs", &project.configs);
        self.file_mounts(&service.secrets, "secret", "secrets", &project.secrets);
    }

    /// What needs a network of the project has no effect without one.
    fn links(&mut self, service: &Service) {
        let at = |key: &str| service.place.with_path(&format!("services.{}.{key}", service.name));
        if service.networks.is_empty() && service.mac_address.is_some() {
            let problem = Problem::warning(&at("mac_address"), "mac_address has no effect without a network of the project");
            self.problems.push(problem.hint("Remove it, or use networks instead of network_mode."));
        }
        for (other, name) in &service.links {
            let Some(linked) = self.project.services.get(other) else { continue };
            if !service.networks.keys().any(|network| linked.networks.contains_key(network)) {
                let message = format!("{} and {other} have no network in common: the link {name} has no effect", service.name);
                self.problems.push(Problem::warning(&at("links"), message).hint("Put both into one network."));
            }
        }
    }

    fn file_mounts(&mut self, mounts: &[FileMount], what: &str, section: &str, known: &IndexMap<String, FileObject>) {
        for mount in mounts {
            let Some(object) = known.get(&mount.source) else {
                self.undefined(what, &mount.source, section, &mount.place, known.keys());
                continue;
            };
            let owned = mount.uid.is_some() || mount.gid.is_some() || mount.mode.is_some();
            if owned && matches!(object.source, FileSource::Host(_) | FileSource::StackFolder(_)) {
                let message = format!("uid, gid and mode have no effect on the {what} {}, which is a file of the host", mount.source);
                self.problems.push(Problem::warning(&mount.place, message).hint("Put the file into the bundle, or change it on the host."));
            }
        }
    }

    fn undefined<'k>(&mut self, what: &str, name: &str, section: &str, place: &Place, known: impl Iterator<Item = &'k String>) {
        let problem = Problem::invalid(place, format!("there is no {what} {name}"));
        let near = nearest(name, known.map(String::as_str));
        self.problems.push(match near {
            Some(near) => problem.hint(format!("Did you mean {near}?")),
            None if what == "volume" => problem.hint(format!("Declare it under {section}: at the top, or write ./{name} for a folder.")),
            None if what == "service" => problem.hint(format!("Add a service {name}, or remove this.")),
            None => problem.hint(format!("Declare it under {section}: at the top.")),
        });
    }

    fn mounts(&mut self, service: &Service) {
        let project = self.project;
        let mut targets: HashMap<&str, &Place> = HashMap::new();
        for mount in &service.volumes {
            if let MountKind::Volume(volume) = &mount.kind
                && let Some(source) = volume.source.as_ref().filter(|source| !project.volumes.contains_key(&source.value))
            {
                let place = source.place.with_path(&mount.place.path);
                self.undefined("volume", source, "volumes", &place, project.volumes.keys());
            }
            if let Some(first) = targets.insert(&mount.target, &mount.place) {
                let message = format!("{} is mounted twice; the first is in line {}", mount.target, first.line);
                self.problems.push(Problem::invalid(&mount.place, message).hint("Keep one of the two."));
            }
        }
    }

    fn replicas(&mut self, service: &Service) {
        if service.replicas < 2 {
            return;
        }
        if let Some(name) = &service.container_name {
            let message = format!("{} containers cannot all be named {}", service.replicas, name.value);
            self.problems.push(Problem::invalid(&name.place, message).hint("Remove container_name, or the replicas."));
        }
        for port in &service.ports {
            if let Some(range) = port.published.filter(|range| range.count() < service.replicas) {
                let message = format!("{} containers cannot all publish {range}", service.replicas);
                let last = u32::from(range.first) + service.replicas - 1;
                let hint = format!("Write a range such as {}-{last}, or leave the host's port out.", range.first);
                self.problems.push(Problem::refused(&port.place, message).hint(hint));
            }
        }
        for attachment in service.networks.values() {
            if attachment.ipv4_address.is_some() || attachment.ipv6_address.is_some() || attachment.mac_address.is_some() {
                let message = format!("{} containers cannot all have one address", service.replicas);
                self.problems.push(Problem::refused(&attachment.place, message).hint("Remove the address, or the replicas."));
            }
        }
    }

    fn platform(&mut self, service: &Service) {
        let build = service.build.as_ref();
        let platforms = build.map(|build| build.platforms.as_slice()).unwrap_or_default();
        if let Some(platform) = service.platform.as_ref().filter(|platform| !platforms.is_empty() && !platforms.contains(platform)) {
            let place = service.place.with_path(&format!("services.{}.platform", service.name));
            let problem = Problem::invalid(&place, format!("build.platforms does not have {platform}"));
            self.problems.push(problem.hint("Add it there."));
        }
    }

    /// A circle of dependencies: what is left when everything without dependencies is taken away, again and again.
    fn circle(&mut self) {
        let services = &self.project.services;
        let mut waiting: IndexMap<&str, usize> = IndexMap::new();
        let mut dependents: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, service) in services {
            let known = service.depends_on.keys().filter(|other| services.contains_key(*other));
            waiting.insert(name, known.clone().count());
            for other in known {
                dependents.entry(other).or_default().push(name);
            }
        }
        let mut ready: Vec<&str> = waiting.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
        while let Some(name) = ready.pop() {
            waiting.shift_remove(name);
            for dependent in dependents.get(name).into_iter().flatten() {
                if let Some(count) = waiting.get_mut(dependent) {
                    *count -= 1;
                    if *count == 0 {
                        ready.push(dependent);
                    }
                }
            }
        }
        let Some((start, _)) = waiting.first() else { return };
        let mut walked: Vec<&str> = Vec::new();
        let mut at = *start;
        while !walked.contains(&at) {
            walked.push(at);
            let next = services.get(at).and_then(|service| service.depends_on.keys().find(|other| waiting.contains_key(other.as_str())));
            let Some(next) = next else { return };
            at = next;
        }
        let first = walked.iter().position(|name| *name == at).unwrap_or_default();
        let circle = &walked[first..];
        let last = circle.last().copied().unwrap_or(at);
        let place = services.get(last).and_then(|service| service.depends_on.get(at)).map(|dependency| dependency.place.clone());
        let message = format!("services depend on each other in a circle: {} → {at}", circle.join(" → "));
        self.problems.push(Problem::invalid(&place.unwrap_or_default(), message).hint("Remove one of these dependencies."));
    }

    /// Host ports that two services, or two entries, want.
    fn ports(&mut self) {
        let mut taken: BTreeMap<(u16, crate::model::Protocol), Vec<(&str, &Port)>> = BTreeMap::new();
        for (name, service) in &self.project.services {
            for port in service.ports.iter().filter(|port| port.published.is_some_and(|range| range.first == range.last)) {
                let Some(range) = port.published else { continue };
                let others = taken.entry((range.first, port.protocol)).or_default();
                let clash = others.iter().find(|(_, other)| same_address(port.host_ip, other.host_ip));
                if let Some((holder, other)) = clash {
                    let whose = if holder == name { "this service".to_owned() } else { (*holder).to_owned() };
                    let message = format!("the host's port {range}/{} is taken by {whose}, in line {}", port.protocol, other.place.line);
                    self.problems.push(Problem::refused(&port.place, message).hint("Publish another port of the host."));
                } else {
                    others.push((name, port));
                }
            }
        }
    }

    fn container_names(&mut self) {
        let mut names: HashMap<&str, &Place> = HashMap::new();
        for name in self.project.services.values().filter_map(|service| service.container_name.as_ref()) {
            if let Some(first) = names.insert(&name.value, &name.place) {
                let message = format!("the container name {} is taken in line {}", name.value, first.line);
                self.problems.push(Problem::invalid(&name.place, message).hint("Choose another name, or remove container_name."));
            }
        }
    }

    /// Volumes and networks that nobody uses are probably a mistake.
    fn unused(&mut self) {
        let services = || self.project.services.values().chain(self.project.disabled.values());
        for (name, volume) in self.project.volumes.iter().filter(|(_, volume)| !volume.external) {
            let used = services().any(|service| {
                service.volumes.iter().any(|mount| match &mount.kind {
                    MountKind::Volume(mounted) => mounted.source.as_ref().is_some_and(|source| source.value == *name),
                    MountKind::Bind(_) | MountKind::Tmpfs(_) | MountKind::Image { .. } => false,
                })
            });
            if !used {
                self.problems.push(Problem::note(&volume.place, format!("no service uses the volume {name}; it is not made")));
            }
        }
    }
}

/// Whether two ports of the host's are in each other's way.
fn same_address(a: Option<IpAddr>, b: Option<IpAddr>) -> bool {
    let any = |ip: Option<IpAddr>| ip.is_none_or(|ip| ip.is_unspecified());
    match (a, b) {
        (Some(a), Some(b)) if !a.is_unspecified() && !b.is_unspecified() => a == b,
        _ => any(a) || any(b),
    }
}
