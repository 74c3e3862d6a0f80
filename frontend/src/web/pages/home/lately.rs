//! What went through the queue lately: of the second module.

use leptos::prelude::*;
use orrery_contracts::Status as CommandStatus;
use orrery_contracts::rest::Command;

use crate::route::Route;
use crate::web::clock;
use crate::web::live::live;
use crate::words;

#[component]
pub(crate) fn Lately() -> impl IntoView {
    let live = live();
    let ended = Memo::new(move |_| live.known.with(|known| known.ended().take(12).cloned().collect::<Vec<_>>()));
    view! {
        <section class="card">
            <header><h2>"Lately"</h2></header>
            {move || if ended.with(Vec::is_empty) {
                view! { <p class="pad quiet">"Nothing has gone through the queue yet."</p> }.into_any()
            } else {
                view! { <ol class="rail">{ended.get().into_iter().map(|command| view! { <LatelyItem command/> }).collect_view()}</ol> }.into_any()
            }}
        </section>
    }
}

#[component]
fn LatelyItem(command: Command) -> impl IntoView {
    let class = match command.status {
        CommandStatus::Done => "",
        CommandStatus::Cancelled | CommandStatus::Failed | CommandStatus::Pending | CommandStatus::Running => "bad",
    };
    let version = command.version.map(|version| format!(" v{version}")).unwrap_or_default();
    let subject = words::command_subject(&command);
    let subject = if subject.is_empty() { "unreadable message".to_owned() } else { subject };
    let took = command.started_at.zip(command.ended_at).map(|(from, to)| format!(" · {}", words::span(to.seconds_since(from))));
    let who = command.actor.clone().unwrap_or_else(|| format!("publisher {}", command.publisher));
    view! {
        <li class=class>
            <a href=Route::Command(command.seq.to_string()).path()>
                <div class="what"><b>{subject} {version}</b><span class="quiet">{words::command_deed(&command)}</span></div>
                <div class="faint num">{who} " · " {clock::ago(command.ended_at.unwrap_or(command.created_at))} {took}</div>
            </a>
        </li>
    }
}
