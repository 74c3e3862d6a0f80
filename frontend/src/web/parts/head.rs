//! The head of a page: its title, which takes the focus when the page is entered, and what can be done there.

use leptos::prelude::*;

use crate::web::nav::nav;

#[component]
pub(crate) fn PageHead(#[prop(into)] title: Signal<String>, #[prop(optional)] children: Option<Children>) -> impl IntoView {
    let nav = nav();
    Effect::new(move || nav.title.set(title.get()));
    view! {
        <div class="head">
            <h1 id="page-title" tabindex="-1">{move || title.get()}</h1>
            {children.map(|children| children())}
        </div>
    }
}
