//! Boxes: what machines begin with, who uses them, how one comes in and goes.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::{Command, Empty, List, MachineBox};
use orrery_contracts::{MachineId, Status as CommandStatus};

mod import;
mod uploads;

use import::ImportForm;
use uploads::UploadsCard;

use super::machines::MachinesTabs;
use crate::route::Route;
use crate::web::actions::{act, ended};
use crate::web::clock;
use crate::web::live::live;
use crate::web::load::load;
use crate::web::parts::{Dialog, FaultNote, Mark, PageHead, Sure, Waiting};
use crate::web::toasts::toasts;
use crate::words;

#[component]
pub(crate) fn BoxesPage() -> impl IntoView {
    let live = live();
    let loaded = load::<List<MachineBox>>(|| Some("/boxes?limit=500".to_owned()));
    Effect::new(move |first: Option<()>| {
        live.boxes.track();
        if first.is_some() {
            loaded.again();
        }
    });
    let importing = RwSignal::new(false);
    let going = RwSignal::new(None::<String>);
    let count = move || loaded.value.with(|list| list.as_ref().map(|list| words::plural(list.items.len(), "box", "boxes")));
    view! {
        <PageHead title="Boxes">
            <span class="quiet num">{count}</span>
            <div class="push"><button class="btn main" on:click=move |_| importing.set(true)>"Import a box"</button></div>
        </PageHead>
        <MachinesTabs here="Boxes"/>
        <FaultNote fault=loaded.fault again=move |()| loaded.again()/>
        <UploadsCard/>
        {move || match loaded.get() {
            None if loaded.fault.with(Option::is_some) => ().into_any(),
            None => view! { <div class="card"><Waiting/></div> }.into_any(),
            Some(list) if list.items.is_empty() => view! { <NoBoxes importing/> }.into_any(),
            Some(list) => view! { <BoxTable boxes=list.items going/> }.into_any(),
        }}
        <Dialog open=importing title="Import a box"><ImportForm open=importing/></Dialog>
        <RemoveQuestion going/>
    }
}

#[component]
fn NoBoxes(importing: RwSignal<bool>) -> impl IntoView {
    view! {
        <section class="card empty">
            <Mark size=44/>
            <h2>"No box yet"</h2>
            <p>"A box is what machines begin with: a cloud image in qcow2 or raw, a Vagrant box for libvirt, an ISO, a kernel. It is fetched or uploaded once, and its checksum is kept."</p>
            <button class="btn" on:click=move |_| importing.set(true)>"Import one"</button>
        </section>
    }
}

#[component]
fn BoxTable(boxes: Vec<MachineBox>, going: RwSignal<Option<String>>) -> impl IntoView {
    view! {
        <section class="card" aria-label="Boxes"><div class="scroll"><table class="cards">
            <thead><tr><th>"Box"</th><th>"Format"</th><th>"Size"</th><th>"Used by"</th><th class="wide">"From"</th><th class="wide">"Imported"</th><th class="end"><span class="seen-by-ear">"Ways out"</span></th></tr></thead>
            <tbody>{boxes.into_iter().map(|one| view! { <BoxRow one going/> }).collect_view()}</tbody>
        </table></div></section>
    }
}

#[component]
fn BoxRow(one: MachineBox, going: RwSignal<Option<String>>) -> impl IntoView {
    let live = live();
    let users = one.used_by.clone();
    let free = users.is_empty();
    let used_by = move || {
        live.known.with(|known| {
            let name = |id: &MachineId| {
                known.machine_of(*id).map_or_else(|| "a machine of somebody else".to_owned(), |machine| machine.name.clone())
            };
            users.iter().map(|id| (Route::machine(id.to_string()).path(), name(id))).collect::<Vec<_>>()
        })
    };
    let remove = {
        let name = one.name.clone();
        move |_| going.set(Some(name.clone()))
    };
    view! {
        <tr>
            <td class="grow"><span class="name">{one.name.clone()}</span> " " <span class="quiet">{words::shorten(&one.description, 60)}</span>
                <div class="faint mono" title=one.sha256.to_string()>"sha256 " {words::shorten(one.sha256.as_str(), 12)}</div></td>
            <td><span class="tag">{one.format.as_str()}</span></td>
            <td class="num nowrap" title="What it takes in the pool, and what a disk made of it has at least">{words::memory(one.size)}{(one.capacity > one.size).then(|| view! { <span class="faint">" of " {words::memory(one.capacity)}</span> })}</td>
            <td class:wide=free>{move || if free { view! { <span class="faint">"nobody"</span> }.into_any() } else {
                let one = |(at, (path, name))| view! { {(at > 0).then_some(", ")} <a class="out" href=path>{name}</a> };
                used_by().into_iter().enumerate().map(one).collect_view().into_any()
            }}</td>
            <td class="wide quiet clip-cell" title=one.origin.clone()>{words::shorten(&one.origin, 44)}</td>
            <td class="wide faint nowrap">{clock::ago(one.imported_at)}</td>
            <td class="end"><button class="btn small" aria-label=format!("Remove box {}", one.name) on:click=remove>"Remove"</button></td>
        </tr>
    }
}

/// The question before a box goes, and what the executor said when it would not let it go.
#[component]
fn RemoveQuestion(going: RwSignal<Option<String>>) -> impl IntoView {
    let (act, live, toasts) = (act(), live(), toasts());
    let open = RwSignal::new(false);
    let name = RwSignal::new(String::new());
    Effect::new(move || {
        if let Some(wanted) = going.get() {
            name.set(wanted);
            going.set(None);
            open.set(true);
        }
    });
    let told = move |command: Command| {
        spawn_local(async move {
            match ended(live, command).await {
                Ok(command) if command.status == CommandStatus::Done => toasts.good("The box is removed."),
                Ok(command) => toasts.bad(words::command_reason(&command).unwrap_or_else(|| "The box was not removed.".into())),
                Err(fault) => toasts.fault(&fault),
            }
        });
    };
    view! {
        <Sure open title=Signal::derive(move || format!("Remove box {}?", name.get())) what="It goes from the pool, and has to be fetched again for the next machine that begins with it. A box that a machine's disk lies on stays." word="Remove it"
            go=move |()| act.send(format!("/boxes/{}/remove", crate::route::encode(&name.get_untracked())), Empty {}, told)/>
    }
}
