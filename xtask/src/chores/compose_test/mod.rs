//! `cargo xtask compose-test`: puts the programs that are built into images, runs all of Orrery with Compose on a real engine,
//! and does a person's and a publisher's work with it, while each service in turn is started again.
//!
//! It leaves nothing behind but the images.

mod asked;
mod images;
mod machines;
mod publisher;
mod site;
mod story;

use std::time::Instant;

use anyhow::Result;
use clap::Args;

use crate::say;
use crate::tools::engine;
use site::Site;

/// Run all of Orrery in containers, and an end-to-end job against it.
#[derive(Args)]
pub(crate) struct ComposeTest {
    /// The programs of `cargo build --release` instead of those of `cargo build`.
    #[arg(long)]
    release: bool,
    /// Machines too, on a libvirtd of the test's own; that needs root, libvirt and QEMU.
    #[arg(long)]
    machines: bool,
    /// Leave it running.
    #[arg(long)]
    keep: bool,
}

impl ComposeTest {
    pub(crate) fn run(self) -> Result<()> {
        let began = Instant::now();
        engine::find_or_start(std::env::var("DOCKER_HOST").ok().as_deref())?;
        images::build(self.release)?;
        let mut site = Site::choose()?;
        let told = story::tell(&mut site, self.machines);
        if told.is_err() {
            site.last_words();
        }
        if self.keep {
            say::step("compose-test", &format!("it goes on at {}, as the project {}", site.address(), site.project()));
        } else {
            site.leave()?;
        }
        told?;
        say::done("compose-test", "all of it works in containers", began);
        Ok(())
    }
}
