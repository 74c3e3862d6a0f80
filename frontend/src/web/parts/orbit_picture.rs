//! The shape of a stack, drawn: each service in the colour of how it is.

use std::collections::BTreeMap;

use leptos::prelude::*;

use crate::orbit::{Body, SQUEEZE, picture};
use crate::words::Tone;

#[component]
pub(crate) fn OrbitPicture(
    #[prop(into)] bodies: Signal<Vec<Body>>,
    /// How each service is; one that is not there is drawn as off.
    #[prop(into)]
    tones: Signal<BTreeMap<String, Tone>>,
) -> impl IntoView {
    let drawing = Memo::new(move |_| picture(&bodies.get()));
    let said = move || bodies.get().iter().map(|body| body.name.clone()).collect::<Vec<_>>().join(", ");
    move || {
        let picture = drawing.get();
        let (mx, my) = picture.middle;
        let ring = move |radius: &f64| view! { <ellipse class="ring" cx=mx cy=my rx=*radius ry=radius * SQUEEZE></ellipse> };
        let tie = |((x1, y1), (x2, y2)): &((f64, f64), (f64, f64))| view! { <line class="tie" x1=*x1 y1=*y1 x2=*x2 y2=*y2></line> };
        let places = picture.places.iter().map(|place| {
            let tone = tones.with(|tones| tones.get(&place.name).copied().unwrap_or(Tone::Off));
            let (lx, ly, anchor) = place.label;
            let label = crate::words::shorten(&place.name, 16);
            let label = if place.replicas == 1 { label } else { format!("{label} × {}", place.replicas) };
            view! {
                <circle class=tone.class() cx=place.x cy=place.y r=place.radius></circle>
                <text x=lx y=ly text-anchor=anchor>{label}</text>
            }
        });
        view! {
            <svg class="orbit" viewBox=format!("0 0 300 {:.0}", picture.height.max(1.0)) role="img" aria-label=format!("Services and what they lean on: {}", said())>
                {picture.rings.iter().map(ring).collect_view()}
                {picture.ties.iter().map(tie).collect_view()}
                {places.collect_view()}
            </svg>
        }
    }
}
