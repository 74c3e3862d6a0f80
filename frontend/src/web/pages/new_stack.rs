//! A new stack: from an example, by writing it, or from files that are dropped. The draft survives a reload.

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::{Bundle, FileContent};

use super::line::{NewOne, Write};
use crate::draft::Draft;
use crate::route::{Of, Route};
use crate::web::examples::{Example, begin_with, examples};
use crate::web::js;
use crate::web::nav::nav;
use crate::web::parts::{PageHead, open_archives};
use crate::web::toasts::toasts;
use crate::words;

const FIRST_LINES: &str = "services:\n  web:\n    image: \n    ports:\n      - \"8080:80\"\n";

#[component]
pub(crate) fn NewStackPage() -> impl IntoView {
    let new = NewOne::take_up(Of::Stack, Draft::of(0, Bundle::default()));
    let NewOne { draft, name, .. } = new;
    let begun = Memo::new(move |_| draft.with(|draft| !draft.bundle().files.is_empty()));
    let over_again = move |_| new.over_again(Draft::of(0, Bundle::default()));
    view! {
        <PageHead title="New stack">
            {move || begun.get().then(|| view! { <div class="push"><button class="btn" on:click=over_again>"Start over"</button></div> })}
        </PageHead>
        {move || if begun.get() { view! { <Write new/> }.into_any() } else { view! { <Begin draft name/> }.into_any() }}
    }
}

/// Files that are still being read.
type Incoming = std::pin::Pin<Box<dyn Future<Output = Result<Vec<(String, Vec<u8>)>, String>>>>;

/// Three ways to begin.
#[component]
fn Begin(draft: RwSignal<Draft>, name: RwSignal<String>) -> impl IntoView {
    let toasts = toasts();
    let list = examples();
    let over = RwSignal::new(false);
    let take = move |files: Vec<(String, FileContent)>| {
        let mut fresh = Draft::of(0, Bundle::default());
        match fresh.take(files) {
            Ok(()) => draft.set(fresh),
            Err(why) => toasts.bad(why),
        }
    };
    let incoming = move |files: Incoming| {
        spawn_local(async move {
            let opened = match files.await {
                Ok(files) => open_archives(files).await,
                Err(why) => Err(why),
            };
            match opened {
                Ok(files) => take(files),
                Err(why) => toasts.bad(why),
            }
        });
    };
    let use_example = Callback::new(move |example: Example| {
        name.set(example.name.clone());
        take(example.bundle().files.into_iter().collect());
    });
    let files = NodeRef::<html::Input>::new();
    let folder = NodeRef::<html::Input>::new();
    // The attribute that makes a chooser take a whole folder is in no standard; every browser has it.
    Effect::new(move || {
        if let Some(input) = folder.get() {
            let _ = input.set_attribute("webkitdirectory", "");
        }
    });
    let chosen = move |input: NodeRef<html::Input>| {
        if let Some(input) = input.get_untracked() {
            incoming(Box::pin(js::files_of_input(&input)));
        }
    };
    let click = move |input: NodeRef<html::Input>| {
        if let Some(input) = input.get_untracked() {
            input.click();
        }
    };
    let dropped = move |event: web_sys::DragEvent| {
        event.prevent_default();
        over.set(false);
        incoming(Box::pin(js::files_of_drop(&event)));
    };
    view! {
        <div class="pile">
            <h2>"From an example"</h2>
            <ExampleCards list use_example/>
            <h2>"From your own files"</h2>
            <div class="drop" class:over=move || over.get() on:dragover=move |event: web_sys::DragEvent| { event.prevent_default(); over.set(true); }
                on:dragleave=move |_| over.set(false) on:drop=dropped>
                <p>"Drop a compose.yaml, a folder or an archive (tar, tar.gz, zip) here, or"</p>
                <div class="row">
                    <button class="btn" on:click=move |_| click(files)>"Choose files"</button>
                    <button class="btn" on:click=move |_| click(folder)>"Choose a folder"</button>
                    <button class="btn" on:click=move |_| take(vec![("compose.yaml".into(), FileContent::text(FIRST_LINES))])>"Write it here"</button>
                </div>
                <input type="file" multiple hidden node_ref=files aria-label="Files" on:change=move |_| chosen(files)/>
                <input type="file" hidden node_ref=folder aria-label="Folder" on:change=move |_| chosen(folder)/>
            </div>
        </div>
    }
}

#[component]
fn ExampleCards(list: RwSignal<Option<Vec<Example>>>, use_example: Callback<Example>) -> impl IntoView {
    let card = move |example: Example| {
        let chosen = example.clone();
        view! {
            <button class="example" type="button" on:click=move |_| use_example.run(chosen.clone())>
                <b>{example.title.clone()}</b>
                <span>{words::sentences(&example.summary.replace('`', ""), 190)}</span>
                <span class="files">{words::plural(example.files.len(), "file", "files")}</span>
            </button>
        }
    };
    view! { <div class="examples">{move || list.get().unwrap_or_default().into_iter().map(card).collect_view()}</div> }
}

/// The same examples on the page that has no stack yet.
#[component]
pub(crate) fn ExampleLinks() -> impl IntoView {
    let nav = nav();
    let list = examples();
    let begin = Callback::new(move |example: Example| {
        begin_with(Of::Stack, example.bundle(), &example.name);
        nav.go(Route::NewStack);
    });
    view! { <ExampleCards list use_example=begin/> }
}
