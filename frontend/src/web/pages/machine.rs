//! One machine: its head with what can be done, its tabs, and what they share.

mod actions;
mod delete;
mod overview;
mod snapshots;
mod uses;
mod view;

use leptos::prelude::*;
use orrery_contracts::machine::MachineSummary;
use orrery_contracts::rest::Machine;
use orrery_contracts::{Code, MachineStatus};

use super::line::{Definition, Head, HistoryTab, Line, LineTabs, PlanTab, VersionsTab, tab_here};
use crate::route::{Of, Tab};
use crate::web::live::live;
use crate::web::load::{Loaded, load};
use crate::web::parts::{FaultNote, PageHead, Status, Waiting};
use crate::words;

/// What the tabs of one machine share.
#[derive(Clone, Copy)]
pub(crate) struct This {
    pub(crate) line: Line,
    pub(crate) loaded: Loaded<Machine>,
    pub(crate) machine: Memo<Option<Machine>>,
    /// Whether the question is open that is asked before it goes.
    pub(crate) deleting: RwSignal<bool>,
}

pub(crate) fn this() -> This {
    expect_context()
}

fn share(id: &str) -> This {
    let live = live();
    let path = format!("/machines/{}", crate::route::encode(id));
    let loaded = load::<Machine>(move || Some(path.clone()));
    let machine = Memo::new(move |_| {
        let found = loaded.get()?;
        // What events have told is newer than what was loaded.
        Some(live.known.with(|known| known.machine_of(found.id)).unwrap_or(found))
    });
    let head = Memo::new(move |_| machine.with(|machine| machine.as_ref().map(head_of)));
    let again = Callback::new(move |()| loaded.again());
    This { line: Line::new(Of::Machine, id, head, again, || 0), loaded, machine, deleting: RwSignal::new(false) }
}

fn head_of(machine: &Machine) -> Head {
    Head {
        id: machine.id.to_string(),
        project: machine.name.clone(),
        current: machine.current_version,
        latest: machine.latest_version,
        command: machine.command,
    }
}

#[component]
pub(crate) fn MachinePage(id: String) -> impl IntoView {
    let this = share(&id);
    provide_context(this);
    provide_context(this.line);
    let missing = Memo::new(move |_| this.loaded.fault.with(|fault| fault.as_ref().and_then(|fault| fault.code()) == Some(Code::NotFound)));
    let there = Memo::new(move |_| this.machine.with(Option::is_some));
    let views = Memo::new(move |_| this.machine.with(|machine| machine.as_ref().map(views_of).unwrap_or_default()));
    let title = move || this.machine.with(|machine| machine.as_ref().map_or_else(|| "Machine".to_owned(), |machine| machine.name.clone()));
    view! {
        {move || if missing.get() {
            view! { <Missing/> }.into_any()
        } else {
            view! {
                <PageHead title=Signal::derive(title)><HeadLine/></PageHead>
                <FaultNote fault=this.loaded.fault again=move |()| this.loaded.again()/>
                {move || if there.get() { view! { <LineTabs more=views/><Shown/><delete::DeleteDialog/> }.into_any() } else { view! { <div class="card"><Waiting/></div> }.into_any() }}
            }.into_any()
        }}
    }
}

/// How its guest can be looked at.
fn views_of(machine: &Machine) -> Vec<(&'static str, Tab)> {
    let of = |summary: &MachineSummary| (summary.console, summary.screen);
    let (console, screen) = machine.summary.as_ref().map_or((true, false), of);
    [console.then_some(("Console", Tab::Console)), screen.then_some(("Screen", Tab::Screen))].into_iter().flatten().collect()
}

#[component]
fn Missing() -> impl IntoView {
    view! {
        <PageHead title="No such machine"/>
        <div class="card empty"><p>"It was deleted, or it is not yours to see."</p><p><a href="/machines">"All machines"</a> " · " <a href="/queue">"What went through the queue"</a></p></div>
    }
}

/// The status, the versions that run and wait, and what can be done.
#[component]
fn HeadLine() -> impl IntoView {
    let this = this();
    move || {
        this.machine.get().map(|machine| {
            let (tone, word) = words::machine_status(machine.status);
            let newer = machine.latest_version > 0 && machine.current_version.is_none_or(|current| current < machine.latest_version);
            let going_in = machine.status == MachineStatus::Deploying;
            let latest = format!("v{} {}", machine.latest_version, if going_in { "going in" } else { "not applied" });
            view! {
                <Status tone=tone word=word/>
                {machine.current_version.map(|version| view! { <span class="tag brass">"v" {version} " applied"</span> })}
                {newer.then(|| view! { <span class="tag">{latest}</span> })}
                <span class="quiet wide">"owner " {machine.owner.clone()} " · host " {machine.host.clone()}</span>
                <div class="push"><actions::MachineActions machine/></div>
            }
        })
    }
}

#[component]
fn Shown() -> impl IntoView {
    let tab = tab_here(this().line);
    move || match tab.get() {
        Tab::Overview | Tab::Logs => view! { <overview::Overview/> }.into_any(),
        Tab::Definition => view! { <Definition/> }.into_any(),
        Tab::Plan(version) => view! { <PlanTab version/> }.into_any(),
        Tab::Versions(pair) => view! { <VersionsTab pair/> }.into_any(),
        Tab::Console => view! { <view::ConsoleTab/> }.into_any(),
        Tab::Screen => view! { <view::ScreenTab/> }.into_any(),
        Tab::History => view! { <HistoryTab/> }.into_any(),
    }
}
