//! The last question before a stack goes: what goes with it, thing by thing, and its name to be written.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::Stack;

use super::this;
use crate::check::Check;
use crate::route::{Of, Route};
use crate::web::actions::{act, bundle};
use crate::web::js;
use crate::web::nav::nav;
use crate::web::parts::Dialog;
use crate::words;

#[component]
pub(super) fn DeleteDialog() -> impl IntoView {
    let this = this();
    let open = this.deleting;
    let title =
        Signal::derive(move || this.stack.with(|stack| stack.as_ref().map(|stack| format!("Delete {}?", stack.name)).unwrap_or_default()));
    // The stack as it was when the question was asked: what is being written must not go when the stack changes.
    view! { <Dialog open title>{this.stack.get_untracked().map(|stack| view! { <Question open stack/> })}</Dialog> }
}

/// The networks and volumes of the version that runs, or of the newest one.
fn own_things(stack: &Stack) -> RwSignal<Check> {
    let this = this();
    let found = RwSignal::new(Check::default());
    let number = stack.current_version.unwrap_or(stack.latest_version);
    let project = stack.project.clone();
    if let Some(version) = untrack(|| this.version(number)) {
        spawn_local(async move {
            let Ok(bundle) = bundle(&version.digest).await else { return };
            if let Ok(told) = js::check(Of::Stack, &bundle, &project).await {
                let _ = found.try_set(told);
            }
        });
    }
    found
}

#[component]
fn Question(open: RwSignal<bool>, stack: Stack) -> impl IntoView {
    let this = this();
    let (act, nav) = (act(), nav());
    let found = own_things(&stack);
    let volumes = RwSignal::new(false);
    let written = RwSignal::new(String::new());
    let name = stack.name.clone();
    let fits = {
        let name = name.clone();
        Memo::new(move |_| written.with(|written| *written == name))
    };
    let containers = move || {
        this.detail
            .get()
            .map(|detail| detail.containers.iter().map(|container| container.name.clone()).collect::<Vec<_>>())
            .unwrap_or_default()
    };
    let list = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let id = stack.id;
    let go = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if fits.get_untracked() {
            act.delete(id, volumes.get_untracked(), move |command| {
                open.set(false);
                nav.go(Route::Command(command.seq.to_string()));
            });
        }
    };
    view! {
        <form class="body" on:submit=go>
            <p>"What goes:"</p>
            <ul class="goes">
                <li><span class="verb del">"containers"</span><span>{move || list(containers())}</span></li>
                <li><span class="verb del">"networks"</span><span>{move || list(found.with(|found| found.networks.clone()))}</span></li>
                <li>
                    <span class=move || if volumes.get() { "verb del" } else { "verb keep" }>"volumes"</span>
                    <span>{move || list(found.with(|found| found.volumes.clone()))} <span class="quiet">{(stack.latest_version > 1).then_some(" and those of other versions")}{move || if volumes.get() { "" } else { " · kept" }}</span></span>
                </li>
                <li>
                    <span class=move || if volumes.get() { "verb del" } else { "verb keep" }>"folder"</span>
                    <span>"the stack's own files on the host" <span class="quiet">{move || if volumes.get() { "" } else { " · kept" }}</span></span>
                </li>
            </ul>
            <p class="quiet">{words::plural(stack.latest_version as usize, "version", "versions")} " and what happened stay in the audit. Images stay on the host."</p>
            <label class="check"><input type="checkbox" bind:checked=volumes/><span>"The volumes and the folder go too. "<b>"Their data cannot be brought back."</b></span></label>
            <div class="field">
                <label for="delete-name">"Write its name to go on: "<b>{name.clone()}</b></label>
                <input class="input" id="delete-name" bind:value=written autocomplete="off" autocapitalize="none" spellcheck="false" autofocus/>
            </div>
            <div class="row">
                <button class="btn bad full" disabled=move || !fits.get() || act.busy.get()>{move || if volumes.get() { "Delete it and its data" } else { "Delete it" }}</button>
                <button class="btn" type="button" on:click=move |_| open.set(false)>"Keep it"</button>
            </div>
        </form>
    }
}
