//! A dialog on the browser's own element: it holds the focus, closes by Escape and by a click beside it, and gives the
//! focus back.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

#[component]
pub(crate) fn Dialog(
    /// Whether it is open; set to false when the person closes it.
    open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    #[prop(optional)] wide: bool,
    /// Made anew each time that it opens.
    children: ChildrenFn,
) -> impl IntoView {
    let element = NodeRef::<html::Dialog>::new();
    Effect::new(move || {
        let Some(dialog) = element.get() else { return };
        let dialog: &web_sys::HtmlDialogElement = dialog.unchecked_ref();
        match (open.get(), dialog.open()) {
            (true, false) => {
                let _ = dialog.show_modal();
            }
            (false, true) => dialog.close(),
            (true, true) | (false, false) => {}
        }
    });
    let beside = move |event: web_sys::MouseEvent| {
        let on_itself = event.target().zip(element.get_untracked()).is_some_and(|(target, dialog)| {
            let dialog: &web_sys::EventTarget = dialog.unchecked_ref();
            target == *dialog
        });
        if on_itself {
            open.set(false);
        }
    };
    let children = StoredValue::new(children);
    view! {
        <dialog node_ref=element class:wide-dialog=wide aria-label=move || title.get() on:close=move |_| open.set(false) on:mousedown=beside>
            {move || open.get().then(|| view! {
                <header>
                    <h2>{move || title.get()}</h2>
                    <button class="btn small plain push" type="button" aria-label="Close" on:click=move |_| open.set(false)>"×"</button>
                </header>
                {children.with_value(|children| children())}
            })}
        </dialog>
    }
}
