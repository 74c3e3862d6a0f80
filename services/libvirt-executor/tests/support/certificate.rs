//! A server's own certificate, and what it serves with it.

use std::net::TcpListener;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::executor::answer;

pub struct Certificate(CertifiedKey<KeyPair>);

impl Certificate {
    pub fn new() -> Self {
        Self(rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.cert.pem()
    }

    /// The address at which this content is served.
    pub fn served(&self, listener: TcpListener, content: Vec<u8>) -> String {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_no_client_auth().with_single_cert(vec![self.0.cert.der().clone()], key).unwrap());
        let url = format!("https://{}/file", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // Who does not trust it goes away in the middle of the handshake.
                let _ = answer(StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream.unwrap()), &content);
            }
        });
        url
    }
}
