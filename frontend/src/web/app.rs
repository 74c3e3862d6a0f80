//! The root: what everything else leans on, and the choice between the door and the house.

use leptos::prelude::*;

use super::pages::SignIn;
use super::session::{Door, provide_session};
use super::shell::Shell;
use super::{clock, nav, presence, toasts};

#[component]
pub(crate) fn App() -> impl IntoView {
    presence::watch();
    clock::provide_clock();
    nav::provide_nav();
    toasts::provide_toasts();
    let session = provide_session();
    session.ask();
    let state = Memo::new(move |_| match session.0.get() {
        Door::Asking => 0,
        Door::In(_) => 1,
        Door::Out { .. } => 2,
        Door::Away(_) => 3,
    });
    view! {
        {move || match state.get() {
            0 => ().into_any(),
            1 => view! { <Shell/> }.into_any(),
            2 => view! { <SignIn/> }.into_any(),
            _ => view! { <Away/> }.into_any(),
        }}
        <toasts::ToastCorner/>
    }
}

/// The api does not answer.
#[component]
fn Away() -> impl IntoView {
    let session = super::session::session();
    let why = move || match session.0.get() {
        Door::Away(why) => why,
        Door::Asking | Door::In(_) | Door::Out { .. } => String::new(),
    };
    let again = set_interval_with_handle(move || session.ask(), std::time::Duration::from_secs(3)).ok();
    on_cleanup(move || {
        if let Some(again) = again {
            again.clear();
        }
    });
    view! {
        <main class="lonely">
            <div class="empty">
                <super::parts::Mark size=40/>
                <h1 id="page-title" tabindex="-1">"Orrery does not answer"</h1>
                <p>{why} ". What runs goes on running. This page tries again every few seconds."</p>
                <button class="btn" on:click=move |_| session.ask()>"Try now"</button>
            </div>
        </main>
    }
}
