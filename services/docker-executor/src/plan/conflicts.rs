//! Who holds already what a version needs: host ports and container names, told before anything is done.

use orrery_contracts::PublishedPort;

use super::{Refusal, SlotAction, SlotWork, Todo};
use crate::definition::{ContainerSpec, Desired};
use crate::engine::{Observed, Other, Program, State};

pub(super) fn check(desired: &Desired, observed: &Observed, todo: &mut Todo) {
    let mut found = Vec::new();
    for work in todo.slots.iter().filter(|work| work.what != SlotAction::Keep) {
        let Some(spec) = spec_of(desired, work) else { continue };
        let already_up = work.what == SlotAction::Update || work.what == SlotAction::Restart;
        if !already_up {
            found.extend(ports(spec, observed));
        }
        found.extend(observed.others.iter().filter(|other| other.name == spec.name).map(|other| name_taken(spec, other)));
    }
    found.extend(twice(desired));
    todo.refusals.append(&mut found);
}

fn spec_of<'a>(desired: &'a Desired, work: &SlotWork) -> Option<&'a ContainerSpec> {
    desired.services.get(&work.service)?.containers.iter().find(|spec| spec.number == work.number)
}

fn name_taken(spec: &ContainerSpec, other: &Other) -> Refusal {
    let message = format!("the name {} of service {} is held by {}", spec.name, spec.service, other.whose());
    Refusal { code: "name_taken", message }
}

fn ports(spec: &ContainerSpec, observed: &Observed) -> Vec<Refusal> {
    let mut found = Vec::new();
    for port in spec.published() {
        let container = observed.others.iter().find(|other| other.ports.iter().any(|held| collide(&port, held)));
        let Some(holder) = container.map(Other::whose).or_else(|| program(&port, observed)) else { continue };
        let message = format!("port {}/{} of service {} is held by {holder}", port.host_port, port.protocol, spec.service);
        found.push(Refusal { code: "port_taken", message });
    }
    found
}

/// The program that holds a port. Where a container of ours runs with this port, the listener is the engine's forwarder.
fn program(port: &PublishedPort, observed: &Observed) -> Option<String> {
    let running = observed.containers.iter().filter(|seen| seen.state == State::Running);
    if running.flat_map(|seen| &seen.ports).any(|held| collide(port, held)) {
        return None;
    }
    observed.programs.iter().find(|program| collide(port, &program.port)).map(Program::words)
}

/// Two services of one version that want one port of the host.
fn twice(desired: &Desired) -> Vec<Refusal> {
    let all: Vec<(&ContainerSpec, PublishedPort)> =
        desired.containers().flat_map(|(_, spec)| spec.published().into_iter().map(move |port| (spec, port))).collect();
    let mut found = Vec::new();
    for (at, (spec, port)) in all.iter().enumerate() {
        let mut before = all.iter().take(at);
        if let Some((other, _)) = before.find(|(other, held)| other.name != spec.name && collide(port, held)) {
            let message =
                format!("port {}/{} of service {} is wanted by service {} too", port.host_port, port.protocol, spec.service, other.service);
            found.push(Refusal { code: "port_taken", message });
        }
    }
    found
}

/// Whether two containers cannot hold these ports at once.
pub(crate) fn collide(a: &PublishedPort, b: &PublishedPort) -> bool {
    let any = |ip: &str| ip.is_empty() || ip == "0.0.0.0" || ip == "::";
    a.host_port == b.host_port && a.protocol == b.protocol && (any(&a.host_ip) || any(&b.host_ip) || a.host_ip == b.host_ip)
}
