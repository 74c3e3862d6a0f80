//! The door. It says when a session has ended, and leads back to where the person was: the address stays.

use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::Code;
use orrery_contracts::rest::{Login, Me};

use crate::web::http;
use crate::web::nav::nav;
use crate::web::parts::Mark;
use crate::web::session::{Door, session};

#[component]
pub(crate) fn SignIn() -> impl IntoView {
    let session = session();
    nav().title.set("Sign in".into());
    let ended = move || session.0.with(|door| *door == Door::Out { ended: true });
    view! {
        <main class="signin">
            <Sky/>
            <div class="pile">
                {move || ended().then(|| view! {
                    <div class="notice" role="status"><div><b>"Your session has ended."</b>" Sign in to go on where you were. Drafts are kept in this browser."</div></div>
                })}
                <Form/>
            </div>
        </main>
    }
}

#[component]
fn Form() -> impl IntoView {
    let session = session();
    let name = NodeRef::<html::Input>::new();
    let password = NodeRef::<html::Input>::new();
    let wrong = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let enter = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        // What a password manager fills in raises no event: the fields themselves are read.
        let value = |field: NodeRef<html::Input>| field.get_untracked().map(|field| field.value()).unwrap_or_default();
        let login = Login { username: value(name).trim().to_owned(), password: value(password) };
        busy.set(true);
        wrong.set(String::new());
        spawn_local(async move {
            let answer = http::post::<Me>("/auth/login", &login, None).await;
            let _ = busy.try_set(false);
            match answer {
                Ok(me) => session.0.set(Door::In(me)),
                Err(fault) => {
                    wrong.set(match fault.code() {
                        Some(Code::WrongCredentials) => "User name or password is wrong.".into(),
                        _ => fault.message(),
                    });
                    if let Some(field) = password.get_untracked() {
                        field.select();
                    }
                }
            }
        });
    };
    Effect::new(move || {
        if let Some(field) = name.get() {
            let _ = field.focus();
        }
    });
    view! {
        <form on:submit=enter>
            <div class="brand"><Mark size=28/><h1 id="page-title" tabindex="-1">"Orrery"</h1></div>
            <div class="field"><label for="username">"User name"</label>
                <input class="input" id="username" name="username" node_ref=name autocomplete="username" autocapitalize="none" spellcheck="false" required/></div>
            <div class="field"><label for="password">"Password"</label>
                <input class="input" id="password" name="password" type="password" node_ref=password autocomplete="current-password" required
                    aria-invalid=move || (!wrong.with(String::is_empty)).then_some("true") aria-describedby="signin-wrong"/>
                <span class="wrong" id="signin-wrong" role="alert">{move || wrong.get()}</span></div>
            <button class="btn main" aria-busy=move || busy.get().then_some("true") disabled=move || busy.get()>"Sign in"</button>
        </form>
    }
}

/// Rings behind the door.
#[component]
fn Sky() -> impl IntoView {
    view! {
        <svg class="sky" viewBox="-500 -500 1000 1000" fill="none" stroke="currentColor" aria-hidden="true">
            <g><circle r="250"/><circle class="planet" cx="250" cy="0" r="7"/><circle class="planet" cx="-176" cy="-178" r="4"/></g>
            <g><circle r="350"/><circle class="planet" cx="-350" cy="0" r="10"/></g>
            <g><circle r="460"/><circle class="sun" cx="325" cy="-325" r="6"/><circle class="planet" cx="-230" cy="398" r="5"/></g>
        </svg>
    }
}
