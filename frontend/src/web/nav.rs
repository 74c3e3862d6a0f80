//! Where the person is: the address in the browser as a signal, links without a reload, and the focus and the word for
//! it when the page changes.

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::js::{document, focus, window};
use crate::route::{Route, Tab};

#[derive(Clone, Copy)]
pub(crate) struct Nav {
    pub(crate) route: RwSignal<Route>,
    /// The page's title, said aloud when it changes.
    pub(crate) title: RwSignal<String>,
}

impl Nav {
    /// Goes somewhere.
    pub(crate) fn go(self, route: Route) {
        let path = route.path();
        if let Ok(history) = window().history() {
            let _ = history.push_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&path));
        }
        self.show(route);
    }

    fn show(self, route: Route) {
        let same_page = self.route.with_untracked(|before| same_page(before, &route));
        self.route.set(route);
        if !same_page {
            window().scroll_to_with_x_and_y(0.0, 0.0);
            request_animation_frame(|| focus("page-title"));
        }
    }
}

/// Whether two addresses are parts of one page: then the focus stays where it is.
fn same_page(a: &Route, b: &Route) -> bool {
    match (a.part(), b.part()) {
        (Some((of, id, _)), Some((other, same, _))) => of == other && id == same,
        (_, _) => a == b,
    }
}

fn here() -> Route {
    Route::parse(&window().location().pathname().unwrap_or_default())
}

pub(crate) fn provide_nav() -> Nav {
    let nav = Nav { route: RwSignal::new(here()), title: RwSignal::new(String::new()) };
    provide_context(nav);
    let back = window_event_listener(ev::popstate, move |_| nav.show(here()));
    let clicks = window_event_listener(ev::click, move |event| follow(nav, &event));
    on_cleanup(move || {
        back.remove();
        clicks.remove();
    });
    Effect::new(move || {
        document().set_title(&nav.title.with(|title| if title.is_empty() { "Orrery".into() } else { format!("{title} · Orrery") }))
    });
    nav
}

/// A plain click on a link within the page goes there without a reload.
fn follow(nav: Nav, event: &web_sys::MouseEvent) {
    let plain = event.button() == 0 && !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key());
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let link = target.and_then(|target| target.closest("a[href]").ok().flatten());
    let Some(link) = link.filter(|_| plain && !event.default_prevented()) else { return };
    let href = link.get_attribute("href").unwrap_or_default();
    let elsewhere = link.has_attribute("target") || link.has_attribute("download") || !href.starts_with('/') || href.starts_with("/api/");
    if !elsewhere {
        event.prevent_default();
        let route = Route::parse(&href);
        if nav.route.with_untracked(|here| *here != route) {
            nav.go(route);
        }
    }
}

pub(crate) fn nav() -> Nav {
    expect_context()
}

/// The address of one stack's tab.
pub(crate) fn stack_path(id: &str, tab: Tab) -> String {
    Route::Stack(id.to_owned(), tab).path()
}
