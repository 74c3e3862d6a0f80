//! What can be done with a stack as a whole.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::rest::Stack;
use orrery_contracts::{Bundle, StackStatus};

use super::{This, this};
use crate::archive::tar;
use crate::route::{Of, Route, Tab};
use crate::web::actions::{act, bundle};
use crate::web::examples::begin_with;
use crate::web::js;
use crate::web::nav::nav;
use crate::web::parts::MoreMenu;
use crate::web::toasts::toasts;

#[component]
pub(super) fn StackActions(stack: Stack) -> impl IntoView {
    let this = this();
    let act = act();
    let id = stack.id;
    let name = stack.name.clone();
    let nav = nav();
    let verb = move |verb: &'static str, word: &'static str| {
        view! { <button class="btn mid" disabled=move || act.busy.get() on:click=move |_| act.stack(id, verb)>{word}</button> }
    };
    let ran = stack.current_version.is_some();
    let stopped = stack.status == StackStatus::Stopped;
    let going = stack.status == StackStatus::Deleting;
    view! {
        {(ran && stopped && !going).then(|| verb("start", "Start"))}
        {(ran && !stopped && !going).then(|| view! { {verb("restart", "Restart")} {verb("stop", "Stop")} })}
        <More this name=name.clone() id=id.to_string() ran stopped act/>
        {move || nav.route.with(|route| match route.part() {
            Some((_, _, Tab::Definition)) => None,
            Some((_, _, Tab::Plan(_))) => Some("btn"),
            Some(_) | None => Some("btn main"),
        }).map(|class| view! { <a class=class href=this.tab(Tab::Definition)>"Edit"</a> })}
    }
}

#[component]
fn More(this: This, name: String, id: String, ran: bool, stopped: bool, act: crate::web::actions::Act) -> impl IntoView {
    let nav = nav();
    let toasts = toasts();
    let open = RwSignal::new(false);
    let with_files = move |then: Box<dyn FnOnce(Bundle, u32)>| {
        open.set(false);
        let number = this.stack.with_untracked(|stack| stack.as_ref().map_or(0, |stack| stack.latest_version));
        let Some(version) = untrack(|| this.version(number)) else { return toasts.bad("It has no version yet.") };
        spawn_local(async move {
            match bundle(&version.digest).await {
                Ok(bundle) => then(bundle, number),
                Err(fault) => toasts.fault(&fault),
            }
        });
    };
    let copy = {
        let name = name.clone();
        move |_| {
            let name = name.clone();
            with_files(Box::new(move |bundle, _| {
                begin_with(Of::Stack, bundle, &format!("{name}-copy"));
                nav.go(Route::NewStack);
            }));
        }
    };
    let download = {
        let name = name.clone();
        move |_| {
            let name = name.clone();
            with_files(Box::new(move |bundle, number| {
                js::download(&format!("{name}-v{number}.tar"), "application/x-tar", &tar(&bundle, &name))
            }));
        }
    };
    let stack_id = id.parse::<orrery_contracts::StackId>().ok();
    let verb = move |verb: &'static str| {
        open.set(false);
        if let Some(id) = stack_id {
            act.stack(id, verb);
        }
    };
    view! {
        <MoreMenu open label=format!("More for {name}")>
            {(ran && stopped).then(|| view! { <button class="item" on:click=move |_| verb("start")>"Start"</button> })}
            {(ran && !stopped).then(|| view! {
                <button class="item" on:click=move |_| verb("restart")>"Restart"</button>
                <button class="item" on:click=move |_| verb("stop")>"Stop"</button>
            })}
            <button class="item" on:click=copy>"Copy as a new stack"</button>
            <button class="item" on:click=download>"Download as an archive"</button>
            <hr/>
            <button class="item bad" on:click=move |_| { open.set(false); this.deleting.set(true); }>"Delete…"</button>
        </MoreMenu>
    }
}
