//! `/healthz`, `/readyz` and `/metrics` on `<data dir>/run/<service>.sock`, for the service's own user alone.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use thiserror::Error;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use crate::readiness::Readiness;

/// Buckets of every duration, in seconds: from a plain transition to a long build.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

/// Why the instruments could not be set up.
#[derive(Debug, Error)]
pub enum InstrumentsError {
    /// Metrics are recorded by something else already.
    #[error("metrics cannot be recorded")]
    Metrics(#[source] BuildError),
    /// The socket cannot be made.
    #[error("the instruments' socket {path} cannot be made")]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What the routes answer from.
#[derive(Clone, Debug)]
struct Panel {
    readiness: Readiness,
    metrics: PrometheusHandle,
}

/// The instruments of one service, served until this value is dropped.
#[derive(Debug)]
pub struct Instruments {
    readiness: Readiness,
    metrics: PrometheusHandle,
    socket: Option<PathBuf>,
    tasks: Vec<JoinHandle<()>>,
}

impl Instruments {
    /// Starts to record metrics; `service` is a label of all of them.
    ///
    /// # Errors
    /// When the process has another recorder.
    pub fn start(service: &str) -> Result<Self, InstrumentsError> {
        let builder = PrometheusBuilder::new().add_global_label("service", service);
        let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS).map_err(InstrumentsError::Metrics)?;
        let metrics = builder.install_recorder().map_err(InstrumentsError::Metrics)?;
        let readiness = Readiness::starting();
        let tasks = vec![tokio::spawn(readiness.clone().log_changes()), tokio::spawn(upkeep(metrics.clone()))];
        Ok(Self { readiness, metrics, socket: None, tasks })
    }

    /// What the service waits for.
    #[must_use]
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// The metrics, as `/metrics` shows them: for a service that has a listener of its own.
    #[must_use]
    pub fn render_metrics(&self) -> String {
        self.metrics.render()
    }

    /// A handle on the metrics, for a service that has a listener of its own.
    #[must_use]
    pub fn metrics(&self) -> PrometheusHandle {
        self.metrics.clone()
    }

    /// The three routes, for a socket or for a listener of the service's own.
    pub fn routes(&self) -> Router {
        routes(&self.readiness, &self.metrics)
    }

    /// Serves them on `<data dir>/run/<service>.sock`. A socket that a dead process left is replaced.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn listen(&mut self, data_dir: &Path, service: &str) -> Result<(), InstrumentsError> {
        let path = data_dir.join("run").join(format!("{service}.sock"));
        let listener = bind(&path).map_err(|source| InstrumentsError::Socket { path: path.clone(), source })?;
        let routes = self.routes();
        self.tasks.push(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!("the instruments are no longer served: {error}");
            }
        }));
        self.socket = Some(path);
        Ok(())
    }
}

impl Drop for Instruments {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        if let Some(path) = &self.socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // The socket is made under a name that nobody asks for, and shown once only its owner may use it.
    let hidden = path.with_extension(format!("{}.new", std::process::id()));
    let _ = std::fs::remove_file(&hidden);
    let listener = UnixListener::bind(&hidden)?;
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&hidden, path)?;
    Ok(listener)
}

fn routes(readiness: &Readiness, metrics: &PrometheusHandle) -> Router {
    let panel = Panel { readiness: readiness.clone(), metrics: metrics.clone() };
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(show_metrics))
        .with_state(panel)
}

async fn ready(State(panel): State<Panel>) -> Response {
    let answer = panel.readiness.answer();
    let status = if answer.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(answer)).into_response()
}

async fn show_metrics(State(panel): State<Panel>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], panel.metrics.render()).into_response()
}

async fn upkeep(metrics: PrometheusHandle) {
    let mut ticks = tokio::time::interval(std::time::Duration::from_secs(5));
    loop {
        ticks.tick().await;
        metrics.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;

    async fn ask(socket: &Path, path: &str) -> String {
        let mut stream = UnixStream::connect(socket).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_socket_answers_for_its_owner_also_where_a_dead_process_left_one() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("run/toy.sock");
        std::fs::create_dir_all(folder.path().join("run")).unwrap();
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let mut instruments = Instruments::start("toy").unwrap();
        instruments.listen(folder.path(), "toy").unwrap();
        assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(ask(&socket, "/healthz").await.starts_with("HTTP/1.1 200"));
        let waiting = ask(&socket, "/readyz").await;
        assert!(waiting.starts_with("HTTP/1.1 503"), "{waiting}");
        assert!(waiting.ends_with(r#"{"ready":false,"waiting_for":[{"what":"start","detail":"starting"}]}"#), "{waiting}");
        instruments.readiness().started();
        assert!(ask(&socket, "/readyz").await.ends_with(r#"{"ready":true,"waiting_for":[]}"#));
        metrics::counter!("orrery_toys_total").increment(2);
        metrics::histogram!("orrery_toy_duration_seconds").record(0.02);
        let shown = ask(&socket, "/metrics").await;
        assert!(shown.contains(r#"orrery_toys_total{service="toy"} 2"#), "{shown}");
        assert!(shown.contains(r#"orrery_toy_duration_seconds_bucket{service="toy",le="0.025"} 1"#), "{shown}");
        drop(instruments);
        assert!(!socket.exists());
    }
}
