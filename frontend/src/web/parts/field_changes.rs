//! Fields that differ: what they are, what they were, what they become.

use leptos::prelude::*;
use orrery_contracts::FieldChange;

use crate::words;

#[component]
pub(crate) fn FieldChanges(changes: Vec<FieldChange>) -> impl IntoView {
    (!changes.is_empty()).then(|| {
        let one = |change: FieldChange| {
            view! {
                <li>
                    <code>{change.path}</code>
                    " "
                    <del>{words::value(change.from.as_ref())}</del>
                    <span class="seen-by-ear">" becomes "</span>
                    <span aria-hidden="true">" → "</span>
                    <ins>{words::value(change.to.as_ref())}</ins>
                </li>
            }
        };
        view! { <ul class="changes">{changes.into_iter().map(one).collect_view()}</ul> }
    })
}
