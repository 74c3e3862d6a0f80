//! What the tests stand on: a database, a broker, the projector, the api over them, and a hand that acts as an executor.

mod executor;
mod http;
mod socket;
mod uploads;

use std::process::Command;
use std::time::Duration;

use orrery_api::config::Config;
use orrery_contracts::{BundleLimits, Engine};
use orrery_nats::User;
use orrery_nats::testing::Broker;
use orrery_queue::BrokerConfig;
use orrery_tests::postgres::Cluster;
use orrery_tests::service::Process;
use orrery_tests::{Service, eventually};
use uuid::Uuid;

pub use executor::Executor;
pub use http::{Answer, Caller};

/// How long anything may take in a test, on a machine that compiles meanwhile.
pub const SOON: Duration = Duration::from_secs(40);

/// The administrator's password in tests.
pub const PASSWORD: &str = "correct horse battery";

/// An api with everything that it needs, but executors.
pub struct World {
    pub api: orrery_api::Api,
    pub cluster: Cluster,
    pub broker: Broker,
    pub projector: Process,
    address: String,
    token: String,
}

impl World {
    /// Starts everything and waits until the projector has begun the feed of this database, and the api is ready.
    pub async fn start() -> Self {
        let mut world = Self::start_early().await;
        let projector = tokio::sync::Mutex::new(&mut world.projector);
        eventually("the projector to be ready", SOON, || async {
            match projector.lock().await.ready().await? {
                Ok(()) => Ok(Some(())),
                Err(waits) => anyhow::bail!("it waits: {waits}"),
            }
        })
        .await
        .unwrap();
        let caller = world.anonymous();
        eventually("the api to be ready", SOON, || async {
            let answer = caller.get("/readyz").await;
            if answer.status != 200 || !known(&answer) {
                anyhow::bail!("{}", answer.text);
            }
            Ok(Some(()))
        })
        .await
        .unwrap();
        world
    }

    async fn start_early() -> Self {
        let cluster = Cluster::start().unwrap();
        let broker = Broker::provisioned().await.unwrap();
        broker.publisher("ci").await.unwrap();
        migrate(&cluster);
        let mut projector = Process::new(Service::Projector, broker.data(), projector_environment(&cluster, &broker));
        projector.start().unwrap();
        std::fs::create_dir_all(broker.data().join("web/assets")).unwrap();
        let api = state(&cluster, &broker).await;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let service = orrery_api::app(api.clone()).into_make_service_with_connect_info::<orrery_api::listener::Peer>();
        tokio::spawn(async move { axum::serve(orrery_api::listener::Patient(listener), service).await });
        orrery_api::background(&api);
        let path = broker.data().join("admin.token");
        let read = || std::future::ready(Ok(std::fs::read_to_string(&path).ok().filter(|token| !token.trim().is_empty())));
        let token = eventually("the administrator's token", SOON, read).await.unwrap();
        Self { api, cluster, broker, projector, address, token: token.trim().to_owned() }
    }

    /// The administrator, by his token.
    pub fn admin(&self) -> Caller {
        Caller::new(&self.address).with_token(&self.token)
    }

    /// Nobody.
    pub fn anonymous(&self) -> Caller {
        Caller::new(&self.address)
    }

    /// The administrator's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Somebody of this name and role, by a token.
    pub async fn user(&self, name: &str, role: &str) -> Caller {
        let (id, token) = (Uuid::now_v7(), format!("orrery_{name}"));
        let user = "INSERT INTO auth.users (id, username, password_hash, role) VALUES ($1, $2, '', $3)";
        sqlx::query(user).bind(id).bind(name).bind(role).execute(&self.api.database).await.unwrap();
        let kept = "INSERT INTO auth.tokens (id, user_id, name, token_hash) VALUES ($1, $1, 'test', sha256($2))";
        sqlx::query(kept).bind(id).bind(token.as_bytes()).execute(&self.api.database).await.unwrap();
        Caller::new(&self.address).with_token(&token)
    }

    /// Gives somebody another role.
    pub async fn role(&self, name: &str, role: &str) {
        let change = "UPDATE auth.users SET role = $2 WHERE username = $1";
        sqlx::query(change).bind(name).bind(role).execute(&self.api.database).await.unwrap();
    }

    /// A hand that acts as the docker-executor.
    pub async fn executor(&self) -> Executor {
        self.executor_of(Engine::Docker).await
    }

    /// A hand that acts as the executor of this engine.
    pub async fn executor_of(&self, engine: Engine) -> Executor {
        Executor::connect(&self.broker, engine).await
    }
}

/// Whether the projector has written down which installation this is.
fn known(answer: &Answer) -> bool {
    answer.json["ready"] == true
}

impl Drop for World {
    fn drop(&mut self) {
        self.api.ending.cancel();
        if std::thread::panicking() {
            println!("projector: {}", self.projector.tail(20));
        }
    }
}

fn migrate(cluster: &Cluster) {
    let program = Service::Projector.program().unwrap();
    let status = Command::new(program).arg("migrate").env("ORRERY_DATABASE_OWNER_URL", cluster.url("orrery_owner")).status().unwrap();
    assert!(status.success(), "the migrations");
}

fn projector_environment(cluster: &Cluster, broker: &Broker) -> Vec<(String, String)> {
    let password = broker.layout().password(User::Projector).display().to_string();
    [
        ("ORRERY_DATA_DIR", broker.data().display().to_string()),
        ("ORRERY_DATABASE_URL", cluster.url("orrery_projector")),
        ("ORRERY_NATS_URL", broker.url()),
        ("ORRERY_NATS_USER", "projector".to_owned()),
        ("ORRERY_NATS_PASSWORD_FILE", password),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

async fn state(cluster: &Cluster, broker: &Broker) -> orrery_api::Api {
    let config = Config {
        data_dir: broker.data().to_owned(),
        listen: ([127, 0, 0, 1], 0).into(),
        database_url: cluster.url("orrery_api"),
        admin_password: Some(PASSWORD.to_owned()),
        web_dir: broker.data().join("web"),
        publishers: vec![(
            "ci".parse().unwrap(),
            orrery_contracts::PolicyEntry { role: orrery_contracts::Role::User, quota: Default::default() },
        )],
        limits: BundleLimits { bytes: 2 << 20, files: 50, file_bytes: 1 << 20 },
        behind_tls: false,
    };
    let link = BrokerConfig {
        url: broker.url(),
        user: "api".to_owned(),
        password_file: Some(broker.layout().password(User::Api)),
        authority: None,
    };
    orrery_api::Api::new(config, orrery_queue::Broker::connect(&link).await.unwrap()).unwrap()
}
