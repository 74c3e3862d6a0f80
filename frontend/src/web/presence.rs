//! Whether somebody uses this page: a key or a pointer within the last minute.

use std::cell::Cell;

use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use super::js::window;

/// How long somebody is there after his last touch, in milliseconds.
const STAYS: f64 = 60_000.0;

thread_local! {
    static TOUCHED: Cell<f64> = const { Cell::new(0.0) };
}

/// Listens to keys and pointers, for as long as the page lives.
pub(crate) fn watch() {
    TOUCHED.set(js_sys::Date::now());
    let touched = Closure::<dyn Fn()>::new(|| TOUCHED.set(js_sys::Date::now()));
    for kind in ["keydown", "pointerdown", "pointermove"] {
        let _ = window().add_event_listener_with_callback(kind, touched.as_ref().unchecked_ref());
    }
    touched.forget();
}

pub(crate) fn somebody_is_here() -> bool {
    js_sys::Date::now() - TOUCHED.get() < STAYS
}
