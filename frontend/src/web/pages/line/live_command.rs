//! A command that converges a stack or machine: its plan and steps while it runs, and the way on when it has ended.

use leptos::prelude::*;
use orrery_contracts::Status as CommandStatus;
use orrery_contracts::rest::Command;

use super::{Line, line};
use crate::route::Tab;
use crate::web::live::live;
use crate::web::load::load;
use crate::web::pages::command::{CommandBody, follow};
use crate::web::parts::{CommandButtons, CommandWord, Waiting};
use crate::words;

/// The command whose steps are shown in place of a plan: the one that converges this line now, or did last while it was looked at.
pub(crate) fn followed(line: Line) -> RwSignal<Option<u64>> {
    let live = live();
    let running = Memo::new(move |_| line.head.with(|head| head.as_ref().and_then(|head| head.command)));
    let converging = Memo::new(move |_| {
        let command = live.command(running.get()?)?;
        let kind = command.r#type.as_deref().and_then(|kind| kind.rsplit('.').next());
        let converges = matches!(kind, Some("apply" | "rollback" | "deploy"));
        (converges && !command.status.has_ended()).then_some(command.seq)
    });
    let followed = RwSignal::new(None::<u64>);
    Effect::new(move || {
        if let Some(seq) = converging.get() {
            followed.set(Some(seq));
        }
    });
    followed
}

/// A command of this stack or machine while it runs, and as it ended.
#[component]
pub(crate) fn LiveCommand(seq: u64, #[prop(into)] on_leave: Callback<()>) -> impl IntoView {
    let live = live();
    let line = line();
    let loaded = load::<Command>(move || Some(format!("/commands/{seq}")));
    Effect::new(move || {
        if let Some(command) = loaded.get() {
            live.learn(command);
        }
    });
    let command = Memo::new(move |_| live.command(seq).or_else(|| loaded.get()));
    follow(command, loaded);
    let ended = Memo::new(move |_| command.with(|command| command.as_ref().is_some_and(|command| command.status.has_ended())));
    view! {
        <div class="pile">
            {move || command.get().map(|command| view! {
                <div class="row">
                    <h2>{words::command_phrase(&command)}</h2>
                    <CommandWord command=command.clone()/>
                    <span class="faint num">"number " {words::count(command.seq)}</span>
                    <span class="push row">{(command.status != CommandStatus::Failed).then(|| view! { <CommandButtons command/> })}</span>
                </div>
            })}
            {move || match command.get() {
                Some(command) => view! { <CommandBody command/> }.into_any(),
                None => view! { <div class="card"><Waiting/></div> }.into_any(),
            }}
            {move || ended.get().then(|| view! {
                <div class="row">
                    <a class="btn main" href=line.tab(Tab::Overview)>"See what runs"</a>
                    <button class="btn" on:click=move |_| on_leave.run(())>"Plan again"</button>
                </div>
            })}
        </div>
    }
}
