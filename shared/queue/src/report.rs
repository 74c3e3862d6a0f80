//! How this crate says what it waits for, without knowing how readiness is served: through a callback that the service
//! gives it.

use std::fmt;
use std::sync::Arc;

/// Receives conditions: `(what, Some(detail))` while something is waited for, `(what, None)` when it is there.
#[derive(Clone)]
pub struct Report(Arc<dyn Fn(&'static str, Option<String>) + Send + Sync>);

impl Report {
    /// Reports through this function; it is called often with what it knows already, and must not block.
    pub fn new(receive: impl Fn(&'static str, Option<String>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receive))
    }

    /// Reports to nobody.
    #[must_use]
    pub fn nobody() -> Self {
        Self::new(|_, _| {})
    }

    /// `what` is waited for.
    pub fn waits(&self, what: &'static str, detail: impl Into<String>) {
        (self.0)(what, Some(detail.into()));
    }

    /// `what` is there.
    pub fn has(&self, what: &'static str) {
        (self.0)(what, None);
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Report")
    }
}
