//! The frame around every page: the bar on top, the banner when the queue stands, the menu, and the page itself.

mod account;
mod bar;
mod held;
mod keys;
mod menu;
mod palette;

pub(crate) use account::PasswordForm;
pub(crate) use held::HeldBanner;
pub(crate) use palette::Find;

use leptos::prelude::*;

use super::later::{Later, later, provide_later};
use super::live::provide_live;
use super::nav::nav;
use super::pages::Home;
use crate::route::Route;

/// Which page an address belongs to: parts of one page do not make it anew.
#[derive(Clone, PartialEq)]
enum Page {
    Home,
    Stacks,
    NewStack,
    Stack(String),
    Machines,
    NewMachine,
    Machine(String),
    Boxes,
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
        Route::Machines => Page::Machines,
        Route::NewMachine => Page::NewMachine,
        Route::Machine(id, _) => Page::Machine(id.clone()),
        Route::Boxes => Page::Boxes,
        Route::Queue => Page::Queue,
        Route::Command(id) => Page::Command(id.clone()),
        Route::Help => Page::Help,
        Route::Nowhere(_) => Page::Nowhere,
    }
}

#[component]
pub(crate) fn Shell() -> impl IntoView {
    provide_live();
    provide_later();
    let nav = nav();
    let palette = RwSignal::new(false);
    keys::listen(palette);
    let page = Memo::new(move |_| nav.route.with(page));
    view! {
        <div class="shell">
            <bar::Bar palette/>
            <div class="held"><held::HeldPlace/></div>
            <menu::Menu/>
            <main id="main">
                {move || match page.get() {
                    Page::Home => view! { <Home/> }.into_any(),
                    Page::Stacks => later(|| Later::Stacks),
                    Page::NewStack => later(|| Later::NewStack),
                    Page::Stack(id) => later(move || Later::Stack(id.clone())),
                    Page::Machines => later(|| Later::Machines),
                    Page::NewMachine => later(|| Later::NewMachine),
                    Page::Machine(id) => later(move || Later::Machine(id.clone())),
                    Page::Boxes => later(|| Later::Boxes),
                    Page::Queue => later(|| Later::Queue),
                    Page::Command(id) => later(move || Later::Command(id.clone())),
                    Page::Help => later(|| Later::Help),
                    Page::Nowhere => later(|| Later::Nowhere),
                }}
            </main>
        </div>
        <palette::Palette open=palette/>
        <div class="seen-by-ear" role="status" aria-live="polite">{move || nav.title.get()}</div>
    }
}
