//! The broker's certificate and who signed it. Passwords cross no wire in clear, not even inside one host: the executor of
//! libvirt comes to the broker from the host's network.

use std::path::Path;

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::handed::{Shelf, read, write_private};
use crate::members::Member;

/// The names by which clients know the broker: in the network of the containers, and on the host.
const NAMES: [&str; 3] = ["nats", "localhost", "127.0.0.1"];

/// Makes an authority that signs one certificate and is forgotten; its key is nowhere afterwards.
pub(crate) fn make(data: &Path) -> Result<()> {
    let folder = data.join("tls");
    let (authority, certificate, key) = (folder.join("authority.pem"), folder.join("broker.pem"), folder.join("broker.key"));
    if authority.is_file() && certificate.is_file() && key.is_file() {
        return Ok(());
    }
    let made = sign().context("the broker's certificate cannot be made")?;
    write_private(&key, &made.key)?;
    write_private(&certificate, &made.certificate)?;
    write_private(&authority, &made.authority)
}

/// The broker gets the pair, everybody who signs in there the authority.
pub(crate) fn hand_out(data: &Path, shelf: &Shelf) -> Result<()> {
    let folder = data.join("tls");
    for name in ["broker.pem", "broker.key"] {
        shelf.put(Member::Nats, name, &read(&folder.join(name))?)?;
    }
    for member in Member::SERVICES {
        shelf.put(member, "authority.pem", &read(&folder.join("authority.pem"))?)?;
    }
    Ok(())
}

struct Made {
    authority: String,
    certificate: String,
    key: String,
}

fn sign() -> Result<Made, rcgen::Error> {
    let signer = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Orrery's broker's authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = params.self_signed(&signer)?.pem();
    let issuer = Issuer::new(params, signer);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
    params.distinguished_name.push(DnType::CommonName, "Orrery's broker");
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(Made { authority, certificate, key: key.serialize_pem() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path()).unwrap();
        let first = read(&folder.path().join("tls/broker.pem")).unwrap();
        make(folder.path()).unwrap();
        assert_eq!(read(&folder.path().join("tls/broker.pem")).unwrap(), first);
        assert!(first.starts_with("-----BEGIN CERTIFICATE-----"), "{first}");
    }
}
