//! Boxes: what machines begin with, who uses them, how one comes in and goes.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::command::BoxFormat;
use orrery_contracts::machine::NewBox;
use orrery_contracts::rest::{Command, Empty, List, MachineBox};
use orrery_contracts::{MachineId, Status as CommandStatus};

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
            <p>"A box is what machines begin with: a cloud image in qcow2 or raw, a Vagrant box for libvirt, an ISO, a kernel. It is fetched once, and its checksum is kept."</p>
            <button class="btn" on:click=move |_| importing.set(true)>"Import one by its address"</button>
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

/// What a box can be.
const FORMATS: [(BoxFormat, &str); 6] = [
    (BoxFormat::Qcow2, "disk image, qcow2"),
    (BoxFormat::Raw, "disk image, raw"),
    (BoxFormat::Vagrant, "Vagrant box for libvirt"),
    (BoxFormat::Iso, "ISO image"),
    (BoxFormat::Rootfs, "root filesystem as tar"),
    (BoxFormat::File, "other file: a kernel, an initramfs"),
];

/// The address, the name and the checksum of a new box.
#[component]
fn ImportForm(open: RwSignal<bool>) -> impl IntoView {
    let act = act();
    let [name, url, sha256, description] = std::array::from_fn(|_| RwSignal::new(String::new()));
    let format = RwSignal::new(None::<BoxFormat>);
    let said = |field: RwSignal<String>| Some(field.get_untracked().trim().to_owned()).filter(|text| !text.is_empty());
    let import = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let new = NewBox {
            name: said(name).unwrap_or_default(),
            url: said(url).unwrap_or_default(),
            sha256: said(sha256).map(|text| text.to_lowercase()),
            format: format.get_untracked(),
            description: said(description),
        };
        act.send("/boxes".into(), new, move |_| {
            let _ = open.try_set(false);
        });
    };
    // The name that the address suggests, until somebody writes another.
    let guess = move |_| {
        if name.with_untracked(String::is_empty) {
            name.set(url.with_untracked(|url| words::box_name(url)));
        }
    };
    view! {
        <form class="body" on:submit=import>
            <div class="field"><label for="box-url">"Address"</label>
                <input class="input mono" id="box-url" type="url" required autofocus bind:value=url on:change=guess autocomplete="off" spellcheck="false" placeholder="https://…/debian-12-generic-amd64.qcow2"/></div>
            <div class="field"><label for="box-name">"Name"</label>
                <input class="input mono" id="box-name" required bind:value=name autocomplete="off" autocapitalize="none" spellcheck="false" placeholder="debian-12" aria-describedby="box-name-help"/>
                <span class="help" id="box-name-help">"What definitions call it."</span></div>
            <div class="field"><label for="box-sha256">"SHA-256"</label>
                <input class="input mono" id="box-sha256" bind:value=sha256 autocomplete="off" autocapitalize="none" spellcheck="false" pattern="\\s*[0-9a-fA-F]{64}\\s*" title="64 hexadecimal digits" aria-describedby="box-sha256-help"/>
                <span class="help" id="box-sha256-help">"What came is compared with it before it is used. Needed with an address that begins with http://."</span></div>
            <div class="field"><label for="box-format">"Format"</label>
                <select class="select" id="box-format" on:change=move |event| format.set(FORMATS.iter().map(|(format, _)| *format).find(|format| format.as_str() == event_target_value(&event)))>
                    <option value="">"found out from its first bytes"</option>
                    {FORMATS.into_iter().map(|(format, word)| view! { <option value=format.as_str()>{word}</option> }).collect_view()}
                </select></div>
            <div class="field"><label for="box-description">"What it is for"</label>
                <input class="input" id="box-description" bind:value=description autocomplete="off"/></div>
            <div class="row"><button class="btn main" disabled=move || act.busy.get() aria-busy=move || act.busy.get().then_some("true")>"Import"</button></div>
        </form>
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
