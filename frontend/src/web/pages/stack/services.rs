//! The services of a stack and the containers that carry them: one row a service, as the version says and as the engine
//! does.

use std::collections::BTreeMap;

use leptos::prelude::*;
use orrery_contracts::rest::Container;
use orrery_contracts::{Drift, FieldChange, PublishedPort};

use crate::orbit::Body;
use crate::web::clock;
use crate::web::parts::{FieldChanges, Ports, Status};
use crate::words::{self, Tone};

/// A service with its containers.
#[derive(Clone, PartialEq)]
pub(super) struct ServiceRow {
    pub(super) name: String,
    replicas: u32,
    containers: Vec<Container>,
}

/// What the version names, in its order, and what runs beyond that.
pub(super) fn rows(bodies: &[Body], containers: &[Container]) -> Vec<ServiceRow> {
    let of = |name: &str| containers.iter().filter(|container| container.service == name).cloned().collect::<Vec<_>>();
    let mut rows: Vec<ServiceRow> =
        bodies.iter().map(|body| ServiceRow { name: body.name.clone(), replicas: body.replicas, containers: of(&body.name) }).collect();
    for container in containers {
        if !rows.iter().any(|row| row.name == container.service) {
            rows.push(ServiceRow { name: container.service.clone(), replicas: 0, containers: of(&container.service) });
        }
    }
    rows
}

impl ServiceRow {
    /// How the service is: the worst of its containers.
    pub(super) fn state(&self) -> (Tone, String) {
        let rank = |tone: Tone| match tone {
            Tone::Bad => 4,
            Tone::Warn => 3,
            Tone::Wait => 2,
            Tone::Off => 1,
            Tone::Ok => 0,
        };
        let worst = self.containers.iter().map(words::container_state).max_by_key(|(tone, _)| rank(*tone));
        worst.unwrap_or((Tone::Off, "not there".into()))
    }

    fn ports(&self) -> Vec<PublishedPort> {
        self.containers.iter().flat_map(|container| container.ports.clone()).collect()
    }
}

/// How each service is, for the picture.
pub(super) fn tones(rows: &[ServiceRow]) -> BTreeMap<String, Tone> {
    rows.iter().map(|row| (row.name.clone(), row.state().0)).collect()
}

#[component]
pub(super) fn ServiceTable(#[prop(into)] rows: Signal<Vec<ServiceRow>>) -> impl IntoView {
    let figures = move || {
        let (services, containers) = rows.with(|rows| (rows.len(), rows.iter().map(|row| row.containers.len()).sum::<usize>()));
        format!("{}, {}", words::plural(services, "service", "services"), words::plural(containers, "container", "containers"))
    };
    view! {
        <section class="card">
            <header><h2>"Services"</h2><span class="push num">{figures}</span></header>
            <div class="scroll"><table>
                <thead><tr><th>"Service"</th><th>"State"</th><th class="wide">"Image"</th><th>"Ports"</th><th class="wide">"Since"</th></tr></thead>
                <tbody>{move || rows.get().into_iter().map(|row| view! { <OneService row/> }).collect_view()}</tbody>
            </table></div>
        </section>
    }
}

#[component]
fn OneService(row: ServiceRow) -> impl IntoView {
    let (tone, word) = row.state();
    let many = row.containers.len() > 1 || row.replicas > 1;
    let image = row.containers.first().map(|container| container.image.clone()).unwrap_or_default();
    let since = row.containers.iter().filter_map(|container| container.started_at).max();
    let ports = row.ports();
    let details = many
        .then(|| row.containers.clone())
        .filter(|containers| containers.iter().any(|container| words::container_state(container).0 != tone));
    let drift: Vec<Drift> = row.containers.iter().flat_map(|container| container.drift.clone()).collect();
    let stray = row.replicas == 0 && !row.containers.is_empty();
    view! {
        <tr>
            <td><span class="name">{row.name.clone()}</span> {many.then(|| view! { <span class="faint num">" × " {row.containers.len()}</span> })} {stray.then(|| view! { " " <span class="tag warn">"not in this version"</span> })}</td>
            <td><Status tone=tone word=word/></td>
            <td class="mono wide">{if image.is_empty() { dash().into_any() } else { words::shorten(&image, 44).into_any() }}</td>
            <td><Ports ports/></td>
            <td class="num wide faint">{since.map_or_else(|| dash().into_any(), |since| view! { {clock::ago(since)} }.into_any())}</td>
        </tr>
        {details.map(|containers| containers.into_iter().map(|container| {
            let (tone, word) = words::container_state(&container);
            view! { <tr><td class="mono faint">{container.name.clone()}</td><td colspan="4"><Status tone=tone word=word/></td></tr> }
        }).collect_view())}
        {(!drift.is_empty()).then(|| view! { <tr><td></td><td colspan="4"><Drifted drift/></td></tr> })}
    }
}

/// What is not known.
fn dash() -> impl IntoView {
    view! { <span class="faint">"–"</span> }
}

/// What differs from the version, field by field.
#[component]
fn Drifted(drift: Vec<Drift>) -> impl IntoView {
    let this = super::this();
    let changes: Vec<FieldChange> =
        drift.into_iter().map(|drift| FieldChange { path: drift.path, from: drift.expected, to: drift.actual }).collect();
    let plan = move || {
        this.stack
            .with(|stack| stack.as_ref().and_then(|stack| stack.current_version))
            .map(|version| this.tab(crate::route::Tab::Plan(version)))
    };
    view! {
        <div class="row">
            <div><span class="warn-text">"Changed by hand since it was applied"</span><FieldChanges changes/></div>
            {move || plan().map(|path| view! { <a class="btn small push" href=path>"Repair"</a> })}
        </div>
    }
}
