//! The open file: its text in the editor or what differs in it, and what can be done with it.

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};

use super::BenchState;
use super::file_dialog::{Asked, FileDialog};
use crate::diff;
use crate::draft::Mark;
use crate::web::js::{self, Editor};
use crate::web::parts::{DiffView, Sides};
use crate::words;

/// The line above the text.
#[component]
pub(super) fn Strip(state: BenchState) -> impl IntoView {
    let asked = RwSignal::new(None::<Asked>);
    let mark = Memo::new(move |_| {
        let path = state.selected.get();
        state.draft.with(|draft| draft.marks().into_iter().find(|(other, _)| *other == path).map(|(_, mark)| mark))
    });
    let rename = move |_| asked.set(Some(Asked::Rename(state.selected.get_untracked())));
    let remove = move |_| {
        let path = state.selected.get_untracked();
        state.change(|draft| draft.remove(&path));
    };
    let revert = move |_| {
        let path = state.selected.get_untracked();
        state.change(|draft| draft.revert(&path));
        state.diff.set(false);
        if state.draft.with_untracked(|draft| draft.bundle().files.contains_key(&path)) {
            state.selected.set(path);
        }
    };
    let there = move || !matches!(mark.get(), None | Some(Mark::Removed));
    let versioned = move || state.draft.with(|draft| draft.base_version > 0);
    view! {
        <div class="strip">
            <span class="mono clip">{move || state.selected.get()}</span>
            {move || mark.get().filter(|mark| *mark != Mark::Same && versioned()).map(|mark| view! { <span class="tag">{mark.word()}</span> })}
            <span class="push row">
                {move || versioned().then(|| view! {
                    <div class="segments small" role="group" aria-label="What is shown">
                        <button type="button" aria-pressed=move || if state.diff.get() { "false" } else { "true" } on:click=move |_| state.diff.set(false)>"Text"</button>
                        <button type="button" aria-pressed=move || if state.diff.get() { "true" } else { "false" } on:click=move |_| state.diff.set(true)>"Changes"</button>
                    </div>
                })}
                {move || there().then(|| view! {
                    <button class="btn small plain" type="button" on:click=rename>"Rename"</button>
                    <button class="btn small plain" type="button" on:click=remove>"Delete"</button>
                })}
                {move || (versioned() && mark.get().is_some_and(|mark| mark != Mark::Same)).then(|| view! { <button class="btn small plain" type="button" on:click=revert>"Revert"</button> })}
            </span>
            <FileDialog state asked/>
        </div>
    }
}

/// The text, or why there is none.
#[component]
pub(super) fn Paper(state: BenchState) -> impl IntoView {
    let shown = Memo::new(move |_| {
        state.turn.track();
        let path = state.selected.get();
        state.draft.with_untracked(|draft| draft.bundle().files.get(&path).map(|file| file.as_text().is_some()))
    });
    let changes = move || {
        state.turn.track();
        let path = state.selected.get();
        state.draft.with(|draft| diff::file(&path, draft.base().files.get(&path), draft.bundle().files.get(&path)))
    };
    let size = move || state.draft.with(|draft| draft.bundle().files.get(&state.selected.get()).map_or(0, |file| file.bytes.len() as u64));
    let text = move || !state.diff.get() && shown.get() == Some(true);
    view! {
        <TextPaper state visible=Signal::derive(text)/>
        {move || match (state.diff.get(), shown.get()) {
            (true, _) => { let file = changes(); view! { <DiffView name=file.path rows=file.rows sides=Signal::stored(Sides::Unified)/> }.into_any() }
            (false, Some(true)) => ().into_any(),
            (false, Some(false)) => view! { <div class="paper"><div class="binary"><p>"Not a text."</p><p class="faint num">{move || words::bytes(size())}</p></div></div> }.into_any(),
            (false, None) => view! { <div class="paper"><div class="binary"><p>"No file is open. Add one, upload some, or drop them here."</p></div></div> }.into_any(),
        }}
    }
}

/// The editor, kept while files come and go.
#[component]
fn TextPaper(state: BenchState, visible: Signal<bool>) -> impl IntoView {
    let host = NodeRef::<html::Div>::new();
    let editor = StoredValue::new_local(None::<Editor>);
    let ready = RwSignal::new(false);
    let failed = RwSignal::new(None::<String>);
    let changed = Closure::<dyn Fn(String)>::new(move |text: String| {
        if let Some(path) = state.selected.try_get_untracked() {
            let _ = state.draft.try_update(|draft| draft.write(&path, &text));
        }
    });
    let changed: JsValue = changed.into_js_value();
    Effect::new(move || {
        let Some(element) = host.get() else { return };
        let changed = changed.clone();
        spawn_local(async move {
            let element: web_sys::HtmlElement = element.unchecked_into();
            match js::open_editor(&element, "", "", "Editor", &changed).await {
                Ok(opened) => {
                    if editor.try_set_value(Some(opened.clone())).is_some() {
                        opened.close();
                    }
                    let _ = ready.try_set(true);
                }
                Err(why) => {
                    let _ = failed.try_set(Some(why));
                }
            }
        });
    });
    let with = move |act: &dyn Fn(&Editor)| {
        if let Some(Some(editor)) = editor.try_get_value() {
            act(&editor);
        }
    };
    Effect::new(move || {
        state.turn.track();
        let path = state.selected.get();
        if ready.get() {
            let text = state.draft.with_untracked(|draft| draft.text(&path).unwrap_or_default().to_owned());
            with(&|editor| editor.show(&text, &path, &format!("Text of {path}"), false));
        }
    });
    Effect::new(move || {
        state.turn.track();
        let json = state.found.with(|found| found.for_editor(&state.selected.get()));
        if ready.get() {
            with(&|editor| editor.problems(&json));
        }
    });
    Effect::new(move || {
        if let Some((line, column)) = state.go_to.get().filter(|_| ready.get()) {
            with(&|editor| editor.go_to(line, column));
        }
    });
    on_cleanup(move || with(&Editor::close));
    view! {
        <div class="paper" hidden=move || !visible.get()>
            <div class="editor" node_ref=host></div>
            {move || failed.get().map(|why| view! { <p class="pad bad-text" role="alert">{why}</p> })}
        </div>
    }
}
