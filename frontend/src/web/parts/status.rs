//! A status: a shape, a word and a colour.

use leptos::prelude::*;

use crate::words::Tone;

#[component]
pub(crate) fn Status(#[prop(into)] tone: Signal<Tone>, #[prop(into)] word: Signal<String>) -> impl IntoView {
    view! { <span class=move || format!("st {}", tone.get().class())>{move || word.get()}</span> }
}
