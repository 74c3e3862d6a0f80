//! The six processes of an installation: names, order, what depends on what, and how each is asked to end.

use std::time::Duration;

use clap::ValueEnum;
use rustix::process::Signal;

/// A process of the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Member {
    Postgres,
    Nats,
    Api,
    Projector,
    DockerExecutor,
    LibvirtExecutor,
}

impl Member {
    /// In the order in which they start; they stop the other way round.
    pub(crate) const ALL: [Self; 6] = [Self::Postgres, Self::Nats, Self::Projector, Self::DockerExecutor, Self::LibvirtExecutor, Self::Api];

    /// Our own programs.
    pub(crate) const SERVICES: [Self; 4] = [Self::Projector, Self::DockerExecutor, Self::LibvirtExecutor, Self::Api];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Nats => "nats",
            Self::Api => "api",
            Self::Projector => "projector",
            Self::DockerExecutor => "docker-executor",
            Self::LibvirtExecutor => "libvirt-executor",
        }
    }

    /// What must be ready again after this one was started again, so that everything works.
    pub(crate) const fn dependants(self) -> &'static [Self] {
        match self {
            Self::Postgres => &[Self::Projector, Self::Api],
            Self::Nats => &Self::SERVICES,
            Self::Projector | Self::DockerExecutor | Self::LibvirtExecutor => &[Self::Api],
            Self::Api => &[],
        }
    }

    /// The signal that asks it to end in order. Postgres takes SIGTERM as "when the last client has gone".
    pub(crate) const fn gentle(self) -> Signal {
        match self {
            Self::Postgres => Signal::INT,
            Self::Nats | Self::Api | Self::Projector | Self::DockerExecutor | Self::LibvirtExecutor => Signal::TERM,
        }
    }

    /// How long it may take to end in order. The executors finish the step in hand.
    pub(crate) const fn patience(self) -> Duration {
        Duration::from_secs(match self {
            Self::DockerExecutor | Self::LibvirtExecutor => 30,
            Self::Postgres | Self::Nats => 30,
            Self::Api | Self::Projector => 15,
        })
    }
}
