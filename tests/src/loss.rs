//! A broker that loses what it had, made with its own files, and the way back as `cargo xtask recover` goes it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use orrery_contracts::Time;
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::history::Recovery;
use crate::installation::Installation;
use crate::service::Service;

/// An earlier state of a broker's store.
#[derive(Debug)]
pub struct OldStore(TempDir);

impl Installation {
    /// Keeps the broker's store as it is now; the broker is away meanwhile.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub async fn keep_store(&mut self) -> anyhow::Result<OldStore> {
        self.broker.stop()?;
        let old = OldStore(tempfile::tempdir().context("make a folder")?);
        copy(&self.broker.layout().store(), &old.0.path().join("store"))?;
        self.broker.start().await.context("the broker does not come back")?;
        Ok(old)
    }

    /// Kills the broker, and starts it with these streams as they were in its old store; with all of that where none is named.
    ///
    /// # Errors
    /// When that store has no such stream.
    pub async fn put_old_store_back(&mut self, old: &OldStore, streams: &[&str]) -> anyhow::Result<()> {
        self.broker.kill();
        let (now, before) = (self.broker.layout().store(), old.0.path().join("store"));
        let mut places: Vec<String> = streams.iter().map(|name| format!("jetstream/ORRERY/streams/{name}")).collect();
        if streams.is_empty() {
            places.push("jetstream".to_owned());
        }
        for place in places {
            let (now, before) = (now.join(&place), before.join(&place));
            std::fs::remove_dir_all(&now).with_context(|| format!("remove {}", now.display()))?;
            copy(&before, &now)?;
        }
        self.broker.start().await.context("the broker does not come back")
    }

    /// Stops everything but the database, has the broker's streams put back, and starts everything again. Answers what the
    /// recovery said.
    ///
    /// # Errors
    /// When it does not come to its end, or something is not ready afterwards.
    pub async fn recover(&mut self) -> anyhow::Result<String> {
        for service in Service::ALL {
            self.process(service).stop()?;
        }
        let began = now();
        let open = self.broker.open_for_recovery().await?;
        let mut command = Command::new(Service::Projector.program()?);
        command
            .arg("recover")
            .envs(self.environment_of(Service::Projector))
            .env("ORRERY_NATS_URL", &open.prepared.url)
            .env("ORRERY_NATS_USER", open.prepared.user)
            .env("ORRERY_NATS_PASSWORD_FILE", &open.prepared.password_file)
            .env("ORRERY_NATS_MAX_FILE_STORE", open.prepared.storage_bytes.to_string());
        let output = command.output().context("run the recovery")?;
        open.close()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        self.recoveries.push(Recovery { began, ended: now() });
        self.broker.start().await.context("the broker does not come back")?;
        for service in Service::ALL {
            self.process(service).start()?;
        }
        for service in Service::ALL {
            self.ready(service).await?;
        }
        Ok(said)
    }
}

fn now() -> Time {
    Time::new(OffsetDateTime::now_utc())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    // Without the last part of `from`, also where `to` is there.
    let status = Command::new("cp").arg("--archive").arg("--no-target-directory").args([from, to]).status().context("run cp")?;
    ensure!(status.success(), "cp {} {} ended with {status}", from.display(), to.display());
    Ok(())
}
