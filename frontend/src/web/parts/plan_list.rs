//! A plan as a list: what would be done and why; the same list while it is done, with the steps inside each action.

use leptos::prelude::*;
use orrery_contracts::rest::Step;
use orrery_contracts::{PlanKept, PlanNote, Verb};

use super::{FieldChanges, KeptLog, StepList};
use crate::progress::{Progress, Row, Stage};
use crate::web::clock;
use crate::words;

#[component]
pub(crate) fn ProgressList(#[prop(into)] progress: Signal<Progress>) -> impl IntoView {
    view! {
        <ol class="plan">
            {move || {
                let Progress { rows, kept, others, .. } = progress.get();
                view! {
                    {(!kept.is_empty()).then(|| view! { <KeptRow kept/> })}
                    {rows.into_iter().map(|row| view! { <ActionRow row/> }).collect_view()}
                    {(!others.is_empty()).then(|| view! { <li><span class="verb keep">"steps"</span><div class="full"><StepList steps=others/></div></li> })}
                }
            }}
        </ol>
    }
}

/// Everything that stays, in one line.
#[component]
fn KeptRow(kept: Vec<PlanKept>) -> impl IntoView {
    let names: Vec<String> = kept.iter().map(|one| one.subject.clone()).collect();
    let reasons: std::collections::BTreeSet<&str> =
        kept.iter().map(|one| one.reason.as_str()).filter(|reason| !reason.is_empty()).collect();
    let why = if reasons.len() == 1 { reasons.into_iter().next().unwrap_or("unchanged").to_owned() } else { "unchanged".into() };
    view! {
        <li>
            <span class="verb keep">"keep"</span>
            <span>{names.join(", ")} <span class="why">" · " {why}</span></span>
            <span></span>
        </li>
    }
}

#[component]
fn ActionRow(row: Row) -> impl IntoView {
    let verb = words::action_verb(&row.action.action).to_owned();
    let kind = words::action_kind(&row.action.action).to_owned();
    let class = match row.action.verb() {
        Verb::Add => "add",
        Verb::Change => "swap",
        Verb::Remove => "del",
    };
    let reason = row.action.reason.clone();
    let (live, broken) = (row.stage == Stage::Runs, row.stage == Stage::Failed);
    view! {
        <li class:live=live class:broken=broken>
            <span class=format!("verb {class}")>{verb}</span>
            <div>
                {(!kind.is_empty()).then(|| format!("{kind} "))}
                <b class="name">{row.action.subject.clone()}</b>
                {(!reason.is_empty()).then(|| view! { <span class="why">" · " {reason}</span> })}
                <FieldChanges changes=row.action.changes.clone()/>
            </div>
            <StageWord row=row.clone()/>
            {steps_of(&row)}
        </li>
    }
}

/// The steps of an action. A single one that only repeats what the action says leaves nothing but its log.
fn steps_of(row: &Row) -> Option<AnyView> {
    let verb = words::action_verb(&row.action.action);
    let repeats = |step: &Step| step.detail.is_empty() && step.status == "done" && words::action_verb(&step.action) == verb;
    match row.steps.as_slice() {
        [] => None,
        [step] if repeats(step) => step.log.clone().map(|log| view! { <div class="full"><KeptLog log open=false/></div> }.into_any()),
        steps => Some(view! { <div class="full"><StepList steps=steps.to_vec()/></div> }.into_any()),
    }
}

#[component]
fn StageWord(row: Row) -> impl IntoView {
    match row.stage {
        Stage::Planned => view! { <span></span> }.into_any(),
        Stage::Waits if row.waits_for.is_empty() => view! { <span class="faint">"waits"</span> }.into_any(),
        Stage::Waits => {
            let more = row.waits_for.len().saturating_sub(1);
            let first = row.waits_for.into_iter().next().unwrap_or_default();
            let others = if more > 0 { format!(" and {more} more") } else { String::new() };
            view! { <span class="faint">{format!("waits for {first}{others}")}</span> }.into_any()
        }
        Stage::Runs => {
            let since = row.since.map(clock::since);
            view! { <span class="st wait num">{since.map(|since| view! { {since} })}</span> }.into_any()
        }
        Stage::Done => view! { <span class="st ok num">{row.seconds.map_or_else(|| "done".into(), words::span)}</span> }.into_any(),
        Stage::Failed => view! { <span class="st bad">"failed"</span> }.into_any(),
        Stage::NotReached => view! { <span class="faint">"not reached"</span> }.into_any(),
    }
}

/// What else a plan says: a port that somebody holds, a value without effect.
#[component]
pub(crate) fn PlanNotes(notes: Vec<PlanNote>) -> impl IntoView {
    (!notes.is_empty()).then(|| {
        let one = |note: PlanNote| {
            let tone = words::severity_tone(note.severity).class();
            view! {
                <li class=tone>
                    <span class=format!("st {tone}") role="img" aria-label=words::severity(note.severity)></span>
                    <span>{note.message}</span>
                </li>
            }
        };
        view! { <ul class="notes head-notes" aria-label="Notes on this plan">{notes.into_iter().map(one).collect_view()}</ul> }
    })
}
