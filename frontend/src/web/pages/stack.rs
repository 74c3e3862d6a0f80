//! One stack: its head with what can be done, its tabs, and what they share.

mod actions;
mod definition;
mod delete;
mod history;
mod logs;
mod overview;
mod plan;
mod services;
mod versions;

use std::time::Duration;

use leptos::prelude::*;
use orrery_contracts::rest::{List, Stack, StackDetail, Version};
use orrery_contracts::{Code, StackStatus};

use crate::draft::Draft;
use crate::route::{Route, StackTab};
use crate::web::live::live;
use crate::web::load::{Loaded, load};
use crate::web::nav::nav;
use crate::web::parts::{FaultNote, PageHead, Status, Waiting};
use crate::web::storage;
use crate::words;

/// What the tabs of one stack share.
#[derive(Clone, Copy)]
pub(crate) struct This {
    /// The stack as the address names it.
    pub(crate) key: StoredValue<String>,
    pub(crate) detail: Loaded<StackDetail>,
    pub(crate) versions: Loaded<List<Version>>,
    pub(crate) stack: Memo<Option<Stack>>,
    /// Whether there is work on its definition that is not saved.
    pub(crate) unsaved: RwSignal<usize>,
    /// Whether the question is open that is asked before it goes.
    pub(crate) deleting: RwSignal<bool>,
}

impl This {
    /// The address of another tab.
    pub(crate) fn tab(self, tab: StackTab) -> String {
        Route::Stack(self.key.get_value(), tab).path()
    }

    pub(crate) fn version(self, number: u32) -> Option<Version> {
        self.versions.value.with(|list| list.as_ref().and_then(|list| list.items.iter().find(|version| version.version == number).cloned()))
    }
}

pub(crate) fn this() -> This {
    expect_context()
}

fn share(id: &str) -> This {
    let live = live();
    let coded = crate::route::encode(id);
    let detail_path = format!("/stacks/{coded}/status");
    let detail = load::<StackDetail>(move || Some(detail_path.clone()));
    let versions_path = format!("/stacks/{coded}/versions?limit=500");
    let versions = load::<List<Version>>(move || Some(versions_path.clone()));
    let stack = Memo::new(move |_| {
        let detail = detail.value.with(|detail| detail.as_ref().map(|detail| detail.stack.clone()))?;
        Some(live.known.with(|known| known.stacks.get(&detail.id).cloned()).unwrap_or(detail))
    });
    let unsaved = RwSignal::new(0);
    // The draft lies under the stack's id, whatever it was called in the address.
    let known = Memo::new(move |_| stack.with(|stack| stack.as_ref().map(|stack| stack.id.to_string())));
    Effect::new(move || {
        let stored = known.get().and_then(|id| storage::read(&storage::draft_key(&id)));
        if stored.is_some_and(|stored| Draft::stored_base(&stored).is_some()) && unsaved.get_untracked() == 0 {
            unsaved.set(1);
        }
    });
    let this = This { key: StoredValue::new(id.to_owned()), detail, versions, stack, unsaved, deleting: RwSignal::new(false) };
    keep_current(this);
    this
}

/// Loads again when events say that something of this stack has changed: at most once in a third of a second.
fn keep_current(this: This) {
    let live = live();
    let waiting = StoredValue::new(false);
    let soon = move || {
        if waiting.try_get_value() == Some(false) {
            waiting.set_value(true);
            set_timeout(
                move || {
                    if waiting.try_set_value(false).is_none() {
                        this.detail.again();
                    }
                },
                Duration::from_millis(300),
            );
        }
    };
    Effect::new(move |before: Option<Option<(u32, Option<Stack>)>>| {
        let now =
            this.stack.get().map(|stack| (live.containers_of(stack.id), live.known.with(|known| known.stacks.get(&stack.id).cloned())));
        if before.is_some_and(|before| before.is_some() && before != now) {
            soon();
        }
        now
    });
    Effect::new(move |before: Option<Option<(u32, u32)>>| {
        let now = this.stack.get().map(|stack| (live.versions_of(stack.id), stack.latest_version));
        if before.is_some_and(|before| before.is_some() && before != now) {
            this.versions.again();
        }
        now
    });
}

#[component]
pub(crate) fn StackPage(id: String) -> impl IntoView {
    let this = share(&id);
    provide_context(this);
    let missing = Memo::new(move |_| this.detail.fault.with(|fault| fault.as_ref().and_then(|fault| fault.code()) == Some(Code::NotFound)));
    let there = Memo::new(move |_| this.stack.with(Option::is_some));
    let title =
        Signal::derive(move || this.stack.with(|stack| stack.as_ref().map_or_else(|| "Stack".to_owned(), |stack| stack.name.clone())));
    view! {
        {move || if missing.get() {
            view! { <Missing/> }.into_any()
        } else {
            view! {
                <PageHead title><Head/></PageHead>
                <FaultNote fault=this.detail.fault again=move |()| this.detail.again()/>
                {move || if there.get() { view! { <Tabs/><Tab/><delete::DeleteDialog/> }.into_any() } else { view! { <div class="card"><Waiting/></div> }.into_any() }}
            }.into_any()
        }}
    }
}

#[component]
fn Missing() -> impl IntoView {
    view! {
        <PageHead title="No such stack"/>
        <div class="card empty"><p>"It was deleted, or it is not yours to see."</p><p><a href="/stacks">"All stacks"</a> " · " <a href="/queue">"What went through the queue"</a></p></div>
    }
}

/// The status, the versions that run and wait, and what can be done.
#[component]
fn Head() -> impl IntoView {
    let this = this();
    move || {
        this.stack.get().map(|stack| {
            let (tone, word) = words::stack_status(stack.status);
            let newer = stack.latest_version > 0 && stack.current_version.is_none_or(|current| current < stack.latest_version);
            let going_in = matches!(stack.status, StackStatus::Deploying);
            let latest = format!("v{} {}", stack.latest_version, if going_in { "going in" } else { "not applied" });
            view! {
                <Status tone=tone word=word/>
                {stack.current_version.map(|version| view! { <span class="tag brass">"v" {version} " runs"</span> })}
                {newer.then(|| view! { <span class="tag">{latest}</span> })}
                <span class="quiet wide">"owner " {stack.owner.clone()} " · host " {stack.host.clone()}</span>
                <div class="push"><actions::StackActions stack/></div>
            }
        })
    }
}

#[component]
fn Tabs() -> impl IntoView {
    let this = this();
    let nav = nav();
    let current = Memo::new(move |_| match nav.route.get() {
        Route::Stack(_, tab) => Some(tab),
        Route::Home | Route::Stacks | Route::NewStack | Route::Queue | Route::Command(_) | Route::Help | Route::Nowhere(_) => None,
    });
    let latest = move || this.stack.with(|stack| stack.as_ref().map_or(1, |stack| stack.latest_version.max(1)));
    let tab = move |word: &'static str, to: StackTab| {
        let here = {
            let to = to.clone();
            move || current.with(|current| current.as_ref().is_some_and(|current| current.same_tab(&to))).then_some("page")
        };
        view! { <a href=this.tab(to) aria-current=here>{word}</a> }
    };
    let plan_here = move || current.with(|current| matches!(current, Some(StackTab::Plan(_)))).then_some("page");
    let definition_here = move || current.with(|current| matches!(current, Some(StackTab::Definition))).then_some("page");
    view! {
        <nav class="tabs" aria-label="Parts of this stack">
            {tab("Overview", StackTab::Overview)}
            <a href=this.tab(StackTab::Definition) aria-current=definition_here>
                "Definition" {move || (this.unsaved.get() > 0).then(|| view! { <span class="tag warn">"draft"</span> })}
            </a>
            <a href=move || this.tab(StackTab::Plan(latest())) aria-current=plan_here>"Plan"</a>
            {tab("Versions", StackTab::Versions(None))}
            {tab("Logs", StackTab::Logs)}
            {tab("History", StackTab::History)}
        </nav>
    }
}

#[component]
fn Tab() -> impl IntoView {
    let nav = nav();
    let this = this();
    let tab = Memo::new(move |before: Option<&StackTab>| match nav.route.get() {
        Route::Stack(id, tab) if id == this.key.get_value() => tab,
        Route::Stack(..)
        | Route::Home
        | Route::Stacks
        | Route::NewStack
        | Route::Queue
        | Route::Command(_)
        | Route::Help
        | Route::Nowhere(_) => before.cloned().unwrap_or(StackTab::Overview),
    });
    move || match tab.get() {
        StackTab::Overview => view! { <overview::Overview/> }.into_any(),
        StackTab::Definition => view! { <definition::Definition/> }.into_any(),
        StackTab::Plan(version) => view! { <plan::PlanTab version/> }.into_any(),
        StackTab::Versions(pair) => view! { <versions::VersionsTab pair/> }.into_any(),
        StackTab::Logs => view! { <logs::LogsTab/> }.into_any(),
        StackTab::History => view! { <history::HistoryTab/> }.into_any(),
    }
}
