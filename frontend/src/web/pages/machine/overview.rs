//! The overview: what is being done, what the guest is and uses, what differs from the version, its snapshots, and the versions at
//! the side.

use leptos::prelude::*;
use orrery_contracts::machine::MachinePort;
use orrery_contracts::rest::Machine;
use orrery_contracts::{FieldChange, MachineStatus};

use super::snapshots::Snapshots;
use super::this;
use super::uses::Uses;
use crate::route::Tab;
use crate::web::clock;
use crate::web::pages::line::{Next, Now, VersionRail};
use crate::web::parts::FieldChanges;
use crate::words;

#[component]
pub(super) fn Overview() -> impl IntoView {
    let this = this();
    let command = Memo::new(move |_| this.machine.with(|machine| machine.as_ref().and_then(|machine| machine.command)));
    let calm = Signal::derive(move || this.machine.with(|machine| machine.as_ref().is_some_and(|machine| is_calm(machine.status))));
    let drifted = Memo::new(move |_| this.machine.with(|machine| machine.as_ref().is_some_and(|machine| !machine.drift.is_empty())));
    view! {
        <div class="cols">
            <div class="pile">
                {move || command.get().map(|seq| view! { <Now seq/> })}
                <Next calm/>
                {move || drifted.get().then(|| view! { <Drifted/> })}
                <Guest/>
                <Uses/>
                <Snapshots/>
            </div>
            <aside class="pile" aria-label="Versions"><VersionRail/></aside>
        </div>
    }
}

const fn is_calm(status: MachineStatus) -> bool {
    match status {
        MachineStatus::Created
        | MachineStatus::Running
        | MachineStatus::Degraded
        | MachineStatus::Drifted
        | MachineStatus::Stopped
        | MachineStatus::Suspended => true,
        MachineStatus::Deploying | MachineStatus::Failed | MachineStatus::Deleting => false,
    }
}

/// What the guest is and does.
#[component]
fn Guest() -> impl IntoView {
    let this = this();
    view! {
        <section class="card">
            <header><h2>"Guest"</h2></header>
            {move || this.machine.get().map(|machine| view! { <Facts machine/> })}
        </section>
    }
}

#[component]
fn Facts(machine: Machine) -> impl IntoView {
    let this = this();
    let why = machine.state_reason.clone().filter(|reason| !reason.is_empty()).map(|reason| format!(" · {reason}"));
    let state = machine.state.map_or("is not there", words::domain_state);
    let addresses = if machine.addresses.is_empty() { "none known".to_owned() } else { machine.addresses.join(", ") };
    let summary = machine.summary.clone().map(|summary| {
        let ports = summary.ports.iter().map(port).collect::<Vec<_>>().join(", ");
        view! {
            <dt>"What"</dt><dd>{words::machine_kind(summary.kind)} ", begins with " {summary.source.clone()}</dd>
            <dt>"Processors"</dt><dd class="num">{summary.cpus}</dd>
            <dt>"Memory"</dt><dd class="num">{words::memory(summary.memory)}</dd>
            {(!ports.is_empty()).then(|| view! { <dt>"Ports"</dt><dd class="mono">{ports}</dd> })}
            <dt>"Autostart"</dt><dd>{if summary.autostart { "starts with the host" } else { "stays off when the host starts" }} " · " <a class="out" href=this.line.tab(Tab::Definition)>"change"</a></dd>
        }
    });
    view! {
        <dl class="facts pad">
            <dt>"State"</dt><dd>{state} <span class="faint">{why}</span></dd>
            <dt>"Addresses"</dt><dd class="mono">{addresses}</dd>
            {summary}
            <dt>"Domain"</dt><dd class="mono">{machine.domain.clone()}</dd>
            <dt>"Host"</dt><dd>{machine.host.clone()}</dd>
            <dt>"Made"</dt><dd>{clock::ago(machine.created_at)}</dd>
        </dl>
    }
}

/// `8080 → 80/tcp`.
fn port(port: &MachinePort) -> String {
    let everywhere = matches!(port.host_ip.as_str(), "0.0.0.0" | "::" | "");
    let on = if everywhere { String::new() } else { format!("{}:", port.host_ip) };
    format!("{on}{} → {}/{}", port.host_port, port.guest_port, port.protocol)
}

/// What differs from the version, field by field.
#[component]
fn Drifted() -> impl IntoView {
    let this = this();
    let changes = move || {
        let drift = this.machine.with(|machine| machine.as_ref().map(|machine| machine.drift.clone()).unwrap_or_default());
        drift.into_iter().map(|drift| FieldChange { path: drift.path, from: drift.expected, to: drift.actual }).collect::<Vec<_>>()
    };
    view! {
        <section class="card" aria-label="Drift">
            <header>
                <h2 class="warn-text">"Changed by hand since it was applied"</h2>
                <span class="push">{move || this.line.current().map(|version| view! { <a class="btn small" href=this.line.tab(Tab::Plan(version))>"Repair"</a> })}</span>
            </header>
            <div class="pad">{move || view! { <FieldChanges changes=changes()/> }}</div>
        </section>
    }
}
