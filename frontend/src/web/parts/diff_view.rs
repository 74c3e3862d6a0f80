//! A diff on the screen: beside each other where there is room, one under the other where there is not or where a person
//! likes it so.

use leptos::prelude::*;

use crate::diff::{FileChange, Line, Row};

/// How the two sides stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sides {
    Beside,
    Unified,
}

/// Every file that differs.
#[component]
pub(crate) fn FileDiffs(#[prop(into)] files: Signal<Vec<FileChange>>, #[prop(into)] sides: Signal<Sides>) -> impl IntoView {
    view! {
        <div class="pile">
            {move || files.get().into_iter().map(|file| {
                let (added, removed) = (file.added, file.removed);
                view! {
                    <section class="card" aria-label=file.path.clone()>
                        <header>
                            <h3 class="mono">{file.path.clone()}</h3>
                            <span class="tag">{file.word}</span>
                            <span class="push num">
                                <span class="sign add">"+" {added}</span>
                                <span class="sign del">"−" {removed}</span>
                            </span>
                        </header>
                        <DiffView name=file.path.clone() rows=file.rows sides=sides/>
                    </section>
                }
            }).collect_view()}
        </div>
    }
}

/// One file's rows.
#[component]
pub(crate) fn DiffView(#[prop(into)] name: String, rows: Option<Vec<Row>>, #[prop(into)] sides: Signal<Sides>) -> impl IntoView {
    let Some(rows) = rows else { return view! { <p class="pad quiet">"Not a text; only that it differs can be told."</p> }.into_any() };
    if rows.is_empty() {
        return view! { <p class="pad quiet">"The text is the same."</p> }.into_any();
    }
    view! {
        <div class="diff" tabindex="0" role="region" aria-label=format!("Differences in {name}")>
            <table role="presentation">
                {move || columns(sides.get())}
                <tbody>{move || match sides.get() {
                    Sides::Beside => beside(&rows),
                    Sides::Unified => unified(&rows),
                }}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// The widths of the columns: the first row may be one that spans them all, and tells none.
fn columns(sides: Sides) -> AnyView {
    let classes = match sides {
        Sides::Beside => ["n", "", "n", ""],
        Sides::Unified => ["n", "n", "sign", ""],
    };
    view! { <colgroup>{classes.into_iter().map(|class| view! { <col class=class/> }).collect_view()}</colgroup> }.into_any()
}

fn beside(rows: &[Row]) -> AnyView {
    let half = |line: Option<&Line>, class: &'static str| {
        let class = if line.is_some() { class } else { "none" };
        view! {
            <td class=format!("n {class}")>{line.map(|line| line.n)}</td>
            <td class=class>{line.map(pieces)}</td>
        }
        .into_any()
    };
    let row = |row: &Row| match row {
        Row::Equal(a, b) => view! { <tr>{half(Some(a), "")}{half(Some(b), "")}</tr> }.into_any(),
        Row::Change(a, b) => view! { <tr>{half(a.as_ref(), "del")}{half(b.as_ref(), "add")}</tr> }.into_any(),
        Row::Skipped(n) => skipped(*n, 4),
    };
    rows.iter().map(row).collect_view().into_any()
}

fn unified(rows: &[Row]) -> AnyView {
    let line = |n: Option<usize>, m: Option<usize>, sign: &'static str, class: &'static str, line: &Line| {
        view! {
            <tr>
                <td class=format!("n {class}")>{n}</td>
                <td class=format!("n {class}")>{m}</td>
                <td class=format!("sign {class}")>{sign}</td>
                <td class=class>{pieces(line)}</td>
            </tr>
        }
        .into_any()
    };
    let mut out: Vec<AnyView> = Vec::new();
    let mut added: Vec<AnyView> = Vec::new();
    for row in rows {
        if !matches!(row, Row::Change(..)) {
            out.append(&mut added);
        }
        match row {
            Row::Equal(a, b) => out.push(line(Some(a.n), Some(b.n), "", "", a)),
            Row::Change(a, b) => {
                out.extend(a.as_ref().map(|a| line(Some(a.n), None, "−", "del", a)));
                added.extend(b.as_ref().map(|b| line(None, Some(b.n), "+", "add", b)));
            }
            Row::Skipped(n) => out.push(skipped(*n, 4)),
        }
    }
    out.append(&mut added);
    out.into_any()
}

fn skipped(n: usize, columns: u32) -> AnyView {
    view! { <tr class="skip"><td colspan=columns>"⋯ " {crate::words::plural(n, "equal line", "equal lines")}</td></tr> }.into_any()
}

fn pieces(line: &Line) -> AnyView {
    line.pieces
        .iter()
        .map(|(marked, text)| if *marked { view! { <mark>{text.clone()}</mark> }.into_any() } else { text.clone().into_any() })
        .collect_view()
        .into_any()
}
