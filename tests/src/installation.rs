//! A whole Orrery of a test's own: database, broker, the four services as processes, on free ports, in a folder that goes
//! with it. The engine is the machine's; what a test makes there is swept away at the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;
use orrery_nats::testing::Broker;
use orrery_nats::{Layout, User};
use uuid::Uuid;

use crate::api::Api;
use crate::engine::Engine;
use crate::history::Recovery;
use crate::images;
use crate::postgres::Cluster;
use crate::publisher::Publisher;
use crate::service::{Process, Service};
use crate::wait::eventually;

/// How long a service may take until it is ready; a machine that compiles at the same time is slow.
pub const READY_WITHIN: Duration = Duration::from_secs(60);

/// How an installation differs from what is released.
#[derive(Clone, Copy, Debug, Default)]
pub struct Form<'a> {
    /// More settings for every service.
    pub settings: &'a [(&'a str, &'a str)],
    /// The docker-executor is the one that tests harm; it is told these settings too.
    pub harmed: Option<&'a [(&'a str, &'a str)]>,
    /// The database's data is on a disk of so many megabytes.
    pub database_disk: Option<u32>,
    /// The database waits for its disk, as a released one does; otherwise it saves the time.
    pub database_syncs: bool,
    /// The address of another engine than the machine's.
    pub engine: Option<&'a str>,
}

/// An installation. [`Installation::end`] it at the end of a test; one that is dropped without prints its logs.
#[derive(Debug)]
pub struct Installation {
    /// The REST API, with the administrator's token.
    pub api: Api,
    /// The engine, looked at past Orrery.
    pub engine: Engine,
    /// The broker; tests kill it and start it again.
    pub broker: Broker,
    /// The database; tests kill it and start it again.
    pub postgres: Cluster,
    /// When the broker was recovered.
    pub(crate) recoveries: Vec<Recovery>,
    services: BTreeMap<Service, Process>,
    projects: Mutex<Vec<String>>,
    ended: bool,
}

impl Installation {
    /// Starts everything, and waits until all of it is ready.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_as(Form::default()).await
    }

    /// The same, with more settings for every service.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start_with(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_as(Form { settings, ..Form::default() }).await
    }

    /// The same in another form.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start_as(form: Form<'_>) -> anyhow::Result<Self> {
        let engine = match form.engine {
            Some(host) => Engine::at(host).await?,
            None => Engine::connect().await?,
        };
        images::busybox(engine.docker()).await?;
        let postgres = Cluster::start_as(form.database_disk, form.database_syncs).context("start a database")?;
        let broker = Broker::provisioned().await.context("start a broker")?;
        migrate(&postgres)?;
        let port = orrery_nats::port::any()?;
        let data = broker.data().to_owned();
        std::fs::create_dir_all(data.join("web")).context("make the page's folder")?;
        std::fs::write(data.join("web/index.html"), "<!doctype html><title>Orrery</title>").context("write a page")?;
        let mut services = BTreeMap::new();
        for service in Service::ALL {
            let mut settings = form.settings.to_vec();
            settings.extend(form.engine.filter(|_| service == Service::DockerExecutor).map(|host| ("DOCKER_HOST", host)));
            let mut process = Process::new(service, &data, environment(service, &broker, &postgres, port, &settings));
            if let Some(settings) = form.harmed.filter(|_| service == Service::DockerExecutor) {
                process = process.harmed(&data.join("harm"), settings)?;
            }
            services.insert(service, process);
        }
        let api = Api::new(&format!("http://127.0.0.1:{port}"), None)?;
        let (recoveries, projects) = (Vec::new(), Mutex::default());
        let mut orrery = Self { api, engine, broker, postgres, recoveries, services, projects, ended: false };
        for service in Service::ALL {
            orrery.process(service).start()?;
        }
        for service in Service::ALL {
            orrery.ready(service).await?;
        }
        let token = eventually("the administrator's token", READY_WITHIN, || {
            let token = std::fs::read_to_string(data.join("admin.token")).context("read the administrator's token");
            std::future::ready(token.map(|token| (!token.trim().is_empty()).then_some(token)))
        })
        .await?;
        orrery.api = Api::new(&format!("http://127.0.0.1:{port}"), Some(token.trim().to_owned()))?;
        Ok(orrery)
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        self.broker.data()
    }

    /// The process of a service.
    ///
    /// # Panics
    /// Never: all four are there from the start.
    pub fn process(&mut self, service: Service) -> &mut Process {
        let data = self.broker.data();
        self.services.entry(service).or_insert_with(|| Process::new(service, data, Vec::new()))
    }

    /// Waits until a service says that it is ready.
    ///
    /// # Errors
    /// When it ends instead, or takes too long.
    pub async fn ready(&mut self, service: Service) -> anyhow::Result<()> {
        let process = std::sync::Arc::new(tokio::sync::Mutex::new(self.process(service)));
        let look = || {
            let process = std::sync::Arc::clone(&process);
            async move {
                match process.lock().await.ready().await? {
                    Ok(()) => Ok(Some(())),
                    Err(waits) => anyhow::bail!("it waits: {waits}"),
                }
            }
        };
        let waited = eventually(&format!("{} to be ready", service.name()), READY_WITHIN, look).await;
        waited.with_context(|| self.process(service).tail(30))
    }

    /// What a service waits for; none when it is ready.
    ///
    /// # Errors
    /// When it has ended, or does not answer.
    pub async fn waits_of(&mut self, service: Service) -> anyhow::Result<Option<String>> {
        Ok(self.process(service).ready().await?.err())
    }

    /// The process id of a service, while it runs.
    #[must_use]
    pub fn pid(&self, service: Service) -> Option<u32> {
        self.services.get(&service).and_then(Process::pid)
    }

    /// The environment of a service, for a program of its own that is run beside it.
    #[must_use]
    pub fn environment_of(&self, service: Service) -> Vec<(String, String)> {
        self.services.get(&service).map(|process| process.environment().to_vec()).unwrap_or_default()
    }

    /// A second docker-executor of the same form, as on another host: with a data folder and a lock of its own. Not started.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn second_executor(&mut self) -> anyhow::Result<Process> {
        let data = self.data().join("second");
        self.process(Service::DockerExecutor).elsewhere(&data)
    }

    /// Kills a service as a crash would, and starts it again. Does not wait until it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub fn crash(&mut self, service: Service) -> anyhow::Result<()> {
        self.process(service).kill();
        self.process(service).start()
    }

    /// A name for a stack that nobody else on this engine has; what it leaves there is swept away at the end.
    #[must_use]
    pub fn name(&self, word: &str) -> String {
        let random = Uuid::new_v4().simple().to_string();
        let name = format!("{word}-{}", random.get(..8).unwrap_or_default());
        if let Ok(mut projects) = self.projects.lock() {
            projects.push(name.clone());
        }
        name
    }

    /// Signs in at the broker as the publisher that every installation has.
    ///
    /// # Errors
    /// When the broker does not let him in.
    pub async fn ci(&self) -> anyhow::Result<Publisher> {
        let path = self.data().join("publishers/ci.env");
        let credentials = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Publisher::sign_in(&credentials).await
    }

    /// A connection to the broker that may read every stream, to look at them past the services.
    ///
    /// # Errors
    /// When the broker is away.
    pub async fn reading(&self) -> anyhow::Result<async_nats::jetstream::Context> {
        Ok(async_nats::jetstream::new(self.broker.connect(User::Projector).await?))
    }

    /// Ends the test: what was made on the engine goes, the services end on SIGTERM, and none of them has panicked.
    ///
    /// # Errors
    /// When a service does not end well.
    pub async fn end(mut self) -> anyhow::Result<()> {
        for process in self.services.values_mut().filter(|process| process.pid().is_some()) {
            process.stop()?;
        }
        for service in Service::ALL {
            let log = self.log(service);
            let panicked = log.lines().find(|line| line.contains("panicked at"));
            anyhow::ensure!(panicked.is_none(), "{} panicked: {panicked:?}", service.name());
        }
        self.sweep().await;
        self.ended = true;
        Ok(())
    }

    /// Ends a test that has broken things on purpose: everything is killed, and what was made on the engine goes.
    pub async fn abandon(mut self) {
        for process in self.services.values_mut() {
            process.kill();
        }
        self.sweep().await;
        self.ended = true;
    }

    /// The whole log of a service.
    #[must_use]
    pub fn log(&self, service: Service) -> String {
        std::fs::read_to_string(self.data().join("log").join(format!("{}.log", service.name()))).unwrap_or_default()
    }

    async fn sweep(&self) {
        let projects = self.projects.lock().map(|projects| projects.clone()).unwrap_or_default();
        for project in projects {
            self.engine.sweep(&project).await;
        }
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        for (service, process) in &mut self.services {
            println!("---- {} ----\n{}", service.name(), process.tail(60));
            process.kill();
        }
        // A drop cannot wait in the test's own runtime, so the broom gets a thread and a runtime of its own.
        let (engine, projects) = (self.engine.clone(), self.projects.lock().map(|projects| projects.clone()).unwrap_or_default());
        let broom = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async {
                    for project in projects {
                        engine.sweep(&project).await;
                    }
                });
            }
        });
        let _ = broom.join();
    }
}

fn migrate(postgres: &Cluster) -> anyhow::Result<()> {
    let output = std::process::Command::new(Service::Projector.program()?)
        .arg("migrate")
        .env("ORRERY_DATABASE_OWNER_URL", postgres.url("orrery_owner"))
        .output()
        .context("run the migrations")?;
    anyhow::ensure!(output.status.success(), "the migrations failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn environment(service: Service, broker: &Broker, postgres: &Cluster, port: u16, settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let data = broker.data().display().to_string();
    let user = User::parse(service.name()).map(|user| Layout::new(broker.data()).password(user).display().to_string());
    let mut environment = vec![
        ("ORRERY_LOCK_DIR", format!("{data}/lock")),
        ("ORRERY_NATS_URL", broker.url()),
        ("ORRERY_NATS_USER", service.name().to_owned()),
        ("ORRERY_NATS_PASSWORD_FILE", user.unwrap_or_default()),
        ("ORRERY_LOG", std::env::var("ORRERY_TEST_LOG").unwrap_or_else(|_| "info".into())),
        ("ORRERY_DATA_DIR", data.clone()),
    ];
    match service {
        Service::Api => environment.extend([
            ("ORRERY_LISTEN", format!("127.0.0.1:{port}")),
            ("ORRERY_WEB_DIR", format!("{data}/web")),
            ("ORRERY_ADMIN_PASSWORD", ADMIN_PASSWORD.to_owned()),
            ("ORRERY_DATABASE_URL", postgres.url("orrery_api")),
        ]),
        Service::Projector => environment.push(("ORRERY_DATABASE_URL", postgres.url("orrery_projector"))),
        Service::DockerExecutor | Service::LibvirtExecutor => {
            environment.extend(std::env::var("DOCKER_HOST").map(|host| ("DOCKER_HOST", host)));
        }
    }
    environment.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
    environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The first administrator's password in every test.
pub const ADMIN_PASSWORD: &str = "the crank turns the planets";
