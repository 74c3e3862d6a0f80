//! What the tests stand on: a database of one's own, stories to tell it, and its rows as text.

pub mod database;
pub mod live;
pub mod story;

pub use database::Database;
pub use story::Story;
