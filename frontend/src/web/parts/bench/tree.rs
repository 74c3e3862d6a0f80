//! The files of the draft, with what happened to each, and the ways in.

use leptos::html;
use leptos::prelude::*;

use super::BenchState;
use super::file_dialog::{Asked, FileDialog};
use crate::draft::Mark;
use crate::web::js;
use crate::words::plural;

#[component]
pub(super) fn Tree(state: BenchState) -> impl IntoView {
    let asked = RwSignal::new(None::<Asked>);
    let chooser = NodeRef::<html::Input>::new();
    let chosen = move |_| {
        if let Some(input) = chooser.get_untracked() {
            state.take(js::files_of_input(&input));
        }
    };
    let choose = move |_| {
        if let Some(input) = chooser.get_untracked() {
            input.set_value("");
            input.click();
        }
    };
    let marks = Memo::new(move |_| state.draft.with(|draft| draft.marks()));
    view! {
        <div class="tree">
            <ul aria-label="Files">
                <For each=move || marks.get() key=|entry| entry.clone() let((path, mark))><FileEntry state path mark/></For>
            </ul>
            <footer>
                <button class="btn small" type="button" on:click=move |_| asked.set(Some(Asked::Add))>"New file"</button>
                <button class="btn small" type="button" on:click=choose>"Upload"</button>
                <input type="file" multiple hidden node_ref=chooser on:change=chosen aria-label="Files to upload"/>
            </footer>
            <FileDialog state asked/>
        </div>
    }
}

#[component]
fn FileEntry(state: BenchState, path: String, mark: Mark) -> impl IntoView {
    let (sign, class) = mark.sign();
    let errors = {
        let path = path.clone();
        move || state.found.with(|found| found.problems.iter().filter(|problem| problem.file == path && problem.blocks).count())
    };
    let current = {
        let path = path.clone();
        move || if state.selected.with(|selected| *selected == path) { "true" } else { "false" }
    };
    let open = {
        let path = path.clone();
        move |_| {
            if mark == Mark::Removed {
                state.diff.set(true);
            }
            state.selected.set(path.clone());
        }
    };
    view! {
        <li>
            <button type="button" class="file" class:gone=mark == Mark::Removed aria-current=current title=path.clone() on:click=open>
                <span class="clip">{path.clone()}</span>
                {move || { let n = errors(); (n > 0).then(|| view! { <span class="st bad" role="img" aria-label=plural(n, "problem", "problems")></span> }) }}
                <span class=format!("sign {class}") aria-hidden="true">{sign}</span>
                <span class="seen-by-ear">{mark.word()}</span>
            </button>
        </li>
    }
}
