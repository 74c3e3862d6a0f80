//! A new stack: from an example, by writing it, or from files that are dropped. The draft survives a reload.

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::NewStack;
use orrery_contracts::{Bundle, FileContent, Name, Status as CommandStatus};

use crate::draft::Draft;
use crate::route::{Route, StackTab};
use crate::web::actions::{create_stack, ended};
use crate::web::examples::{Example, NEW, begin_with, examples};
use crate::web::live::live;
use crate::web::nav::nav;
use crate::web::parts::{Bench, BenchState, DryPlan, PageHead, Question, open_archives};
use crate::web::session::session;
use crate::web::toasts::toasts;
use crate::web::{js, storage};
use crate::words;

const FIRST_LINES: &str = "services:\n  web:\n    image: \n    ports:\n      - \"8080:80\"\n";

#[component]
pub(crate) fn NewStackPage() -> impl IntoView {
    let stored = storage::read(&storage::draft_key(NEW)).and_then(|stored| Draft::restore(0, Bundle::default(), &stored));
    let (draft, comment) = stored.unwrap_or_else(|| (Draft::of(0, Bundle::default()), String::new()));
    let draft = RwSignal::new(draft);
    let comment = RwSignal::new(comment);
    let name = RwSignal::new(storage::read(&storage::name_key()).unwrap_or_default());
    Effect::new(move || {
        storage::write(&storage::draft_key(NEW), draft.with(|draft| comment.with(|comment| draft.store(comment))).as_deref());
        storage::write(&storage::name_key(), name.with(|name| (!name.is_empty()).then(|| name.clone())).as_deref());
    });
    let begun = Memo::new(move |_| draft.with(|draft| !draft.bundle().files.is_empty()));
    let over_again = move |_| {
        draft.set(Draft::of(0, Bundle::default()));
        name.set(String::new());
        comment.set(String::new());
    };
    view! {
        <PageHead title="New stack">
            {move || begun.get().then(|| view! { <div class="push"><button class="btn" on:click=over_again>"Start over"</button></div> })}
        </PageHead>
        {move || if begun.get() { view! { <Write draft name comment/> }.into_any() } else { view! { <Begin draft name/> }.into_any() }}
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
        begin_with(example.bundle(), &example.name);
        nav.go(Route::NewStack);
    });
    view! { <ExampleCards list use_example=begin/> }
}

/// The files, a name, a note, and the way on.
#[component]
fn Write(draft: RwSignal<Draft>, name: RwSignal<String>, comment: RwSignal<String>) -> impl IntoView {
    let state = BenchState::new(draft, move || name.get());
    let (live, nav, toasts, me) = (live(), nav(), toasts(), session().name());
    let busy = RwSignal::new(false);
    let asked = RwSignal::new(false);
    let wrong = Memo::new(move |_| {
        let name = name.get();
        let taken = live.known.with(|known| known.stacks.values().any(|stack| stack.name == name && stack.owner == me));
        match name.parse::<Name>() {
            Err(_) if name.is_empty() => Some("Give it a name.".to_owned()),
            Err(_) => Some("Use 1 to 63 lower-case letters, digits, “-” and “_”, starting with a letter or digit.".to_owned()),
            Ok(_) if taken => Some(format!("You have a stack {name} already.")),
            Ok(_) => None,
        }
    });
    let create = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        asked.set(true);
        if wrong.with_untracked(Option::is_some) {
            return js::focus("stack-name");
        }
        busy.set(true);
        let (bundle, name, comment) = (draft.with_untracked(|draft| draft.bundle().clone()), name.get_untracked(), comment.get_untracked());
        spawn_local(async move {
            let made = match create_stack(name.clone(), bundle, comment).await {
                Ok(command) => {
                    toasts.accepted(&command);
                    if let Some(id) = command.stack_id.filter(|_| live.waits_behind_another(command.seq)) {
                        // It is addressable already; the draft stays until it is made.
                        let _ = busy.try_set(false);
                        return nav.go(Route::Stack(id.to_string(), StackTab::Overview));
                    }
                    ended(live, command).await
                }
                Err(fault) => Err(fault),
            };
            let _ = busy.try_set(false);
            match made {
                Ok(command) if command.status == CommandStatus::Done => {
                    storage::write(&storage::draft_key(NEW), None);
                    storage::write(&storage::name_key(), None);
                    let id = command.stack_id.map_or(name, |id| id.to_string());
                    nav.go(Route::Stack(id, StackTab::Plan(1)));
                }
                Ok(command) => toasts.bad(words::command_reason(&command).unwrap_or_else(|| "The stack was not made.".into())),
                Err(fault) => toasts.fault(&fault),
            }
        });
    };
    let question = move || {
        asked.set(true);
        let name = name.get_untracked();
        let bundle = Some(draft.with_untracked(|draft| draft.bundle().clone()));
        wrong
            .with_untracked(Option::is_none)
            .then(|| Question { path: "/plan".into(), body: NewStack { name, bundle, digest: None, comment: None } })
    };
    view! {
            <Bench state>
                <form class="savebar" on:submit=create>
                    <input class="input" id="stack-name" aria-label="Name of the stack" placeholder="Name of the stack" bind:value=name autocomplete="off" autocapitalize="none" spellcheck="false"
                        aria-invalid=move || (asked.get() && wrong.get().is_some()).then_some("true") aria-describedby="name-wrong"/>
                    <input class="input" aria-label="Note about version 1" placeholder="A note about version 1 (optional)" bind:value=comment autocomplete="off"/>
                    <span class="bad-text" id="name-wrong" role="alert">{move || wrong.get().filter(|_| asked.get() || !name.with(String::is_empty))}</span>
                    <span class="push row">
                        {move || { let n = state.found.with(|found| found.blocking()); (n > 0).then(|| view! { <span class="st bad">{words::plural(n, "problem", "problems")}</span> }) }}
                        <DryPlan question/>
                        <button class="btn main" aria-busy=move || busy.get().then_some("true") disabled=move || busy.get()>"Create, then see the plan"</button>
                    </span>
                </form>
            </Bench>
    }
}
