//! The chores beside running an installation.

pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod browser;
pub(crate) mod compose_test;
pub(crate) mod digest;
pub(crate) mod fuzz;
pub(crate) mod images;
pub(crate) mod report;
pub(crate) mod schemas;
pub(crate) mod screenshots;
pub(crate) mod soak;
pub(crate) mod sqlx;
pub(crate) mod test;
pub(crate) mod tidy;
pub(crate) mod web;
