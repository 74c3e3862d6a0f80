//! Short messages in the corner: what was accepted, what was refused. They go by themselves, errors later than others.

use std::time::Duration;

use leptos::prelude::*;
use orrery_contracts::rest::Command;

use super::http::Fault;
use crate::route::Route;
use crate::words;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Toast {
    id: u32,
    class: &'static str,
    text: String,
    link: Option<(String, &'static str)>,
}

#[derive(Clone, Copy)]
pub(crate) struct Toasts {
    list: RwSignal<Vec<Toast>>,
    next: StoredValue<u32>,
}

impl Toasts {
    fn push(self, class: &'static str, text: String, link: Option<(String, &'static str)>, seconds: u64) {
        let id = self.next.get_value();
        self.next.set_value(id.wrapping_add(1));
        self.list.update(|list| {
            list.push(Toast { id, class, text, link });
            let over = list.len().saturating_sub(4);
            list.drain(..over);
        });
        set_timeout(move || self.drop(id), Duration::from_secs(seconds));
    }

    fn drop(self, id: u32) {
        self.list.update(|list| list.retain(|toast| toast.id != id));
    }

    /// A command was accepted.
    pub(crate) fn accepted(self, command: &Command) {
        let text = format!("{} is on the queue, number {}.", words::command_phrase(command), words::count(command.seq));
        self.push("wait", text, Some((Route::Command(command.seq.to_string()).path(), "Watch it")), 6);
    }

    pub(crate) fn good(self, text: impl Into<String>) {
        self.push("ok", text.into(), None, 5);
    }

    /// Something was refused. What was given up says nothing, and neither does a session's end, which has a page of its own.
    pub(crate) fn fault(self, fault: &Fault) {
        if *fault != Fault::Aborted && fault.code() != Some(orrery_contracts::Code::Unauthenticated) {
            self.push("bad", fault.message(), None, 12);
        }
    }

    pub(crate) fn bad(self, text: impl Into<String>) {
        self.push("bad", text.into(), None, 12);
    }
}

pub(crate) fn provide_toasts() {
    provide_context(Toasts { list: RwSignal::new(vec![]), next: StoredValue::new(0) });
}

pub(crate) fn toasts() -> Toasts {
    expect_context()
}

/// The corner itself.
#[component]
pub(crate) fn ToastCorner() -> impl IntoView {
    let toasts = toasts();
    view! {
        <div class="toasts" role="status" aria-live="polite">
            <For each=move || toasts.list.get() key=|toast| toast.id let:toast>
                <div class=format!("toast {}", toast.class)>
                    <p>{toast.text.clone()} " " {toast.link.clone().map(|(path, word)| view! { <a href=path>{word}</a> })}</p>
                    <button class="btn small plain" aria-label="Close this message" on:click=move |_| toasts.drop(toast.id)>"×"</button>
                </div>
            </For>
        </div>
    }
}
