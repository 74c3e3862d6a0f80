//! The short form of a port: `8080:80`, `127.0.0.1:5353:53/udp`, `[::1]:8080:80`.

use std::net::IpAddr;

use super::Fault;
use crate::model::Protocol;

/// What a short form says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Short {
    pub(crate) host_ip: Option<IpAddr>,
    pub(crate) host: u16,
    pub(crate) guest: u16,
    pub(crate) protocol: Protocol,
}

const FORM: &str = "Write [host_ip:]host:guest[/tcp|udp], such as \"8080:80\".";

/// Reads a short form.
pub(crate) fn parse(text: &str) -> Result<Short, Fault> {
    let (ports, protocol) = match text.rsplit_once('/') {
        None => (text, Protocol::Tcp),
        Some((ports, "tcp")) => (ports, Protocol::Tcp),
        Some((ports, "udp")) => (ports, Protocol::Udp),
        Some((_, other)) => return Err(Fault::new(format!("{text:?}: {other:?} is no protocol"), "Write tcp or udp behind the slash.")),
    };
    let Some((front, guest)) = ports.rsplit_once(':') else {
        return Err(Fault::new(format!("{text:?} has no port of the host"), FORM));
    };
    let (host_ip, host) = match front.rsplit_once(':') {
        None => (None, front),
        Some((address, host)) => (Some(address), host),
    };
    let host_ip = host_ip.map(|address| self::address(text, address)).transpose()?;
    Ok(Short { host_ip, host: port(text, host, "host")?, guest: port(text, guest, "guest")?, protocol })
}

fn address(text: &str, address: &str) -> Result<IpAddr, Fault> {
    let inner = address.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
    let parsed = match inner {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => address.parse().ok().map(IpAddr::V4),
    };
    parsed.ok_or_else(|| Fault::new(format!("{text:?}: {address:?} is no address"), "Write an address such as 127.0.0.1, or [::1]."))
}

fn port(text: &str, port: &str, whose: &str) -> Result<u16, Fault> {
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let number = port.parse::<u16>().ok().filter(|port| digits && *port > 0);
    number.ok_or_else(|| {
        if port.is_empty() {
            return Fault::new(format!("{text:?} has no port of the {whose}"), FORM);
        }
        let range = port.contains('-');
        let hint = if range { "Ranges are not taken: write one line for each port." } else { "Ports are numbers from 1 to 65535." };
        Fault::new(format!("{text:?}: {port:?} is no port of the {whose}"), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_say_what_they_say_in_compose() {
        let short =
            |host_ip: Option<&str>, host, guest, protocol| Short { host_ip: host_ip.map(|ip| ip.parse().unwrap()), host, guest, protocol };
        for (text, expected) in [
            ("8080:80", short(None, 8080, 80, Protocol::Tcp)),
            ("53:53/udp", short(None, 53, 53, Protocol::Udp)),
            ("127.0.0.1:2222:22/tcp", short(Some("127.0.0.1"), 2222, 22, Protocol::Tcp)),
            ("[::1]:8080:80", short(Some("::1"), 8080, 80, Protocol::Tcp)),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn each_mistake_has_its_words() {
        for (text, said) in [
            ("80", "no port of the host"),
            (":80", "no port of the host"),
            ("80:", "no port of the guest"),
            ("0:80", "\"0\" is no port"),
            ("80:70000", "\"70000\" is no port"),
            ("80:+80", "\"+80\" is no port"),
            ("8000-8010:80", "\"8000-8010\" is no port"),
            ("80:80/sctp", "\"sctp\" is no protocol"),
            ("localhost:80:80", "\"localhost\" is no address"),
            ("::1:80:80", "\"::1\" is no address"),
        ] {
            assert!(parse(text).unwrap_err().message.contains(said), "{text}: {:?}", parse(text));
        }
        assert!(parse("8000-8010:80").unwrap_err().hint.contains("Ranges"));
    }
}
