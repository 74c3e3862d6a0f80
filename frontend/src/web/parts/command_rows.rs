//! A command in a list: its name, its state, and what can be done about it.

use leptos::prelude::*;
use orrery_contracts::Status as CommandStatus;
use orrery_contracts::rest::Command;

use super::Status;
use crate::route::Route;
use crate::web::actions::act;
use crate::words;

/// `apply shop v4`, a link to what it did.
#[component]
pub(crate) fn CommandName(command: Command) -> impl IntoView {
    let path = Route::Command(command.seq.to_string()).path();
    let unreadable = command.r#type.is_none();
    view! {
        <a href=path>
            <span class="name" class:quiet=unreadable>{words::command_verb(&command).to_owned()}</span>
            " "
            {words::command_subject(&command)}
            {command.version.map(|version| view! { " " <span class="tag">"v" {version}</span> })}
        </a>
    }
}

/// Where it stands, in its shape.
#[component]
pub(crate) fn CommandWord(command: Command, #[prop(optional_no_strip)] before: Option<u64>) -> impl IntoView {
    let (tone, word) = words::command_state(&command, before);
    view! { <Status tone=tone word=word/> }
}

/// Through which door it came.
#[component]
pub(crate) fn Through(publisher: String) -> impl IntoView {
    let (tagged, word) = words::through(&publisher);
    if tagged { view! { <span class="tag brass">{word}</span> }.into_any() } else { view! { <span class="quiet">{word}</span> }.into_any() }
}

/// Retry and cancel, where they make sense.
#[component]
pub(crate) fn CommandButtons(command: Command) -> impl IntoView {
    let act = act();
    let seq = command.seq;
    let what = words::command_phrase(&command);
    let (retry, cancel) = match command.status {
        CommandStatus::Failed => (true, true),
        CommandStatus::Pending => (false, true),
        CommandStatus::Running => (false, !command.cancel_requested),
        CommandStatus::Done | CommandStatus::Cancelled => (false, false),
    };
    view! {
        {retry.then(|| view! {
            <button class="btn small" aria-label=format!("Retry {what}") disabled=move || act.busy.get() on:click=move |_| act.command(seq, "retry")>"Retry"</button>
            " "
        })}
        {cancel.then(|| view! {
            <button class="btn small" aria-label=format!("Cancel {what}") disabled=move || act.busy.get() on:click=move |_| act.command(seq, "cancel")>"Cancel"</button>
        })}
    }
}
