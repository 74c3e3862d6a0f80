//! The statements, one file per aggregate, checked when they are compiled. They decide nothing.

pub mod commands;
pub mod containers;
pub mod domains;
pub mod feed;
pub mod meta;
pub mod offsets;
pub mod raw;
pub mod stacks;
pub mod steps;
pub mod swap;

/// A number of a stream, attempt or version as PostgreSQL has it. None of them ever comes near the limit.
#[must_use]
pub fn big(number: impl Into<u64>) -> i64 {
    i64::try_from(number.into()).unwrap_or(i64::MAX)
}

/// The way back.
#[must_use]
pub fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// The way back for attempts, runs and versions.
#[must_use]
pub fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
