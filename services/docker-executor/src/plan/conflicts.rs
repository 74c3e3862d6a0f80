//! Who holds already what a version needs: host ports and container names, told before anything is done.

use orrery_contracts::PublishedPort;
use orrery_queue::ports::{Held, PORT_TAKEN, collide, taken};

use super::{Refusal, SlotAction, SlotWork, Todo};
use crate::definition::{ContainerSpec, Desired};
use crate::engine::{Observed, Other, Program, State};

pub(super) fn check(desired: &Desired, observed: &Observed, machines: &[Held], todo: &mut Todo) {
    let mut found = Vec::new();
    for work in todo.slots.iter().filter(|work| work.what != SlotAction::Keep) {
        let Some(spec) = spec_of(desired, work) else { continue };
        let already_up = work.what == SlotAction::Update || work.what == SlotAction::Restart;
        if !already_up {
            found.extend(ports(spec, observed, machines));
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

fn ports(spec: &ContainerSpec, observed: &Observed, machines: &[Held]) -> Vec<Refusal> {
    let mut found = Vec::new();
    for port in spec.published() {
        let container = observed.others.iter().find(|other| other.ports.iter().any(|held| collide(&port, held)));
        let machine = || machines.iter().find(|held| collide(&port, &held.port)).map(|held| held.holder.clone());
        let Some(holder) = container.map(Other::whose).or_else(machine).or_else(|| program(&port, observed)) else { continue };
        found.push(Refusal { code: PORT_TAKEN, message: taken(&port, &format!("service {}", spec.service), &holder) });
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
            found.push(Refusal { code: PORT_TAKEN, message });
        }
    }
    found
}
