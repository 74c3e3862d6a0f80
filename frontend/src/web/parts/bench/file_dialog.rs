//! A path for a new file, or another one for a file that is there.

use leptos::prelude::*;

use super::BenchState;
use crate::web::parts::Dialog;

/// What a path is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Add,
    Rename(String),
}

#[component]
pub(super) fn FileDialog(state: BenchState, asked: RwSignal<Option<Asked>>) -> impl IntoView {
    let open = RwSignal::new(false);
    Effect::new(move || open.set(asked.with(Option::is_some)));
    Effect::new(move || {
        if !open.get() && asked.with_untracked(Option::is_some) {
            asked.set(None);
        }
    });
    let title = Signal::derive(move || match asked.get() {
        Some(Asked::Rename(path)) => format!("Rename {path}"),
        Some(Asked::Add) | None => "New file".into(),
    });
    view! { <Dialog open title><PathForm state asked/></Dialog> }
}

#[component]
fn PathForm(state: BenchState, asked: RwSignal<Option<Asked>>) -> impl IntoView {
    let before = match asked.get_untracked() {
        Some(Asked::Rename(path)) => path,
        Some(Asked::Add) | None => String::new(),
    };
    let path = RwSignal::new(before.clone());
    let wrong = RwSignal::new(String::new());
    let save = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let wanted = path.get_untracked().trim().to_owned();
        let mut outcome = Ok(());
        state.change(|draft| {
            outcome = match asked.get_untracked() {
                Some(Asked::Rename(from)) => draft.rename(&from, &wanted),
                Some(Asked::Add) | None => draft.add(&wanted),
            };
        });
        match outcome {
            Ok(()) => {
                state.selected.set(wanted);
                asked.set(None);
            }
            Err(why) => wrong.set(why),
        }
    };
    view! {
        <form class="body" on:submit=save>
            <div class="field">
                <label for="file-path">"Path within the bundle"</label>
                <input class="input mono" id="file-path" bind:value=path autofocus spellcheck="false" autocapitalize="none" autocomplete="off" placeholder="conf/nginx.conf"
                    aria-describedby="file-wrong"/>
                <span class="wrong" id="file-wrong" role="alert">{move || wrong.get()}</span>
            </div>
            <div class="row"><button class="btn main">{if before.is_empty() { "Add" } else { "Rename" }}</button></div>
        </form>
    }
}
