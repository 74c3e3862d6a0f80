//! One stack: its head with what can be done, its tabs, and what they share.

mod actions;
mod delete;
mod logs;
mod overview;
mod secrets;
mod services;

use std::time::Duration;

use leptos::prelude::*;
use orrery_contracts::rest::{Stack, StackDetail, Version};
use orrery_contracts::{Code, StackStatus};

use super::line::{Definition, Head, HistoryTab, Line, LineTabs, PlanTab, VersionsTab, tab_here};
use crate::route::{Of, Tab as Part};
use crate::web::live::live;
use crate::web::load::{Loaded, load};
use crate::web::parts::{FaultNote, PageHead, Status, Waiting};
use crate::words;

/// What the tabs of one stack share.
#[derive(Clone, Copy)]
pub(crate) struct This {
    pub(crate) line: Line,
    pub(crate) detail: Loaded<StackDetail>,
    pub(crate) stack: Memo<Option<Stack>>,
    /// Whether the question is open that is asked before it goes.
    pub(crate) deleting: RwSignal<bool>,
}

impl This {
    /// The address of another tab.
    pub(crate) fn tab(self, tab: Part) -> String {
        self.line.tab(tab)
    }

    pub(crate) fn version(self, number: u32) -> Option<Version> {
        self.line.version(number)
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
    let stack = Memo::new(move |_| {
        let detail = detail.value.with(|detail| detail.as_ref().map(|detail| detail.stack.clone()))?;
        Some(live.known.with(|known| known.stacks.get(&detail.id).cloned()).unwrap_or(detail))
    });
    let head = Memo::new(move |_| stack.with(|stack| stack.as_ref().map(head_of)));
    let again = Callback::new(move |()| detail.again());
    let moved = move || stack.with(|stack| stack.as_ref().map_or(0, |stack| live.versions_of(stack.id)));
    let this = This { line: Line::new(Of::Stack, id, head, again, moved), detail, stack, deleting: RwSignal::new(false) };
    keep_current(this);
    this
}

fn head_of(stack: &Stack) -> Head {
    Head {
        id: stack.id.to_string(),
        project: stack.project.clone(),
        current: stack.current_version,
        latest: stack.latest_version,
        command: stack.command,
    }
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
}

#[component]
pub(crate) fn StackPage(id: String) -> impl IntoView {
    let this = share(&id);
    provide_context(this);
    provide_context(this.line);
    let missing = Memo::new(move |_| this.detail.fault.with(|fault| fault.as_ref().and_then(|fault| fault.code()) == Some(Code::NotFound)));
    let there = Memo::new(move |_| this.stack.with(Option::is_some));
    let title =
        Signal::derive(move || this.stack.with(|stack| stack.as_ref().map_or_else(|| "Stack".to_owned(), |stack| stack.name.clone())));
    view! {
        {move || if missing.get() {
            view! { <Missing/> }.into_any()
        } else {
            view! {
                <PageHead title><HeadLine/></PageHead>
                <FaultNote fault=this.detail.fault again=move |()| this.detail.again()/>
                {move || if there.get() { view! { <LineTabs more=vec![("Logs", Part::Logs)]/><Tab/><delete::DeleteDialog/> }.into_any() } else { view! { <div class="card"><Waiting/></div> }.into_any() }}
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
fn HeadLine() -> impl IntoView {
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
fn Tab() -> impl IntoView {
    let tab = tab_here(this().line);
    move || match tab.get() {
        Part::Overview => view! { <overview::Overview/> }.into_any(),
        Part::Definition => view! { <Definition/> }.into_any(),
        Part::Plan(version) => view! { <PlanTab version/> }.into_any(),
        Part::Versions(pair) => view! { <VersionsTab pair/> }.into_any(),
        Part::Logs => view! { <logs::LogsTab/> }.into_any(),
        // Of machines alone; no address leads here.
        Part::Console | Part::Screen => ().into_any(),
        Part::History => view! { <HistoryTab/> }.into_any(),
    }
}
