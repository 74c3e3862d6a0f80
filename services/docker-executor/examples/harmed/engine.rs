//! The way to the engine: a socket of one's own before the engine's, with a point before and after each call that changes
//! something. What passes is not looked at beyond its method and path.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};

use crate::points::Points;

/// Listens before the engine at this address, and answers the address to use.
pub(crate) fn before(host: &str, folder: &Path, points: Arc<Points>) -> anyhow::Result<String> {
    let engine = host.strip_prefix("unix://").with_context(|| format!("an engine on a socket is needed, and not {host}"))?;
    let engine: Arc<Path> = Path::new(engine).into();
    let socket = folder.join(format!("engine-{}.sock", std::process::id()));
    // A process of the same number may have left it.
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).with_context(|| format!("listen on {}", socket.display()))?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, Arc::clone(&engine), Arc::clone(&points)));
        }
    });
    Ok(format!("unix://{}", socket.display()))
}

async fn serve(client: UnixStream, engine: Arc<Path>, points: Arc<Points>) {
    let answer = service_fn(move |request| pass(request, Arc::clone(&engine), Arc::clone(&points)));
    if let Err(error) = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), answer).await {
        tracing::debug!("a connection to the engine has ended: {error}");
    }
}

/// An error ends the connection, as it does where the engine is away.
async fn pass(request: Request<Incoming>, engine: Arc<Path>, points: Arc<Points>) -> anyhow::Result<Response<Incoming>> {
    let what = (request.method() != Method::GET && request.method() != Method::HEAD).then(|| in_words(&request));
    if let Some(what) = &what {
        points.pass(&format!("before {what}"));
    }
    let stream = UnixStream::connect(&engine).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    if let Some(what) = &what {
        points.pass(&format!("after {what}"));
    }
    Ok(response)
}

/// `POST containers start`: the path without version and ids.
fn in_words(request: &Request<Incoming>) -> String {
    let mut parts = request.uri().path().split('/').filter(|part| !part.is_empty() && !part.starts_with("v1."));
    let (noun, last) = (parts.next().unwrap_or_default(), parts.next_back());
    let verb = last.filter(|word| word.len() < 16 && word.bytes().all(|byte| byte.is_ascii_lowercase())).unwrap_or_default();
    format!("{} {noun} {verb}", request.method()).trim_end().to_owned()
}
