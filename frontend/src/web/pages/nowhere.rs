//! An address that means nothing.

use leptos::prelude::*;

use crate::web::parts::{Mark, PageHead};

#[component]
pub(crate) fn Nowhere() -> impl IntoView {
    view! {
        <PageHead title="There is nothing here"/>
        <div class="card empty">
            <Mark size=40/>
            <p>"No page answers to this address. It may have been a stack that is gone."</p>
            <p><a href="/stacks">"All stacks"</a> " · " <a href="/">"Home"</a></p>
        </div>
    }
}
