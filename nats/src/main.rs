//! `orrery-nats`: renders the broker's configuration, adds publishers, makes and checks the streams.
//!
//! It only writes files and talks to a broker that runs; starting and stopping one is somebody else's work.

#![allow(clippy::print_stdout)] // A tool for a terminal and for scripts: what it answers goes to standard output.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use orrery_nats::{Layout, config, port, publishers, readme, recovery, reload, server, settings};
use settings::{Settings, Tls};

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// The data folder.
    #[arg(long, env = "ORRERY_DATA_DIR", default_value = "/var/lib/orrery")]
    data_dir: PathBuf,
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Write nats-server.conf, and print where it is and the address that it will have.
    Render(Render),
    /// Make a publisher, write his credentials and render again.
    AddPublisher {
        /// Lower-case letters, digits, `-` and `_`.
        name: String,
    },
    /// Make the streams and buckets, or check the ones that are there.
    Provision {
        /// The engines of this installation.
        #[arg(long, env = "ORRERY_ENGINES", default_value = orrery_nats::provision::ALL_ENGINES)]
        engines: String,
    },
    /// Write the configuration of a broker for a recovery, and print where it will be.
    PrepareRecovery,
    /// Take that configuration and its password away.
    ClearRecovery,
    /// Say which nats-server is used.
    FindServer,
    /// Renew the permissions table of a README.
    Readme {
        /// The file.
        path: PathBuf,
        /// Change nothing; fail when it is stale.
        #[arg(long)]
        check: bool,
    },
}

#[derive(clap::Args)]
struct Render {
    /// The port to listen on; otherwise the remembered one, the usual one, or a free one.
    #[arg(long)]
    port: Option<u16>,
    /// The most that JetStream may keep on disk, in bytes.
    #[arg(long, env = "ORRERY_NATS_MAX_FILE_STORE")]
    max_file_store: Option<u64>,
    /// The address to listen on: the loopback address unless another was chosen.
    #[arg(long, env = "ORRERY_NATS_HOST")]
    host: Option<String>,
    /// The name by which clients know the broker's host, where that is another.
    #[arg(long, env = "ORRERY_NATS_KNOWN_AS")]
    known_as: Option<String>,
    /// The folder of JetStream's files, where the broker has one of its own.
    #[arg(long, env = "ORRERY_NATS_STORE")]
    store: Option<PathBuf>,
    /// The port on its loopback address where it says how it is.
    #[arg(long)]
    monitor_port: Option<u16>,
    /// The certificate chain (PEM): clients must then use TLS.
    #[arg(long, env = "ORRERY_NATS_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// The private key (PEM).
    #[arg(long, env = "ORRERY_NATS_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// A broker runs with this configuration now: keep its address.
    #[arg(long)]
    running: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { data_dir, command } = Arguments::parse();
    let layout = Layout::new(data_dir);
    match command {
        Action::Render(render) => render.run(&layout),
        Action::AddPublisher { name } => add_publisher(&layout, &name).await,
        Action::Provision { engines } => {
            for (stream, ensured) in orrery_nats::provision::provision(&layout, &engines).await? {
                println!("{stream} {ensured:?}");
            }
            Ok(())
        }
        Action::PrepareRecovery => {
            println!("{}", serde_json::to_string(&recovery::prepare(&layout)?)?);
            Ok(())
        }
        Action::ClearRecovery => Ok(recovery::clear(&layout)?),
        Action::FindServer => {
            println!("{}", server::find()?.display());
            Ok(())
        }
        Action::Readme { path, check } => renew_readme(&path, check),
    }
}

impl Render {
    fn run(self, layout: &Layout) -> anyhow::Result<()> {
        let known = Settings::load(layout)?;
        let port = match (self.port, &known) {
            (Some(port), _) => port,
            (None, Some(known)) if self.running => known.port,
            (None, Some(known)) => port::choose(&[known.port])?,
            (None, None) => port::choose(&[port::USUAL])?,
        };
        let mut settings = known.unwrap_or_else(|| Settings::on_port(port));
        settings.port = port;
        if let Some(host) = self.host {
            settings.host = host;
        }
        settings.known_as = self.known_as.or(settings.known_as);
        settings.store = self.store.or(settings.store);
        settings.monitor_port = self.monitor_port.or(settings.monitor_port);
        if let Some(most) = self.max_file_store {
            settings.max_file_store = most;
        }
        if let Some(tls) = tls_pair(self.tls_cert, self.tls_key)? {
            settings.tls = Some(tls);
        }
        let changed = config::install(layout, &settings)?;
        let answer = serde_json::json!({
            "config": layout.config(),
            "url": settings.url(),
            "changed": changed,
        });
        println!("{answer}");
        Ok(())
    }
}

fn tls_pair(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<Tls>, orrery_nats::NatsError> {
    let half = |missing| Err(orrery_nats::NatsError::HalfTls { missing });
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(Tls { certificate, key })),
        (None, None) => Ok(None),
        (Some(_), None) => half("ORRERY_NATS_TLS_KEY"),
        (None, Some(_)) => half("ORRERY_NATS_TLS_CERT"),
    }
}

async fn add_publisher(layout: &Layout, name: &str) -> anyhow::Result<()> {
    let settings =
        Settings::load(layout)?.with_context(|| format!("{} has no broker yet: `cargo xtask up` makes one", layout.data().display()))?;
    publishers::add(layout, name, &settings.url())?;
    config::install(layout, &settings)?;
    println!("credentials: {}", layout.publisher(name).display());
    match reload::reload(layout, &settings).await {
        Ok(()) => println!("the broker knows {name} now"),
        Err(error) => println!("the broker will know {name} when it starts ({error})"),
    }
    println!("name the publisher in ORRERY_PUBLISHERS and start the api again to give him a role");
    Ok(())
}

fn renew_readme(path: &std::path::Path, check: bool) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let renewed = readme::renewed(&text).with_context(|| format!("{} has no marks for the table", path.display()))?;
    if renewed == text {
        return Ok(());
    }
    anyhow::ensure!(!check, "{} is stale: run `cargo xtask schemas`", path.display());
    std::fs::write(path, renewed).with_context(|| format!("cannot write {}", path.display()))
}
