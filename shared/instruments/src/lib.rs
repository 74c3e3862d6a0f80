//! Logs, metrics and readiness, the same in every service: set up once in `main`, served on a Unix socket in the data
//! folder. It knows nothing of what a service does.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod logs;
pub mod readiness;
pub mod serve;
pub mod shutdown;

pub use logs::init as init_logs;
pub use readiness::Readiness;
pub use serve::{Instruments, InstrumentsError};
pub use shutdown::shutdown;
