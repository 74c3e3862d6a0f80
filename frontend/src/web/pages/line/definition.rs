//! The definition: every file of the newest version as a draft, checked as one types, saved as the next version. A
//! draft survives a reload; when somebody else saves first, the person is told what the other one changed.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::{NewVersion, Version};
use orrery_contracts::{Bundle, Code, Status as CommandStatus};

use super::{Line, line};
use crate::diff::{FileChange, bundles};
use crate::draft::Draft;
use crate::route::{Of, Tab};
use crate::web::actions::{bundle, ended, save_version};
use crate::web::live::live;
use crate::web::nav::nav;
use crate::web::parts::{Bench, BenchState, DryPlan, FaultNote, FileDiffs, MachineForm, Question, Sides, Waiting};
use crate::web::toasts::toasts;
use crate::web::{http::Fault, storage};
use crate::words;

/// What the tab begins with.
type Begin = (Draft, String);

#[component]
pub(crate) fn Definition() -> impl IntoView {
    let line = line();
    let begin = RwSignal::new(None::<Begin>);
    let fault = RwSignal::new(None::<Fault>);
    let fetch = move || {
        let Some(latest) = untrack(|| newest(line)) else { return };
        spawn_local(async move {
            match take_up(line, latest).await {
                Ok(found) => {
                    let _ = begin.try_set(Some(found));
                    let _ = fault.try_set(None);
                }
                Err(why) => {
                    let _ = fault.try_set(Some(why));
                }
            }
        });
    };
    // Once: what is being written is not replaced by what others save.
    let there = Memo::new(move |_| newest(line).is_some());
    Effect::new(move || {
        if there.get() && begin.with_untracked(Option::is_none) {
            fetch();
        }
    });
    view! {
        <FaultNote fault again=move |()| fetch()/>
        {move || match (begin.get(), fault.with(Option::is_some)) {
            (Some(begin), _) => view! { <Desk begin/> }.into_any(),
            (None, true) => ().into_any(),
            (None, false) => view! { <div class="card"><Waiting/></div> }.into_any(),
        }}
    }
}

fn newest(line: Line) -> Option<Version> {
    line.versions.value.with(|list| list.as_ref().and_then(|list| list.items.iter().max_by_key(|version| version.version).cloned()))
}

fn key(line: Line) -> String {
    storage::draft_key(&untrack(|| line.id()).unwrap_or_else(|| line.key.get_value()))
}

/// The stored draft over the version that it grew from, else the newest version.
async fn take_up(line: Line, latest: Version) -> Result<Begin, Fault> {
    if let Some(stored) = storage::read(&key(line)) {
        let grown_from = Draft::stored_base(&stored).and_then(|number| untrack(|| line.version(number)));
        if let Some(version) = grown_from {
            let base = bundle(&version.digest).await?;
            if let Some(begin) = Draft::restore(version.version, base, &stored) {
                return Ok(begin);
            }
        }
    }
    Ok((Draft::of(latest.version, bundle(&latest.digest).await?), String::new()))
}

/// The bench over the stack's files, and the bar that saves.
#[component]
fn Desk(begin: Begin) -> impl IntoView {
    let line = line();
    let (draft, comment) = (RwSignal::new(begin.0), RwSignal::new(begin.1));
    let state =
        BenchState::new(draft, line.of, move || line.head.with(|head| head.as_ref().map(|head| head.project.clone()).unwrap_or_default()));
    let changes = Memo::new(move |_| draft.with(Draft::changes));
    let kept = RwSignal::new(true);
    let place = key(line);
    Effect::new(move || {
        let text = draft.with(|draft| comment.with(|comment| draft.store(comment)));
        kept.set(storage::write(&place, text.as_deref()));
        let _ = line.unsaved.try_set(changes.get());
    });
    view! {
        <div class="pile">
            <Behind state/>
            {(line.of == Of::Machine).then(|| view! { <MachineForm state/> })}
            <Bench state><SaveBar state comment changes kept/></Bench>
        </div>
    }
}

/// Somebody saved since this draft began: what they changed, and the ways on.
#[component]
fn Behind(state: BenchState) -> impl IntoView {
    let line = line();
    let toasts = toasts();
    let theirs = RwSignal::new(None::<(Version, Bundle, Vec<FileChange>)>);
    let newer = Memo::new(move |_| newest(line).filter(|version| state.draft.with(|draft| version.version > draft.base_version)));
    Effect::new(move || {
        let Some(version) = newer.get() else { return theirs.set(None) };
        spawn_local(async move {
            if let Ok(bundle) = bundle(&version.digest).await {
                let Some(changed) = state.draft.try_with_untracked(|draft| bundles(draft.base(), &bundle)) else { return };
                let _ = theirs.try_set(Some((version, bundle, changed)));
            }
        });
    });
    let rebase = move |_| {
        let Some((version, bundle, _)) = theirs.get_untracked() else { return };
        let mut both = vec![];
        state.change(|draft| {
            let moved = draft.rebase(version.version, bundle);
            *draft = moved.0;
            both = moved.1;
        });
        if both.is_empty() {
            toasts.good(format!("Your changes are now over v{}.", version.version));
        } else {
            toasts.bad(format!("Both changed {}: your text stands; compare it under “Changes”.", both.join(", ")));
        }
    };
    let discard = move |_| {
        if let Some((version, bundle, _)) = theirs.get_untracked() {
            state.change(|draft| *draft = Draft::of(version.version, bundle));
        }
    };
    move || {
        theirs.get().map(|(version, _, changed)| {
            let mine = state.draft.with_untracked(Draft::changes) > 0;
            let base = state.draft.with_untracked(|draft| draft.base_version);
            view! {
                <section class="card" aria-label="Saved by somebody else">
                    <header>
                        <span class="st warn">{version.author.clone()} " saved v" {version.version} " since you began at v" {base}</span>
                        <span class="quiet">{version.comment.clone()}</span>
                        <span class="push">
                            {mine.then(|| view! { <button class="btn small" on:click=rebase>"Put my changes over it"</button> })}
                            <button class="btn small" on:click=discard>{if mine { "Drop mine, take theirs" } else { "Take it" }}</button>
                        </span>
                    </header>
                    <details class="pad"><summary class="linkish">"What they changed"</summary><FileDiffs files=Signal::stored(changed) sides=Signal::stored(Sides::Unified)/></details>
                </section>
            }
        })
    }
}

#[component]
fn SaveBar(state: BenchState, comment: RwSignal<String>, changes: Memo<usize>, kept: RwSignal<bool>) -> impl IntoView {
    let line = line();
    let (live, nav, toasts) = (live(), nav(), toasts());
    let busy = RwSignal::new(false);
    let blocking = move || state.found.with(|found| found.blocking());
    let save = move || {
        let Some(id) = untrack(|| line.id()).filter(|_| !busy.get_untracked() && changes.get_untracked() > 0) else {
            return;
        };
        busy.set(true);
        let (seen, files) = state.draft.with_untracked(|draft| (draft.base_version, draft.bundle().clone()));
        let note = comment.get_untracked();
        spawn_local(async move {
            let saved = match save_version(line.of, &id, seen, files.clone(), note).await {
                Ok(command) => ended(live, command).await,
                Err(fault) => Err(fault),
            };
            let _ = busy.try_set(false);
            match saved {
                Ok(command) if command.status == CommandStatus::Done => {
                    let number = command.version.unwrap_or(seen + 1);
                    state.change(|draft| *draft = Draft::of(number, files));
                    comment.set(String::new());
                    line.versions.again();
                    line.again.try_run(());
                    toasts.good(format!("v{number} is saved."));
                    nav.go(line.of.route(line.key.get_value(), Tab::Plan(number)));
                }
                Ok(command) => toasts.bad(words::command_reason(&command).unwrap_or_else(|| "The version was not saved.".into())),
                Err(fault) => {
                    if fault.code() == Some(Code::EditConflict) {
                        line.versions.again();
                    }
                    toasts.fault(&fault);
                }
            }
        });
    };
    let keys = window_event_listener(leptos::ev::keydown, move |event| {
        if (event.ctrl_key() || event.meta_key()) && event.key().eq_ignore_ascii_case("s") {
            event.prevent_default();
            save();
        }
    });
    on_cleanup(move || keys.remove());
    let discard = move |_| state.change(|draft| *draft = Draft::of(draft.base_version, draft.base().clone()));
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        save();
    };
    let question = move || {
        let path = format!("{}/plan", line.api());
        let bundle = Some(state.draft.with_untracked(|draft| draft.bundle().clone()));
        Some(Question { path, body: NewVersion { bundle, digest: None, comment: None } })
    };
    view! {
        <form class="savebar" on:submit=submit>
            {move || match changes.get() {
                0 => view! { <span class="quiet">"As saved in v" {move || state.draft.with(|draft| draft.base_version)}</span> }.into_any(),
                n => view! { <span class="tag warn">{words::plural(n, "change", "changes")} " not saved"</span> }.into_any(),
            }}
            {move || (!kept.get()).then(|| view! { <span class="warn-text">"Too large to survive a reload."</span> })}
            {move || { let n = blocking(); (n > 0).then(|| view! { <span class="st bad">{words::plural(n, "problem", "problems")}</span> }) }}
            <input class="input" aria-label="Note about this version" placeholder="What changes, in a few words" autocomplete="off" bind:value=comment/>
            <span class="row">
                {move || (changes.get() > 0).then(|| view! { <button class="btn" type="button" on:click=discard>"Discard"</button> {(line.of == Of::Stack).then(|| view! { <DryPlan question/> })} })}
                <button class="btn main" disabled=move || changes.get() == 0 || busy.get() aria-busy=move || busy.get().then_some("true")>
                    {move || if busy.get() { "Waits for its turn in the queue" } else { "Save, then see the plan" }}
                </button>
            </span>
        </form>
    }
}
