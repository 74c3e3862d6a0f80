//! The account's menu: who is signed in, light or dark, another password, the way out.

use leptos::prelude::*;
use leptos::task::spawn_local;
use orrery_contracts::Role;
use orrery_contracts::rest::PasswordChange;

use crate::web::js::document;
use crate::web::later::{Later, later};
use crate::web::parts::Dialog;
use crate::web::session::{Door, session};
use crate::web::toasts::toasts;
use crate::web::{http, storage};

#[component]
pub(crate) fn Account() -> impl IntoView {
    let session = session();
    let password = RwSignal::new(false);
    let open = RwSignal::new(false);
    let me = move || match session.0.get() {
        Door::In(me) => Some(me),
        Door::Asking | Door::Out { .. } | Door::Away(_) => None,
    };
    let name = move || me().map(|me| me.username).unwrap_or_default();
    let role = move || {
        me().map(|me| match me.role {
            Role::Admin => "administrator",
            Role::User => "user",
            Role::Viewer => "viewer",
        })
    };
    let outside = leptos::prelude::window_event_listener(leptos::ev::click, move |event| {
        use wasm_bindgen::JsCast;
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        if target.is_none_or(|target| target.closest(".account-menu").ok().flatten().is_none()) {
            let _ = open.try_set(false);
        }
    });
    on_cleanup(move || outside.remove());
    view! {
        <details class="menu account-menu" prop:open=move || open.get() on:keydown=move |event| if event.key() == "Escape" { open.set(false) }>
            <summary class="account" aria-label=move || format!("Account of {}", name()) on:click=move |event| { event.prevent_default(); open.update(|open| *open = !*open); }>
                <svg width="18" height="18" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.300" aria-hidden="true"><circle cx="8" cy="6" r="2.600"/><path d="M3 13.500c.700-2.500 2.600-3.700 5-3.700s4.300 1.200 5 3.700"/></svg>
                <span class="mid">{name}</span>
            </summary>
            <div class="sheet">
                <div class="who"><b>{name}</b><div class="faint">{role}</div></div>
                <div class="pad"><span class="faint" id="theme-label">"Theme"</span><ThemeSwitch/></div>
                <hr/>
                <button class="item" on:click=move |_| { open.set(false); password.set(true); }>"Change password"</button>
                <a class="item" href="/help" on:click=move |_| open.set(false)>"Help and keys"</a>
                <hr/>
                <button class="item" on:click=move |_| session.leave()>"Sign out"</button>
            </div>
        </details>
        <Dialog open=password title="Change your password">{later(move || Later::Password(password))}</Dialog>
    }
}

#[component]
fn ThemeSwitch() -> impl IntoView {
    let chosen = RwSignal::new(storage::read(storage::THEME).unwrap_or_default());
    let choose = move |theme: &'static str| {
        chosen.set(theme.to_owned());
        storage::write(storage::THEME, Some(theme).filter(|theme| !theme.is_empty()));
        if let Some(root) = document().document_element() {
            let _ = if theme.is_empty() { root.remove_attribute("data-theme") } else { root.set_attribute("data-theme", theme) };
        }
    };
    let option = move |theme: &'static str, word: &'static str| {
        let checked = move || if chosen.with(|chosen| chosen == theme) { "true" } else { "false" };
        view! { <button type="button" role="radio" aria-checked=checked on:click=move |_| choose(theme)>{word}</button> }
    };
    view! { <div class="segments small" role="radiogroup" aria-labelledby="theme-label">{option("", "System")}{option("light", "Light")}{option("dark", "Dark")}</div> }
}

/// The question for another password.
#[component]
pub(crate) fn PasswordForm(open: RwSignal<bool>) -> impl IntoView {
    let toasts = toasts();
    let current = RwSignal::new(String::new());
    let new = RwSignal::new(String::new());
    let again = RwSignal::new(String::new());
    let wrong = RwSignal::new(String::new());
    let busy = RwSignal::new(false);
    let save = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if new.get_untracked().chars().count() < 12 {
            return wrong.set("The new password needs at least 12 characters.".into());
        }
        if new.get_untracked() != again.get_untracked() {
            return wrong.set("The two new passwords differ.".into());
        }
        busy.set(true);
        let change = PasswordChange { current: current.get_untracked(), new: new.get_untracked() };
        spawn_local(async move {
            let answer = http::tell("/auth/password", &change).await;
            let _ = busy.try_set(false);
            match answer {
                Ok(()) => {
                    toasts.good("Your password is changed. Other sessions of yours have ended.");
                    let _ = open.try_set(false);
                }
                Err(fault) => {
                    let _ = wrong.try_set(fault.message());
                }
            }
        });
    };
    view! {
        <form class="body" on:submit=save>
            <div class="field"><label for="pw-current">"Present password"</label>
                <input class="input" id="pw-current" type="password" autocomplete="current-password" required autofocus bind:value=current/></div>
            <div class="field"><label for="pw-new">"New password"</label>
                <input class="input" id="pw-new" type="password" autocomplete="new-password" required aria-describedby="pw-help" bind:value=new/>
                <span class="help" id="pw-help">"At least 12 characters; a few words make a good one."</span></div>
            <div class="field"><label for="pw-again">"New password, again"</label>
                <input class="input" id="pw-again" type="password" autocomplete="new-password" required bind:value=again/></div>
            <p class="bad-text" role="alert">{move || wrong.get()}</p>
            <div class="row"><button class="btn main" aria-busy=move || busy.get().then_some("true")>"Change password"</button></div>
        </form>
    }
}
