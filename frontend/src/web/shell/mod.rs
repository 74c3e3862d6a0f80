//! The frame around every page: the bar on top, the banner when the queue stands, the menu, and the page itself.

mod account;
mod bar;
mod held;
mod keys;
mod menu;
mod palette;

use leptos::prelude::*;

use super::live::provide_live;
use super::nav::nav;
use super::pages::{CommandPage, Help, Home, NewStackPage, Nowhere, QueuePage, StackPage, StacksPage};
use crate::route::Route;

/// Which page an address belongs to: parts of one page do not make it anew.
#[derive(Clone, PartialEq)]
enum Page {
    Home,
    Stacks,
    NewStack,
    Stack(String),
    Queue,
    Command(String),
    Help,
    Nowhere,
}

fn page(route: &Route) -> Page {
    match route {
        Route::Home => Page::Home,
        Route::Stacks => Page::Stacks,
        Route::NewStack => Page::NewStack,
        Route::Stack(id, _) => Page::Stack(id.clone()),
        Route::Queue => Page::Queue,
        Route::Command(id) => Page::Command(id.clone()),
        Route::Help => Page::Help,
        Route::Nowhere(_) => Page::Nowhere,
    }
}

#[component]
pub(crate) fn Shell() -> impl IntoView {
    provide_live();
    let nav = nav();
    let palette = RwSignal::new(false);
    keys::listen(palette);
    let page = Memo::new(move |_| nav.route.with(page));
    view! {
        <div class="shell">
            <bar::Bar palette/>
            <div class="held"><held::HeldBanner/></div>
            <menu::Menu/>
            <main id="main">
                {move || match page.get() {
                    Page::Home => view! { <Home/> }.into_any(),
                    Page::Stacks => view! { <StacksPage/> }.into_any(),
                    Page::NewStack => view! { <NewStackPage/> }.into_any(),
                    Page::Stack(id) => view! { <StackPage id/> }.into_any(),
                    Page::Queue => view! { <QueuePage/> }.into_any(),
                    Page::Command(id) => view! { <CommandPage id/> }.into_any(),
                    Page::Help => view! { <Help/> }.into_any(),
                    Page::Nowhere => view! { <Nowhere/> }.into_any(),
                }}
            </main>
        </div>
        <palette::Palette open=palette/>
        <div class="seen-by-ear" role="status" aria-live="polite">{move || nav.title.get()}</div>
    }
}
