//! The snapshots of a machine: kept under a name, gone back to, forgotten.

use leptos::prelude::*;
use orrery_contracts::command::SnapshotCreate;
use orrery_contracts::rest::Empty;

use super::this;
use crate::web::actions::act;
use crate::web::clock;
use crate::web::parts::{Dialog, Sure};

/// A snapshot as a row shows it.
type Kept = (String, String, orrery_contracts::Time, bool);

#[component]
pub(super) fn Snapshots() -> impl IntoView {
    let this = this();
    let list = Memo::new(move |_| {
        let kept = |machine: &orrery_contracts::rest::Machine| -> Vec<Kept> {
            let one = machine.snapshots.iter();
            one.map(|one| (one.name.clone(), one.description.clone(), one.created_at, one.running)).collect()
        };
        this.machine.with(|machine| machine.as_ref().map(kept).unwrap_or_default())
    });
    let there = Memo::new(move |_| this.machine.with(|machine| machine.as_ref().is_some_and(|machine| machine.state.is_some())));
    let asked = RwSignal::new(false);
    view! {
        <section class="card" aria-label="Snapshots">
            <header>
                <h2>"Snapshots"</h2>
                <span class="push"><button class="btn small" disabled=move || !there.get() on:click=move |_| asked.set(true)>"Take a snapshot"</button></span>
            </header>
            {move || if list.with(Vec::is_empty) {
                view! { <p class="pad quiet">"None. A snapshot keeps the machine as it is now, so that it can be had back as it was."</p> }.into_any()
            } else {
                view! {
                    <div class="scroll"><table class="cards">
                        <thead class="seen-by-ear"><tr><th>"Snapshot"</th><th>"What is in it"</th><th>"Made"</th><th>"Ways out"</th></tr></thead>
                        <tbody>{list.get().into_iter().rev().map(|kept| view! { <SnapshotRow kept/> }).collect_view()}</tbody>
                    </table></div>
                }.into_any()
            }}
            <Dialog open=asked title="Take a snapshot"><TakeForm open=asked/></Dialog>
        </section>
    }
}

#[component]
fn SnapshotRow(kept: Kept) -> impl IntoView {
    let this = this();
    let act = act();
    let (name, description, made, running) = kept;
    let (reverting, forgetting) = (RwSignal::new(false), RwSignal::new(false));
    let send = {
        let name = name.clone();
        move |verb: &'static str| {
            let path = format!("{}/snapshots/{}/{verb}", this.line.api(), crate::route::encode(&name));
            act.send(path, Empty {}, |_| {});
        }
    };
    let (revert, forget) = (send.clone(), send);
    view! {
        <tr>
            <td class="grow"><span class="name">{name.clone()}</span> " " <span class="quiet">{description}</span></td>
            <td class="quiet">{if running { "disks and memory" } else { "disks" }}</td>
            <td class="faint nowrap">{clock::ago(made)}</td>
            <td class="end">
                <button class="btn small" aria-label=format!("Revert to {name}") on:click=move |_| reverting.set(true)>"Revert"</button>
                " "
                <button class="btn small" aria-label=format!("Forget {name}") on:click=move |_| forgetting.set(true)>"Forget"</button>
                <Sure open=reverting title=format!("Revert to {name}?") what="The machine becomes what it was then. What was written to its disks since is lost." word="Revert it" go=move |()| revert("revert")/>
                <Sure open=forgetting title=format!("Forget {name}?") what="The machine stays as it is, and cannot be had back as it was then." word="Forget it" go=move |()| forget("delete")/>
            </td>
        </tr>
    }
}

#[component]
fn TakeForm(open: RwSignal<bool>) -> impl IntoView {
    let this = this();
    let act = act();
    let (name, description) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let take = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let description = Some(description.get_untracked()).filter(|text| !text.is_empty());
        act.send(format!("{}/snapshots", this.line.api()), SnapshotCreate { name: name.get_untracked(), description }, move |_| {
            let _ = open.try_set(false);
        });
    };
    view! {
        <form class="body" on:submit=take>
            <div class="field"><label for="snapshot-name">"Name"</label>
                <input class="input mono" id="snapshot-name" required autofocus bind:value=name pattern="[A-Za-z0-9][A-Za-z0-9._\\-]*" maxlength="63" title="Letters, digits, “-”, “_” and “.”, starting with a letter or digit" autocomplete="off" autocapitalize="none" spellcheck="false" placeholder="before-the-upgrade"/></div>
            <div class="field"><label for="snapshot-description">"What it is for"</label>
                <input class="input" id="snapshot-description" bind:value=description autocomplete="off"/></div>
            <div class="row"><button class="btn main" disabled=move || act.busy.get()>"Take it"</button></div>
        </form>
    }
}
