//! The product's mark: a sun and two planets on their rings.

use leptos::prelude::*;

#[component]
pub(crate) fn Mark(#[prop(default = 22)] size: u32) -> impl IntoView {
    view! {
        <svg width=size height=size viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.5" aria-hidden="true">
            <circle cx="12" cy="12" r="2.2" fill="currentColor" stroke="none"/>
            <circle cx="12" cy="12" r="6"/>
            <circle cx="12" cy="12" r="10.5"/>
            <circle cx="16.3" cy="7.8" r="1.6" fill="currentColor" stroke="none"/>
            <circle cx="3.2" cy="17.6" r="1.9" fill="currentColor" stroke="none"/>
        </svg>
    }
}
