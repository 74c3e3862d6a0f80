//! The last question before a machine goes: what goes with it, and its name to be written.

use leptos::prelude::*;
use orrery_contracts::command::MachineDelete;
use orrery_contracts::rest::Machine;

use super::this;
use crate::route::Route;
use crate::web::actions::act;
use crate::web::nav::nav;
use crate::web::parts::Dialog;
use crate::words;

#[component]
pub(super) fn DeleteDialog() -> impl IntoView {
    let this = this();
    let open = this.deleting;
    let title =
        move || this.machine.with(|machine| machine.as_ref().map(|machine| format!("Delete {}?", machine.name)).unwrap_or_default());
    // The machine as it was when the question was asked: what is being written must not go when the machine changes.
    view! { <Dialog open title=Signal::derive(title)>{this.machine.get_untracked().map(|machine| view! { <Question open machine/> })}</Dialog> }
}

#[component]
fn Question(open: RwSignal<bool>, machine: Machine) -> impl IntoView {
    let (act, nav) = (act(), nav());
    let disks = RwSignal::new(false);
    let written = RwSignal::new(String::new());
    let name = machine.name.clone();
    let fits = {
        let name = name.clone();
        Memo::new(move |_| written.with(|written| *written == name))
    };
    let id = machine.id;
    let go = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if fits.get_untracked() {
            act.send(format!("/machines/{id}/delete"), MachineDelete { disks: disks.get_untracked() }, move |command| {
                open.set(false);
                nav.go(Route::Command(command.seq.to_string()));
            });
        }
    };
    let snapshots = machine.snapshots.iter().map(|snapshot| snapshot.name.clone()).collect::<Vec<_>>().join(", ");
    view! {
        <form class="body" on:submit=go>
            <p>"What goes:"</p>
            <ul class="goes">
                <li><span class="verb del">"machine"</span><span>{machine.domain.clone()} {machine.state.map(|state| view! { <span class="quiet">" · it " {words::domain_state(state)}</span> })}</span></li>
                {(!snapshots.is_empty()).then(|| view! { <li><span class="verb del">"snapshots"</span><span>{snapshots}</span></li> })}
                <li>
                    <span class=move || if disks.get() { "verb del" } else { "verb keep" }>"disks"</span>
                    <span>"the disks that were made for it" <span class="quiet">{move || if disks.get() { "" } else { " · kept in the pool" }}</span></span>
                </li>
                <li><span class="verb keep">"boxes"</span><span>"what it began with" <span class="quiet">" · kept"</span></span></li>
            </ul>
            <p class="quiet">{words::plural(machine.latest_version as usize, "version", "versions")} " and what happened stay in the audit. A volume that the definition only names always stays."</p>
            <label class="check"><input type="checkbox" bind:checked=disks/><span>"The disks go too. "<b>"Their data cannot be brought back."</b></span></label>
            <div class="field">
                <label for="delete-name">"Write its name to go on: "<b>{name.clone()}</b></label>
                <input class="input" id="delete-name" bind:value=written autocomplete="off" autocapitalize="none" spellcheck="false" autofocus/>
            </div>
            <div class="row">
                <button class="btn bad full" disabled=move || !fits.get() || act.busy.get()>{move || if disks.get() { "Delete it and its disks" } else { "Delete it" }}</button>
                <button class="btn" type="button" on:click=move |_| open.set(false)>"Keep it"</button>
            </div>
        </form>
    }
}
