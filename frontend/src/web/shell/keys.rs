//! Keys that work everywhere: Ctrl K or / to find, g and a letter to go, ? for help. A person who writes is left alone.

use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::route::Route;
use crate::web::js::document;
use crate::web::nav::nav;

pub(super) fn listen(palette: RwSignal<bool>) {
    let nav = nav();
    let after_g = StoredValue::new(false);
    let handle = window_event_listener(ev::keydown, move |event| {
        let key = event.key();
        if (event.ctrl_key() || event.meta_key()) && key.eq_ignore_ascii_case("k") {
            event.prevent_default();
            palette.update(|open| *open = !*open);
            return;
        }
        if writes(&event) || event.ctrl_key() || event.meta_key() || event.alt_key() || dialog_open() {
            return;
        }
        let going = after_g.get_value();
        after_g.set_value(key == "g");
        let target = match (going, key.as_str()) {
            (true, "h") => Some(Route::Home),
            (true, "s") => Some(Route::Stacks),
            (true, "m") => Some(Route::Machines),
            (true, "q") => Some(Route::Queue),
            (true, "n") => Some(Route::NewStack),
            (false, "?") => Some(Route::Help),
            (false, "/") => {
                event.prevent_default();
                palette.set(true);
                None
            }
            (_, _) => None,
        };
        if let Some(route) = target {
            event.prevent_default();
            nav.go(route);
        }
    });
    on_cleanup(move || handle.remove());
}

fn writes(event: &web_sys::KeyboardEvent) -> bool {
    let path = event.composed_path();
    let element = path.get(0).dyn_into::<web_sys::Element>().ok();
    element.is_some_and(|element| {
        matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
            || element.closest("[contenteditable=true]").ok().flatten().is_some()
    })
}

fn dialog_open() -> bool {
    document().query_selector("dialog[open]").ok().flatten().is_some()
}
