//! The menu of what else can be done with a thing: opened by its button, closed by Escape, by a click elsewhere, and by whoever
//! sets `open`.

use leptos::prelude::*;

#[component]
pub(crate) fn MoreMenu(open: RwSignal<bool>, #[prop(into)] label: String, children: Children) -> impl IntoView {
    let outside = window_event_listener(leptos::ev::click, move |event| {
        use wasm_bindgen::JsCast;
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        if target.is_none_or(|target| target.closest(".more-menu").ok().flatten().is_none()) {
            let _ = open.try_set(false);
        }
    });
    on_cleanup(move || outside.remove());
    view! {
        <details class="menu more-menu" prop:open=move || open.get() on:keydown=move |event| if event.key() == "Escape" { open.set(false) }>
            <summary class="btn" aria-label=label on:click=move |event| { event.prevent_default(); open.update(|open| *open = !*open); }>"⋯"</summary>
            <div class="sheet">{children()}</div>
        </details>
    }
}
