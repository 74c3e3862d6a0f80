//! A stack or machine that does not exist yet: its files, its name, a note about version 1, and the way on. The draft survives a
//! reload.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::NewStack;
use orrery_contracts::{Bundle, Name, Status as CommandStatus};

use crate::draft::Draft;
use crate::feed::Known;
use crate::route::{Of, Tab};
use crate::web::actions::{create, ended};
use crate::web::examples::new_key;
use crate::web::live::live;
use crate::web::nav::nav;
use crate::web::parts::{Bench, BenchState, DryPlan, MachineForm, Question};
use crate::web::session::session;
use crate::web::toasts::toasts;
use crate::web::{js, storage};
use crate::words;

/// What is being made.
#[derive(Clone, Copy)]
pub(crate) struct NewOne {
    pub(crate) of: Of,
    pub(crate) draft: RwSignal<Draft>,
    pub(crate) name: RwSignal<String>,
    pub(crate) comment: RwSignal<String>,
}

impl NewOne {
    /// Goes on with the draft that this browser keeps, or begins with `first`; and keeps what is written from now on.
    pub(crate) fn take_up(of: Of, first: Draft) -> Self {
        let stored = storage::read(&storage::draft_key(new_key(of))).and_then(|stored| Draft::restore(0, Bundle::default(), &stored));
        let (draft, comment) = stored.unwrap_or_else(|| (first, String::new()));
        let name = storage::read(&storage::name_key(new_key(of))).unwrap_or_default();
        let new = Self { of, draft: RwSignal::new(draft), name: RwSignal::new(name), comment: RwSignal::new(comment) };
        Effect::new(move || {
            let draft = new.draft.with(|draft| new.comment.with(|comment| draft.store(comment)));
            storage::write(&storage::draft_key(new_key(of)), draft.as_deref());
            let name = new.name.with(|name| (!name.is_empty()).then(|| name.clone()));
            storage::write(&storage::name_key(new_key(of)), name.as_deref());
        });
        new
    }

    pub(crate) fn over_again(self, first: Draft) {
        self.draft.set(first);
        self.name.set(String::new());
        self.comment.set(String::new());
    }

    /// It is made: this browser need not keep it.
    fn forget(self) {
        storage::write(&storage::draft_key(new_key(self.of)), None);
        storage::write(&storage::name_key(new_key(self.of)), None);
    }
}

/// Whether this person has one of this name already.
fn taken(known: &Known, of: Of, name: &str, me: &str) -> bool {
    match of {
        Of::Stack => known.stacks.values().any(|stack| stack.name == name && stack.owner == me),
        Of::Machine => known.machines_by_name().iter().any(|machine| machine.name == name && machine.owner == me),
    }
}

/// The files, a name, a note, and the way on.
#[component]
pub(crate) fn Write(new: NewOne) -> impl IntoView {
    let NewOne { of, draft, name, comment } = new;
    let state = BenchState::new(draft, of, move || name.get());
    let (live, nav, toasts, me) = (live(), nav(), toasts(), session().name());
    let busy = RwSignal::new(false);
    let asked = RwSignal::new(false);
    let wrong = Memo::new(move |_| {
        let name = name.get();
        let taken = live.known.with(|known| taken(known, of, &name, &me));
        match name.parse::<Name>() {
            Err(_) if name.is_empty() => Some("Give it a name.".to_owned()),
            Err(_) => Some("Use 1 to 63 lower-case letters, digits, “-” and “_”, starting with a letter or digit.".to_owned()),
            Ok(_) if taken => Some(format!("You have a {} {name} already.", of.word())),
            Ok(_) => None,
        }
    });
    let create = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        asked.set(true);
        if wrong.with_untracked(Option::is_some) {
            return js::focus("new-name");
        }
        busy.set(true);
        let (bundle, name, comment) = (draft.with_untracked(|draft| draft.bundle().clone()), name.get_untracked(), comment.get_untracked());
        spawn_local(async move {
            let made = match create(of, name.clone(), bundle, comment).await {
                Ok(command) => {
                    toasts.accepted(&command);
                    if let Some(id) = words::command_about(&command).filter(|_| live.waits_behind_another(command.seq)) {
                        // It is addressable already; the draft stays until it is made.
                        let _ = busy.try_set(false);
                        return nav.go(of.route(id, Tab::Overview));
                    }
                    ended(live, command).await
                }
                Err(fault) => Err(fault),
            };
            let _ = busy.try_set(false);
            match made {
                Ok(command) if command.status == CommandStatus::Done => {
                    new.forget();
                    nav.go(of.route(words::command_about(&command).unwrap_or(name), Tab::Plan(1)));
                }
                Ok(command) => toasts.bad(words::command_reason(&command).unwrap_or_else(|| format!("The {} was not made.", of.word()))),
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
        <div class="pile">
            {(of == Of::Machine).then(|| view! { <MachineForm state/> })}
            <Bench state>
                <form class="savebar" on:submit=create>
                    <input class="input" id="new-name" aria-label=format!("Name of the {}", of.word()) placeholder=format!("Name of the {}", of.word()) bind:value=name autocomplete="off" autocapitalize="none" spellcheck="false"
                        aria-invalid=move || (asked.get() && wrong.get().is_some()).then_some("true") aria-describedby="name-wrong"/>
                    <input class="input" aria-label="Note about version 1" placeholder="A note about version 1 (optional)" bind:value=comment autocomplete="off"/>
                    <span class="bad-text" id="name-wrong" role="alert">{move || wrong.get().filter(|_| asked.get() || !name.with(String::is_empty))}</span>
                    <span class="push row">
                        {move || { let n = state.found.with(|found| found.blocking()); (n > 0).then(|| view! { <span class="st bad">{words::plural(n, "problem", "problems")}</span> }) }}
                        {(of == Of::Stack).then(|| view! { <DryPlan question/> })}
                        <button class="btn main" aria-busy=move || busy.get().then_some("true") disabled=move || busy.get()>"Create, then see the plan"</button>
                    </span>
                </form>
            </Bench>
        </div>
    }
}
