//! The users of the account `ORRERY`: one for each service, and one that provisions.
//!
//! Publishers are not users of this account; each has an account of its own (see `publishers`).

/// A user of the account `ORRERY`, or the one of the system account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum User {
    /// The web side: publishes commands, asks executors, answers publishers.
    Api,
    /// Streams to Postgres: reads only.
    Projector,
    /// Owns stacks and the Docker Engine.
    DockerExecutor,
    /// Owns machines and libvirt.
    LibvirtExecutor,
    /// Makes and checks streams; the only one who may.
    Ops,
    /// The broker's own account, for looking at the server itself.
    System,
}

impl User {
    /// Every user, in the order of the table in `README.md`.
    pub const ALL: [Self; 6] = [Self::Api, Self::Projector, Self::DockerExecutor, Self::LibvirtExecutor, Self::Ops, Self::System];

    /// The name it signs in with; services' sockets and logs carry the same one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Projector => "projector",
            Self::DockerExecutor => "docker-executor",
            Self::LibvirtExecutor => "libvirt-executor",
            Self::Ops => "ops",
            Self::System => "sys",
        }
    }

    /// The user of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|user| user.name() == name)
    }

    /// The inbox prefix that its client must set: no other user may listen there.
    pub fn inbox_prefix(self) -> String {
        inbox_prefix(self.name())
    }
}

/// The inbox prefix of a user or publisher.
pub fn inbox_prefix(name: &str) -> String {
    format!("_INBOX.{name}")
}
