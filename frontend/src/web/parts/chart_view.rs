//! A small chart: its title, what is now, and lines as wide as there is room. Its style stands here and not in the style sheet, which
//! every first load carries.

use leptos::prelude::*;

use crate::chart::{Chart, HEIGHT, Line, WIDTH};

const PICTURE: &str = "display: block; width: 100%; height: 64px; margin: var(--s2) 0 var(--s1); overflow: visible";
/// Colour and dashes of the first line and the second: neither is told by its colour alone.
const LINES: [(&str, &str); 2] = [("var(--hue-1)", "none"), ("var(--hue-6)", "5 3")];

#[component]
pub(crate) fn Charts(charts: [Chart; 4]) -> impl IntoView {
    let grid = "display: grid; gap: var(--s5); grid-template-columns: repeat(auto-fit, minmax(min(320px, 100%), 1fr))";
    view! { <div class="pad" style=grid>{charts.map(|chart| view! { <Picture chart/> }).into_iter().collect_view()}</div> }
}

#[component]
fn Picture(chart: Chart) -> impl IntoView {
    let keys = chart.now.len() > 1;
    let said =
        chart.now.into_iter().zip(LINES).map(|(word, line)| view! { <span class="row nowrap">{keys.then(|| key(line))}{word}</span> });
    let half = HEIGHT / 2.0;
    view! {
        <figure style="margin: 0; min-width: 0">
            <figcaption class="row"><h3>{chart.title}</h3><span class="row push num quiet">{said.collect_view()}</span></figcaption>
            <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") preserveAspectRatio="none" role="img" aria-label=chart.label style=PICTURE>
                <path d=format!("M0 0H{WIDTH}M0 {half}H{WIDTH}M0 {HEIGHT}H{WIDTH}") stroke="var(--line)" vector-effect="non-scaling-stroke"></path>
                {chart.lines.into_iter().zip(LINES).map(|(line, look)| drawn(line, look)).collect_view()}
            </svg>
            <p class="row faint num" style="justify-content: space-between; font-size: 11px" aria-hidden="true">
                <span>"15 min ago"</span><span>"top " {chart.top}</span><span>"now"</span>
            </p>
        </figure>
    }
}

/// What lies under a solid line is tinted.
fn drawn(line: Line, (colour, dashes): (&'static str, &'static str)) -> impl IntoView {
    view! {
        {(dashes == "none").then(|| view! { <path d=line.area fill=colour opacity="0.12"></path> })}
        <path class="line" d=line.path fill="none" stroke=colour stroke-width="1.5" stroke-dasharray=dashes stroke-linecap="round" stroke-linejoin="round" vector-effect="non-scaling-stroke"></path>
    }
}

fn key((colour, dashes): (&'static str, &'static str)) -> impl IntoView {
    view! { <svg width="14" height="2" aria-hidden="true"><path d="M0 1H14" stroke=colour stroke-width="2" stroke-dasharray=dashes></path></svg> }
}
