//! The secrets of a stack: which there are, who set them and when. A value goes in, and never comes out again.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::{Command, Empty, List};
use orrery_contracts::{NewSecret, REGISTRY_SECRET, Secret, Status as CommandStatus};

use super::this;
use crate::web::actions::{act, ended};
use crate::web::clock;
use crate::web::live::live;
use crate::web::load::{Loaded, load};
use crate::web::parts::{Dialog, FaultNote, Sure};
use crate::web::toasts::toasts;
use crate::words;

#[component]
pub(super) fn SecretsCard() -> impl IntoView {
    let this = this();
    let id = Memo::new(move |_| this.stack.with(|stack| stack.as_ref().map(|stack| stack.id)));
    let loaded = load::<List<Secret>>(move || id.get().map(|id| format!("/secrets/{id}")));
    // Whatever changed the stack may have changed them.
    let command = Memo::new(move |_| this.stack.with(|stack| stack.as_ref().and_then(|stack| stack.command)));
    Effect::new(move |first: Option<()>| {
        command.track();
        if first.is_some() {
            loaded.again();
        }
    });
    let (setting, going) = (RwSignal::new(None::<String>), RwSignal::new(None::<String>));
    view! {
        <section class="card" aria-label="Secrets">
            <header><h2>"Secrets"</h2><button class="btn small push" on:click=move |_| setting.set(Some(String::new()))>"Set a secret"</button></header>
            <FaultNote fault=loaded.fault again=move |()| loaded.again()/>
            {move || loaded.get().map(|list| if list.items.is_empty() {
                view! { <p class="pad quiet">"None. A password or a key that is set here is sealed as it arrives, opened in its container alone, and shown to nobody again."</p> }.into_any()
            } else {
                view! { <SecretTable secrets=list.items setting going/> }.into_any()
            })}
        </section>
        <SetForm setting loaded/>
        <ForgetQuestion going loaded/>
    }
}

#[component]
fn SecretTable(secrets: Vec<Secret>, setting: RwSignal<Option<String>>, going: RwSignal<Option<String>>) -> impl IntoView {
    let row = move |one: Secret| {
        let name = one.name.to_string();
        let [replaced, forgotten] = [name.clone(), name.clone()];
        view! {
            <tr>
                <td class="grow"><span class="name mono">{name.clone()}</span>{(name == REGISTRY_SECRET).then(|| view! { " " <span class="quiet">"how registries know this stack"</span> })}</td>
                <td><span class="tag">"v" {one.version}</span></td>
                <td class="faint nowrap">{one.author} " · " {clock::ago(one.set_at)}</td>
                <td class="end nowrap">
                    <button class="btn small" aria-label=format!("Replace secret {name}") on:click=move |_| setting.set(Some(replaced.clone()))>"Replace"</button> " "
                    <button class="btn small" aria-label=format!("Forget secret {name}") on:click=move |_| going.set(Some(forgotten.clone()))>"Forget"</button>
                </td>
            </tr>
        }
    };
    view! {
        <div class="scroll"><table class="cards">
            <thead><tr><th>"Secret"</th><th>"Version"</th><th>"Set"</th><th class="end"><span class="seen-by-ear">"What can be done"</span></th></tr></thead>
            <tbody>{secrets.into_iter().map(row).collect_view()}</tbody>
        </table></div>
    }
}

/// Tells how a command about a secret has ended, and loads the list again.
fn tell(loaded: Loaded<List<Secret>>, good: &'static str) -> impl Fn(Command) + Copy + 'static {
    let (live, toasts) = (live(), toasts());
    move |command| {
        spawn_local(async move {
            match ended(live, command).await {
                Ok(command) if command.status == CommandStatus::Done => toasts.good(good),
                Ok(command) => toasts.bad(words::command_reason(&command).unwrap_or_else(|| "The secret has not changed.".into())),
                Err(fault) => toasts.fault(&fault),
            }
            loaded.again();
        });
    }
}

/// A new secret, or another value for one; which one is in `setting`, and an empty name is a new one.
#[component]
fn SetForm(setting: RwSignal<Option<String>>, loaded: Loaded<List<Secret>>) -> impl IntoView {
    let (this, act) = (this(), act());
    let open = RwSignal::new(false);
    let [name, value] = std::array::from_fn(|_| RwSignal::new(String::new()));
    let replaces = RwSignal::new(false);
    Effect::new(move || {
        if let Some(wanted) = setting.get() {
            replaces.set(!wanted.is_empty());
            name.set(wanted);
            setting.set(None);
            open.set(true);
        }
    });
    // A value does not wait behind a closed dialog.
    Effect::new(move || {
        if !open.get() {
            value.set(String::new());
        }
    });
    let kept = tell(loaded, "The secret is sealed and kept; the next apply uses it.");
    let send = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some(stack) = this.stack.get_untracked() else { return };
        let path = format!("/secrets/{}/{}", stack.id, crate::route::encode(name.get_untracked().trim()));
        let new = NewSecret { value: Some(value.get_untracked()), base64: None };
        act.put(path, new, move |command| {
            let _ = open.try_set(false);
            kept(command);
        });
    };
    let title = Signal::derive(move || if replaces.get() { format!("Replace {}", name.get()) } else { "Set a secret".to_owned() });
    view! {
        <Dialog open title>
            <form class="body" on:submit=send>
                <div class="field" hidden=move || replaces.get()><label for="secret-name">"Name"</label>
                    <input class="input mono" id="secret-name" required bind:value=name autofocus autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="64" pattern="[A-Za-z0-9._\\-]+" title="Letters, digits, '.', '_' and '-'" placeholder="db-password"/></div>
                <div class="field"><label for="secret-value">"Value"</label>
                    <textarea class="input mono" id="secret-value" rows="4" required bind:value=value autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="secret-help"></textarea>
                    <span class="help" id="secret-help">"Taken as it is, line ends included. A definition has it as a file by " <code>"secrets: {" {move || shown(&name.get())} ": {external: true}}"</code> ", or in a variable by " <code>"NAME: secret://" {move || shown(&name.get())}</code> "."</span></div>
                <div class="row"><button class="btn main" disabled=move || act.busy.get() aria-busy=move || act.busy.get().then_some("true")>{move || if replaces.get() { "Replace it" } else { "Set it" }}</button></div>
            </form>
        </Dialog>
    }
}

/// The name in an example, before there is one.
fn shown(name: &str) -> String {
    let name = name.trim();
    if name.is_empty() { "name".to_owned() } else { name.to_owned() }
}

/// The question before a secret goes.
#[component]
fn ForgetQuestion(going: RwSignal<Option<String>>, loaded: Loaded<List<Secret>>) -> impl IntoView {
    let (this, act) = (this(), act());
    let (open, name) = (RwSignal::new(false), RwSignal::new(String::new()));
    Effect::new(move || {
        if let Some(wanted) = going.get() {
            name.set(wanted);
            going.set(None);
            open.set(true);
        }
    });
    let gone = tell(loaded, "The secret is forgotten.");
    let go = move |()| {
        let Some(stack) = this.stack.get_untracked() else { return };
        act.send(format!("/secrets/{}/{}/remove", stack.id, crate::route::encode(&name.get_untracked())), Empty {}, gone);
    };
    view! {
        <Sure open title=Signal::derive(move || format!("Forget secret {}?", name.get())) what="What runs goes on with the value that it has. A version that asks for this secret cannot be applied until it is set again." word="Forget it" go/>
    }
}
