//! The overview: what is being done, what runs, its shape, and the versions at the side.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::StackStatus;

use super::plan::worth_showing;
use super::services::{ServiceTable, rows, tones};
use super::versions::VersionRail;
use super::{This, this};
use crate::check::Check;
use crate::progress::Progress;
use crate::route::{Route, StackTab};
use crate::web::actions::bundle;
use crate::web::clock;
use crate::web::js;
use crate::web::live::live;
use crate::web::load::load;
use crate::web::pages::command::follow;
use crate::web::parts::{CommandButtons, CommandName, CommandWord, OrbitPicture, ProgressList};
use crate::words;

#[component]
pub(super) fn Overview() -> impl IntoView {
    let this = this();
    let found = definition(this);
    let services = Memo::new(move |_| {
        let containers = this.detail.value.with(|detail| detail.as_ref().map(|detail| detail.containers.clone()).unwrap_or_default());
        found.with(|found| rows(&found.services, &containers))
    });
    let bodies = Memo::new(move |_| found.with(|found| found.services.clone()));
    let tones = Memo::new(move |_| services.with(|services| tones(services)));
    let command = Memo::new(move |_| this.stack.with(|stack| stack.as_ref().and_then(|stack| stack.command)));
    view! {
        <div class="cols">
            <div class="pile">
                {move || command.get().map(|seq| view! { <Now seq/> })}
                <Next/>
                <ServiceTable rows=services/>
            </div>
            <aside class="pile" aria-label="Versions and shape">
                <VersionRail/>
                {move || (!bodies.with(Vec::is_empty)).then(|| view! {
                    <section class="card"><header><h2>"Shape"</h2></header><div class="pad"><OrbitPicture bodies tones/></div></section>
                })}
            </aside>
        </div>
    }
}

/// What the version that runs says, or the newest one where none runs: read by the executor's own code.
fn definition(this: This) -> RwSignal<Check> {
    let found = RwSignal::new(Check::default());
    let wanted = Memo::new(move |_| {
        let stack = this.stack.get()?;
        let number = stack.current_version.unwrap_or(stack.latest_version);
        this.version(number).map(|version| (version.digest, stack.project))
    });
    Effect::new(move || {
        let Some((digest, project)) = wanted.get() else { return };
        spawn_local(async move {
            let Ok(bundle) = bundle(&digest).await else { return };
            if let Ok(told) = js::check(&bundle, &project).await {
                let _ = found.try_set(told);
            }
        });
    });
    found
}

/// The command that changes this stack now, waits to, or failed.
#[component]
fn Now(seq: u64) -> impl IntoView {
    let live = live();
    let loaded = load::<orrery_contracts::rest::Command>(move || Some(format!("/commands/{seq}")));
    Effect::new(move || {
        if let Some(command) = loaded.get() {
            live.learn(command);
        }
    });
    let command = Memo::new(move |_| live.command(seq).or_else(|| loaded.get()));
    follow(command, loaded);
    move || {
        command.get().filter(worth_showing).map(|command| {
            let progress = Progress::of_command(&command);
            let who = command.actor.clone().unwrap_or_else(|| command.publisher.clone());
            let error = command.error.as_ref().map(|error| error.message.clone());
            let path = Route::Command(seq.to_string()).path();
            let any = !progress.rows.is_empty() || !progress.others.is_empty();
            view! {
                <section class="card" aria-label="What is being done">
                    <header>
                        <h2><CommandName command=command.clone()/></h2>
                        <CommandWord command=command.clone()/>
                        <span class="quiet">"by " {who} ", " {clock::ago(command.started_at.unwrap_or(command.created_at))} " · " <a href=path>"command " {words::count(seq)}</a></span>
                        <span class="push"><CommandButtons command/></span>
                    </header>
                    {error.map(|error| view! { <p class="pad bad-text">{error}</p> })}
                    {any.then(|| view! { <ProgressList progress=Signal::stored(progress)/> })}
                </section>
            }
        })
    }
}

/// What a person would do next with a stack that does not run its newest version.
#[component]
fn Next() -> impl IntoView {
    let this = this();
    move || {
        let stack = this.stack.get()?;
        let calm = matches!(
            stack.status,
            StackStatus::Created | StackStatus::Running | StackStatus::Degraded | StackStatus::Drifted | StackStatus::Stopped
        );
        let newer = stack.current_version.is_none_or(|current| current < stack.latest_version) && stack.latest_version > 0;
        (calm && newer).then(|| {
            let words = match stack.current_version {
                None => "This stack has not been applied yet: nothing of it runs.".to_owned(),
                Some(current) => format!("v{} is saved and not applied; v{current} runs.", stack.latest_version),
            };
            view! {
                <div class="notice">
                    <div>{words}</div>
                    <a class="btn small" href=this.tab(StackTab::Plan(stack.latest_version))>"See the plan for v" {stack.latest_version}</a>
                </div>
            }
        })
    }
}
