//! What goes on: events of the read model and lines of logs, as server-sent events; consoles and screens, as WebSockets; and answers
//! to publishers.
//!
//! A stream ends with its session, with the service, and when its reader does not read: nobody is buffered for.

pub mod events;
pub mod logs;
mod pipe;
pub mod seats;
pub mod sockets;
pub mod status;
pub mod telling;

use std::time::Duration;

/// How often something is sent when there is nothing to say, so that nobody in between closes the connection.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);
