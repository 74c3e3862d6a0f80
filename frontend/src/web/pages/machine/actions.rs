//! What can be done with a machine as a whole: what its guest is now decides what is offered.

use leptos::prelude::*;
use orrery_contracts::rest::Machine;
use orrery_contracts::{DomainState, MachineStatus};

use super::this;
use crate::route::Tab;
use crate::web::actions::act;
use crate::web::nav::nav;
use crate::web::parts::{MoreMenu, Sure};

/// What makes sense for a guest in this state: the first ones beside the menu, all of them in it.
fn deeds(machine: &Machine) -> (&'static [Deed], &'static [Deed]) {
    use Deed::{Reboot, Resume, ShutDown, Start, Stop, Suspend};
    if machine.current_version.is_none() || machine.status == MachineStatus::Deleting {
        return (&[], &[]);
    }
    match machine.state {
        Some(DomainState::Running) => (&[Reboot, ShutDown], &[Reboot, Suspend, ShutDown, Stop]),
        Some(DomainState::Paused) => (&[Resume], &[Resume, Stop]),
        Some(DomainState::ShuttingDown | DomainState::Asleep) => (&[], &[Stop]),
        Some(DomainState::Off | DomainState::Crashed) | None => (&[Start], &[Start]),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Start,
    Reboot,
    Suspend,
    Resume,
    ShutDown,
    Stop,
}

impl Deed {
    const fn word(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Reboot => "Reboot",
            Self::Suspend => "Suspend",
            Self::Resume => "Resume",
            Self::ShutDown => "Shut down",
            Self::Stop => "Stop at once…",
        }
    }

    const fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Reboot => "reboot",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::ShutDown => "shutdown",
            Self::Stop => "stop",
        }
    }
}

#[component]
pub(super) fn MachineActions(machine: Machine) -> impl IntoView {
    let this = this();
    let (act, nav) = (act(), nav());
    let (open, stopping) = (RwSignal::new(false), RwSignal::new(false));
    let id = machine.id;
    let (first, all) = deeds(&machine);
    let run = move |deed: Deed| {
        open.set(false);
        match deed {
            Deed::Stop => stopping.set(true),
            Deed::Start | Deed::Reboot | Deed::Suspend | Deed::Resume | Deed::ShutDown => act.machine(id, deed.verb()),
        }
    };
    let button = move |deed: &'static Deed| view! { <button class="btn mid" disabled=move || act.busy.get() on:click=move |_| run(*deed)>{deed.word()}</button> };
    let item = move |deed: &'static Deed| view! { <button class="item" on:click=move |_| run(*deed)>{deed.word()}</button> };
    let edit = move || {
        nav.route.with(|route| match route.part() {
            Some((_, _, Tab::Definition)) => None,
            Some((_, _, Tab::Plan(_))) => Some("btn"),
            Some(_) | None => Some("btn main"),
        })
    };
    view! {
        {first.iter().map(button).collect_view()}
        <MoreMenu open label=format!("More for {}", machine.name)>
            {all.iter().map(item).collect_view()}
            {(!all.is_empty()).then(|| view! { <hr/> })}
            <button class="item bad" on:click=move |_| { open.set(false); this.deleting.set(true); }>"Delete…"</button>
        </MoreMenu>
        {move || edit().map(|class| view! { <a class=class href=this.line.tab(Tab::Definition)>"Edit"</a> })}
        <Sure open=stopping title=format!("Stop {} at once?", machine.name) what="The guest is ended as if its power went: what it has not written to its disks is lost. To have it end by itself, shut it down." word="Stop it at once" go=move |()| act.machine(id, "stop")/>
    }
}
