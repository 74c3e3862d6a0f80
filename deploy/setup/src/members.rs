//! The users of an installation in containers. Their numbers stand in `deploy/Dockerfile` and `docker-compose.yml` too: a
//! volume remembers them, so they never change.

use clap::ValueEnum;

/// Somebody who runs in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Member {
    Postgres,
    Nats,
    Api,
    Projector,
    DockerExecutor,
    LibvirtExecutor,
}

impl Member {
    /// Those that sign in to the broker.
    pub(crate) const SERVICES: [Self; 4] = [Self::Api, Self::Projector, Self::DockerExecutor, Self::LibvirtExecutor];

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

    /// Its group, which has the number of its user.
    pub(crate) const fn group(self) -> u32 {
        match self {
            Self::Postgres => 10_001,
            Self::Nats => 10_002,
            Self::Api => 10_003,
            Self::Projector => 10_004,
            Self::DockerExecutor => 10_005,
            Self::LibvirtExecutor => 10_006,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPOSE: &str = include_str!("../../../docker-compose.yml");
    const IMAGE: &str = include_str!("../../files.sh");
    const POSTGRES: &str = include_str!("../../Dockerfile");

    #[test]
    fn the_numbers_are_the_same_wherever_they_stand() {
        for member in Member::value_variants() {
            let number = member.group();
            assert!(COMPOSE.contains(&format!("user: \"{number}:{number}\"")), "{member:?} in docker-compose.yml");
            assert!(COMPOSE.contains(&format!("\"{number}\"")), "{member:?} among the setup's groups");
            assert!(IMAGE.contains(&format!("\n{number} {}\n", member.name())), "{member:?} in files.sh");
        }
        let postgres = Member::Postgres.group();
        assert!(POSTGRES.contains(&format!("--uid {postgres} --gid {postgres} postgres")), "postgres in the Dockerfile");
    }

    #[test]
    fn the_file_runs_the_images_of_its_own_release() {
        let tag = format!("${{ORRERY_VERSION:-{}}}", env!("CARGO_PKG_VERSION"));
        assert_eq!(COMPOSE.matches("ORRERY_VERSION:-").count(), COMPOSE.matches(&tag).count());
        assert!(COMPOSE.contains(&tag));
    }
}
