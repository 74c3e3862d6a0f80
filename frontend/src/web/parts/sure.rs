//! A question before something that cannot be taken back, with what it means and both answers.

use leptos::prelude::*;

use super::Dialog;

#[component]
pub(crate) fn Sure(
    open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    /// What happens, in words.
    #[prop(into)]
    what: Signal<String>,
    /// The word of the button that does it.
    #[prop(into)]
    word: Signal<String>,
    #[prop(into)] go: Callback<()>,
) -> impl IntoView {
    let yes = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        open.set(false);
        go.run(());
    };
    view! {
        <Dialog open title>
            <form class="body" on:submit=yes>
                <p>{move || what.get()}</p>
                <div class="row">
                    <button class="btn bad full">{move || word.get()}</button>
                    <button class="btn" type="button" autofocus on:click=move |_| open.set(false)>"Leave it"</button>
                </div>
            </form>
        </Dialog>
    }
}
