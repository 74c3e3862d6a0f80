//! The bar on top: the mark, the way to everything, what the queue does now, whether this page is live, and the account.

use leptos::prelude::*;
use orrery_contracts::Status as CommandStatus;

use super::account::Account;
use crate::feed::Link;
use crate::progress::Progress;
use crate::route::Route;
use crate::web::live::live;
use crate::web::parts::{Mark, Status};
use crate::words::{self, Tone};

#[component]
pub(crate) fn Bar(palette: RwSignal<bool>) -> impl IntoView {
    view! {
        <header class="bar">
            <a class="skip" href="#main" on:click=|event| { event.prevent_default(); crate::web::js::focus("page-title"); }>"Skip to the page"</a>
            <a class="brand" href="/"><Mark/><span>"Orrery"</span></a>
            <button class="search" type="button" aria-keyshortcuts="Control+K" on:click=move |_| palette.set(true)>
                <svg width="14" height="14" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.6" aria-hidden="true"><circle cx="7" cy="7" r="4.5"/><path d="m10.5 10.5 3.5 3.5"/></svg>
                <span>"Find anything, do anything"</span>
                <kbd aria-hidden="true">"Ctrl K"</kbd>
            </button>
            <span class="push mid"></span>
            <QueueWord/>
            <LinkWord/>
            <Account/>
        </header>
    }
}

/// What the queue does now, in a word and a figure.
#[component]
fn QueueWord() -> impl IntoView {
    let live = live();
    let now = Memo::new(move |_| {
        live.known.with(|known| {
            let head = known.open().next().cloned();
            let waiting =
                live.queue.with(|queue| queue.as_ref().map_or(0, |queue| queue.waiting)).max(known.open().count().saturating_sub(1) as u64);
            (head, waiting)
        })
    });
    move || {
        let (head, waiting) = now.get();
        let behind = |waiting: u64| if waiting > 0 { format!("{} waiting", words::count(waiting)) } else { String::new() };
        let (tone, word, more, path) = match head {
            None => (Tone::Ok, "idle".to_owned(), "queue empty".to_owned(), Route::Queue.path()),
            Some(head) => {
                let path = Route::Command(head.seq.to_string()).path();
                match head.status {
                    CommandStatus::Failed => (Tone::Bad, "held".into(), behind(waiting), path),
                    CommandStatus::Pending | CommandStatus::Running | CommandStatus::Done | CommandStatus::Cancelled => {
                        let progress = Progress::of_command(&head);
                        let steps = (progress.total > 0).then(|| format!("{} of {}", progress.done, progress.total));
                        let more: Vec<String> = steps.into_iter().chain(Some(behind(waiting)).filter(|word| !word.is_empty())).collect();
                        (Tone::Wait, words::command_phrase(&head), more.join(" · "), path)
                    }
                }
            }
        };
        view! { <a class="link mid" href=path><span class="seen-by-ear">"Queue: "</span><Status tone=tone word=word/><span class="faint wide num">{more}</span></a> }
    }
}

/// Whether what is shown is current.
#[component]
fn LinkWord() -> impl IntoView {
    let live = live();
    let tone = Signal::derive(move || match live.link.get() {
        Link::Live => Tone::Ok,
        Link::Connecting => Tone::Wait,
        Link::Lost(n) if n < 3 => Tone::Wait,
        Link::Lost(_) => Tone::Bad,
    });
    let word = Signal::derive(move || match live.link.get() {
        Link::Live => "live".to_owned(),
        Link::Connecting => "connecting".to_owned(),
        Link::Lost(_) => "reconnecting".to_owned(),
    });
    let calm = move || if live.link.get() == Link::Live { "wide" } else { "" };
    view! { <span class=calm role="status"><Status tone word/></span> }
}
