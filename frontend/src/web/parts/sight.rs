//! The part of a long table that is in sight: the rows there, and blank space for the others, so that a thousand rows stay smooth.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::web::js;

/// The height of a row, and how many are kept beyond what is seen.
const ROW: f64 = 41.0;
const BEYOND: usize = 15;

/// What is in sight.
#[derive(Clone, Copy)]
pub(crate) struct Sight {
    /// The body of the table.
    pub(crate) body: NodeRef<html::Tbody>,
    first: RwSignal<usize>,
    fits: RwSignal<usize>,
    total: Memo<usize>,
}

impl Sight {
    /// Watches a table of so many rows.
    pub(crate) fn new(total: Memo<usize>) -> Self {
        let sight = Self { body: NodeRef::new(), first: RwSignal::new(0), fits: RwSignal::new(60), total };
        let scroll = window_event_listener(leptos::ev::scroll, move |_| sight.measure());
        on_cleanup(move || scroll.remove());
        sight
    }

    fn measure(self) {
        let Some(body) = self.body.get_untracked() else { return };
        let body: &web_sys::Element = body.unchecked_ref();
        let height = js::window().inner_height().ok().and_then(|height| height.as_f64()).unwrap_or(800.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let (above, seen) = ((-body.get_bounding_client_rect().top() / ROW).max(0.0) as usize, (height / ROW) as usize);
        let above = above.saturating_sub(BEYOND);
        if self.first.get_untracked() != above {
            self.first.set(above);
        }
        if self.fits.get_untracked() != seen + 2 * BEYOND {
            self.fits.set(seen + 2 * BEYOND);
        }
    }

    fn window(self) -> (usize, usize, usize) {
        let total = self.total.get();
        let from = self.first.get().min(total.saturating_sub(1));
        (from, (from + self.fits.get()).min(total), total)
    }

    /// The rows in sight.
    pub(crate) fn of<T: Clone>(self, rows: &[T]) -> Vec<T> {
        let (from, to, _) = self.window();
        rows.get(from..to).map(<[T]>::to_vec).unwrap_or_default()
    }

    /// The height of the blank space above them, and below.
    pub(crate) fn above(self) -> String {
        blank(self.window().0)
    }

    pub(crate) fn below(self) -> String {
        let (_, to, total) = self.window();
        blank(total - to)
    }
}

#[allow(clippy::cast_precision_loss)]
fn blank(rows: usize) -> String {
    format!("{:.0}px", rows as f64 * ROW)
}
