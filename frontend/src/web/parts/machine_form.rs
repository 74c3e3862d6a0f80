//! The form of a machine: the fields that most machines need, shown from the definition's text and written into it. The text is
//! the only state; what the form does not show stays as it is.

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::{List, MachineBox};

use super::BenchState;
use crate::check::{Field, definition_file};
use crate::web::js;
use crate::web::load::load;
use crate::web::toasts::toasts;

#[component]
pub(crate) fn MachineForm(state: BenchState) -> impl IntoView {
    let boxes = load::<List<MachineBox>>(|| Some("/boxes?limit=500".to_owned()));
    let names =
        move || boxes.value.with(|list| list.as_ref().map(|list| list.items.iter().map(|one| one.name.clone()).collect::<Vec<_>>()));
    let readable = Memo::new(move |_| state.found.with(|found| found.form.is_some()));
    let autostart = shown(state, Field::Autostart);
    let text = move |field, id, word, placeholder, help| view! { <TextField state field id word placeholder help/> };
    view! {
        <section class="card" aria-label="Form">
            <header><h2>"The machine"</h2><span class="quiet">"What you fill in here is written into machine.yaml below, and the other way round."</span></header>
            {move || (!readable.get()).then(|| view! { <p class="pad quiet">"The text cannot be read as it is; the form comes back when it can."</p> })}
            <fieldset class="pad form" disabled=move || !readable.get()>
                <legend class="seen-by-ear">"Fields of the machine"</legend>
                {text(Field::Box, "form-box", "Box", "debian-12", "A cloud image from the boxes.")}
                <datalist id="form-box-names">{move || names().unwrap_or_default().into_iter().map(|name| view! { <option value=name></option> }).collect_view()}</datalist>
                {text(Field::Cpus, "form-cpus", "Processors", "1", "")}
                {text(Field::Memory, "form-memory", "Memory", "512MiB", "With its unit: 512MiB, 2GiB.")}
                {text(Field::Disk, "form-disk", "Disk", "as large as the box", "With its unit: 20GiB.")}
                <NetworkField state/>
                {text(Field::User, "form-user", "User", "anna", "Made at the first boot.")}
                {text(Field::Key, "form-key", "Public key of SSH", "ssh-ed25519 AAAA… anna@example.com", "What the user logs in with.")}
                <label class="check"><input type="checkbox" prop:checked=move || autostart.with(|value| value == "true")
                    on:change=move |event| write(state, Field::Autostart, event_target_checked(&event).to_string(), || ())/>
                    <span>"Start it with the host"</span></label>
            </fieldset>
        </section>
    }
}

/// What the text says of a field; empty where it says nothing. It changes with this field alone: what is being written into
/// another one stays.
fn shown(state: BenchState, field: Field) -> Memo<String> {
    Memo::new(move |_| state.found.with(|found| found.form.as_ref().and_then(|form| form.get(&field).cloned()).unwrap_or_default()))
}

/// Writes a field into the text; where that cannot be, `back` is told.
fn write(state: BenchState, field: Field, value: String, back: impl FnOnce() + 'static) {
    let toasts = toasts();
    let file = state.draft.with_untracked(|draft| definition_file(draft.bundle()));
    let text = state.draft.with_untracked(|draft| draft.text(&file).unwrap_or_default().to_owned());
    spawn_local(async move {
        let filled = js::fill_machine(&text, field, &value).await;
        // Who has written on meanwhile is not overwritten.
        let same = state.draft.try_with_untracked(|draft| draft.text(&file) == Some(text.as_str())).unwrap_or(false);
        match filled {
            Ok(filled) if same => state.change(|draft| draft.write(&file, &filled)),
            Ok(_) => {}
            Err(why) => {
                toasts.bad(why);
                back();
            }
        }
    });
}

/// A field that was refused says again what the text says.
fn show_again(element: NodeRef<html::Input>, value: Memo<String>) {
    if let Some(element) = element.get_untracked() {
        element.set_value(&value.try_get_untracked().unwrap_or_default());
    }
}

#[component]
fn TextField(
    state: BenchState,
    field: Field,
    id: &'static str,
    word: &'static str,
    placeholder: &'static str,
    help: &'static str,
) -> impl IntoView {
    let help_id = format!("{id}-help");
    let value = shown(state, field);
    let element = NodeRef::<html::Input>::new();
    let set = move |event| {
        write(state, field, event_target_value(&event), move || show_again(element, value));
    };
    let list = (field == Field::Box).then_some("form-box-names");
    view! {
        <div class="field">
            <label for=id>{word}</label>
            <input node_ref=element class="input mono" id=id list=list placeholder=placeholder autocomplete="off" autocapitalize="none" spellcheck="false"
                aria-describedby=(!help.is_empty()).then(|| help_id.clone()) prop:value=value on:change=set/>
            {(!help.is_empty()).then(|| view! { <span class="help" id=help_id.clone()>{help}</span> })}
        </div>
    }
}

/// What the first interface is plugged into, and its name there.
#[component]
fn NetworkField(state: BenchState) -> impl IntoView {
    let kinds = [("nat", "NAT, the way out"), ("bridge", "A bridge of the host"), ("isolated", "Isolated"), ("user", "User mode")];
    let network = shown(state, Field::Network);
    let both = Memo::new(move |_| {
        network.with(|text| {
            let (kind, name) = text.split_once(' ').unwrap_or((text.as_str(), ""));
            (if kind.is_empty() { "nat".to_owned() } else { kind.to_owned() }, name.to_owned())
        })
    });
    let user = Memo::new(move |_| both.with(|(kind, _)| kind == "user"));
    let element = NodeRef::<html::Input>::new();
    let name_shown = Memo::new(move |_| both.with(|(_, name)| name.clone()));
    let usual = |kind: &str| match kind {
        "bridge" => "br0",
        "isolated" => "lab",
        _ => "default",
    };
    let set = move |kind: String, name: String| {
        let name = if name.trim().is_empty() { usual(&kind).to_owned() } else { name };
        let value = if kind == "user" { kind } else { format!("{kind} {name}") };
        write(state, Field::Network, value, move || show_again(element, name_shown));
    };
    view! {
        <div class="field">
            <label for="form-network">"Network"</label>
            <div class="row">
                <select class="select" id="form-network" on:change=move |event| set(event_target_value(&event), String::new())>
                    {kinds.into_iter().map(|(kind, word)| view! { <option value=kind prop:selected=move || both.with(|(now, _)| now == kind)>{word}</option> }).collect_view()}
                </select>
                {move || (!user.get()).then(|| view! {
                    <input node_ref=element class="input mono" aria-label="Name of the network" placeholder="default" autocomplete="off" autocapitalize="none" spellcheck="false" prop:value=name_shown
                        on:change=move |event| set(both.with_untracked(|(kind, _)| kind.clone()), event_target_value(&event))/>
                })}
            </div>
        </div>
    }
}
