//! What handlers take out of a request. Every refusal here is a problem, as everywhere.
//!
//! Nothing here knows the database or the broker.

mod answers;
mod body;
mod conditions;
mod path;
mod query;

pub use answers::{Accepted, With};
pub use body::{Body, read_all};
pub(crate) use conditions::header;
pub use conditions::{Idempotency, IfMatch};
pub use path::At;
pub use query::{Page, Params, wait_time};
