//! Forms of texts: names, addresses, keys. Each knows what is wrong with a text that has not its form.

mod keys;
mod ports;

use std::net::{IpAddr, Ipv4Addr};

use crate::model::Mac;
use keys::{password_hash, ssh_key};
pub(crate) use ports::parse as parse_port;

/// A form that a text may have.
#[derive(Debug)]
pub struct Form {
    /// What it is, for a message: "a MAC address".
    pub what: &'static str,
    /// A regular expression for the JSON Schema, which may take more than `check`.
    pub pattern: Option<&'static str>,
    /// What is wrong with a text.
    pub(crate) check: fn(&str) -> Result<(), Fault>,
}

/// What is wrong with a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// `Ok` when it holds, else what is said.
fn ensure(holds: bool, fault: impl FnOnce() -> Fault) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(fault()) }
}

/// Whether a text is `first` and then up to `most` letters in all, each of `rest`.
fn name(text: &str, most: usize, first: fn(char) -> bool, rest: fn(char) -> bool) -> bool {
    text.chars().next().is_some_and(first) && text.chars().all(rest) && text.chars().count() <= most
}

const fn lower(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

pub(super) static BOX: Form = Form {
    what: "the name of a box",
    pattern: Some("^[a-z0-9][a-z0-9_.-]{0,62}$"),
    check: |text| {
        ensure(name(text, 63, lower, |c| lower(c) || "_.-".contains(c)), || {
            Fault::new(
                format!("{text:?} is no name of a box"),
                "Names have up to 63 small letters, digits, dots, dashes and underscores, and begin with a letter or digit.",
            )
        })
    },
};

pub(crate) static DISK_NAME: Form = Form {
    what: "a name",
    pattern: Some("^[a-z0-9][a-z0-9_-]{0,30}$"),
    check: |text| {
        ensure(name(text, 31, lower, |c| lower(c) || "_-".contains(c)), || {
            Fault::new(
                format!("{text:?} cannot be the name of a disk"),
                "Names have up to 31 small letters, digits, dashes and underscores, and begin with a letter or digit.",
            )
        })
    },
};

pub(crate) static VOLUME: Form = Form {
    what: "the name of a volume",
    pattern: Some("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"),
    check: |text| {
        ensure(name(text, 128, |c| c.is_ascii_alphanumeric() || c == '_', |c| c.is_ascii_alphanumeric() || "_.-".contains(c)), || {
            Fault::new(format!("{text:?} is no name of a volume"), "Name a volume of the pool; a path is none.")
        })
    },
};

pub(super) static NETWORK: Form = Form {
    what: "the name of a network",
    pattern: Some("^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$"),
    check: |text| {
        ensure(name(text, 50, |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "_.-".contains(c)), || {
            Fault::new(
                format!("{text:?} is no name of a network"),
                "Names have up to 50 letters, digits, dots, dashes and underscores, and begin with a letter or digit.",
            )
        })
    },
};

/// The kernel takes 15 bytes for the name of an interface (IFNAMSIZ).
pub(super) static BRIDGE: Form = Form {
    what: "the name of a bridge",
    pattern: Some("^[A-Za-z0-9_.-]{1,15}$"),
    check: |text| {
        let plain = name(text, 15, |_| true, |c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        ensure(plain && text != "." && text != "..", || {
            Fault::new(format!("{text:?} is no name of a bridge"), "Interfaces of Linux have names of at most 15 letters, such as br0.")
        })
    },
};

pub(super) static MAC: Form = Form {
    what: "a MAC address",
    pattern: Some("^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$"),
    check: |text| {
        let octets = Mac::octets(text).ok_or_else(|| {
            let hint = "Write six pairs of hexadecimal digits with colons, such as 52:54:00:12:34:56.";
            Fault::new(format!("{text:?} is no MAC address"), hint)
        })?;
        ensure(Mac::new(octets).is_some(), || {
            let hint = "The first pair must be an even number; 52:54:00 is a good beginning.";
            Fault::new(format!("{text} is an address of a group, not of one interface"), hint)
        })
    },
};

pub(super) static ADDRESS: Form = Form {
    what: "an IPv4 address",
    pattern: Some("^[0-9]{1,3}([.][0-9]{1,3}){3}$"),
    check: |text| {
        let wrong = |what: &str| Fault::new(format!("{text:?} {what}"), "Write an address of the network, such as 192.168.122.50.");
        if text.contains('/') {
            return Err(wrong("has a length of a network, and an address is needed"));
        }
        if text.contains(':') {
            return Err(wrong("is no IPv4 address; only those are reserved"));
        }
        let address: Ipv4Addr = text.parse().map_err(|_| wrong("is no IPv4 address"))?;
        let special = address.is_unspecified() || address.is_loopback() || address.is_multicast() || address.is_broadcast();
        ensure(!special, || wrong("cannot be the address of an interface"))
    },
};

pub(super) static HOST_ADDRESS: Form = Form {
    what: "an address",
    pattern: None,
    check: |text| {
        ensure(text.parse::<IpAddr>().is_ok(), || {
            Fault::new(format!("{text:?} is no address"), "Write an address of the host, such as 127.0.0.1, or leave it out for all.")
        })
    },
};

pub(super) static FORWARD: Form = Form {
    what: "[host_ip:]host:guest[/tcp|udp]",
    pattern: Some("^.*[0-9]+:[0-9]+(/(tcp|udp))?$"),
    check: |text| parse_port(text).map(|_| ()),
};

/// RFC 1123: labels of letters, digits and inner dashes, 63 bytes each, 253 in all.
pub(super) static HOST_NAME: Form = Form {
    what: "a host name",
    pattern: Some("^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"),
    check: |text| {
        let label = |label: &str| {
            let inside = !label.starts_with('-') && !label.ends_with('-');
            (1..=63).contains(&label.len()) && inside && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        ensure(text.len() <= 253 && text.split('.').all(label), || {
            Fault::new(format!("{text:?} is no host name"), "Use letters, digits, and dashes inside; dots between the parts.")
        })
    },
};

pub(super) static USER: Form =
    Form { what: "the name of a user", pattern: Some("^[a-z_][a-z0-9_-]{0,31}$"), check: |text| account(text, "user") };

pub(super) static GROUP: Form =
    Form { what: "the name of a group", pattern: Some("^[a-z_][a-z0-9_-]{0,31}$"), check: |text| account(text, "group") };

fn account(text: &str, what: &str) -> Result<(), Fault> {
    ensure(name(text, 32, |c| c.is_ascii_lowercase() || c == '_', |c| lower(c) || "_-".contains(c)), || {
        Fault::new(
            format!("{text:?} is no name of a {what}"),
            "Names have up to 32 small letters, digits, dashes and underscores, and begin with a letter.",
        )
    })
}

pub(super) static GUEST_PATH: Form = Form { what: "an absolute path", pattern: Some("^/"), check: guest_path };

/// An item of `init`: that the first is an absolute path is said of the list.
pub(super) static INIT: Form = Form { what: "an absolute path", pattern: None, check: |_| Ok(()) };

fn guest_path(text: &str) -> Result<(), Fault> {
    let climbs = text.split('/').any(|part| part == "..");
    ensure(text.starts_with('/') && !climbs, || {
        Fault::new(format!("{text:?} is no absolute path"), "Write it from the root, without ..: /etc/motd.")
    })
}

pub(super) static SSH_KEY: Form =
    Form { what: "a public key of SSH", pattern: Some("^(ssh|ecdsa|sk)-[A-Za-z0-9@.-]+ +[A-Za-z0-9+/=]+( .*)?$"), check: ssh_key };

pub(super) static HASH: Form = Form { what: "a hashed password", pattern: Some("^[$][A-Za-z0-9]+[$].+$"), check: password_hash };

pub(super) static MODE: Form = Form {
    what: "permissions in octal digits",
    pattern: Some("^[0-7]{3,4}$"),
    check: |text| {
        let octal = text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        ensure((3..=4).contains(&text.len()) && octal, || {
            Fault::new(format!("{text:?} are no permissions"), "Write three or four octal digits in quotes, such as \"0644\".")
        })
    },
};

pub(super) static LABEL: Form = Form {
    what: "the name of a label",
    pattern: Some("^[A-Za-z0-9][A-Za-z0-9_./-]{0,127}$"),
    check: |text| {
        if text.starts_with("io.orrery.") {
            return Err(Fault::new(
                format!("the label {text} is one of Orrery's own"),
                "Choose a name that does not begin with io.orrery.",
            ));
        }
        ensure(name(text, 128, |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "_./-".contains(c)), || {
            Fault::new(
                format!("{text:?} cannot be the name of a label"),
                "Names have up to 128 letters, digits, dots, slashes, dashes and underscores, and begin with a letter or digit.",
            )
        })
    },
};

pub(super) static VARIABLE: Form = Form {
    what: "the name of a variable",
    pattern: Some("^[A-Za-z_][A-Za-z0-9_]*$"),
    check: |text| {
        ensure(name(text, 128, |c| c.is_ascii_alphabetic() || c == '_', |c| c.is_ascii_alphanumeric() || c == '_'), || {
            Fault::new(
                format!("{text:?} cannot be the name of a variable"),
                "Names have letters, digits and underscores, and do not begin with a digit.",
            )
        })
    },
};

pub(super) static LINE: Form = Form {
    what: "a text",
    pattern: Some("[^ ]"),
    check: |text| ensure(!text.trim().is_empty(), || Fault::new("this text is empty", "Write something, or remove it.")),
};

/// The command line of a kernel; it may be empty. Linux takes 2048 bytes on x86.
pub(super) static CMDLINE: Form = Form {
    what: "a command line",
    pattern: None,
    check: |text| ensure(text.len() <= 2047, || Fault::new("the command line is longer than 2047 bytes", "The kernel would cut it.")),
};

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(form: &Form, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!((form.check)(text), Ok(()), "{}: {text}", form.what);
        }
        for text in bad {
            assert!((form.check)(text).is_err(), "{}: {text} was taken", form.what);
        }
    }

    #[test]
    fn names_are_what_the_engine_takes() {
        takes(&BOX, &["debian-12", "a", "alpine_3.20"], &["", "Debian", "-a", "a/b", "a b", &"a".repeat(64)]);
        takes(&DISK_NAME, &["root", "data-1"], &["", "a.b", "Root", &"a".repeat(32)]);
        takes(&VOLUME, &["web.qcow2", "A_b"], &["", "../x", "a/b", "-x"]);
        takes(&BRIDGE, &["br0", "vmbr0.100"], &["", "..", "a-name-of-sixteen", "br 0", "br/0"]);
        takes(&USER, &["anna", "_x", "www-data"], &["", "Anna", "1a", "a.b"]);
        takes(&HOST_NAME, &["web", "web-1.example.com", "1a"], &["", "web_1", "-a", "a-", "a..b", &"a".repeat(64)]);
        takes(&LABEL, &["team", "org.example/team"], &["", "io.orrery.stack", "a b", ".a"]);
        takes(&VARIABLE, &["A", "_b1"], &["", "1A", "A-B", "A=B"]);
    }

    #[test]
    fn addresses_are_those_of_one_interface() {
        takes(
            &MAC,
            &["52:54:00:12:34:56", "AA:bb:cc:dd:ee:ff"],
            &["", "52-54-00-12-34-56", "52:54:00:12:34", "01:00:5e:00:00:01", "00:00:00:00:00:00", "+2:54:00:12:34:56"],
        );
        takes(
            &ADDRESS,
            &["192.168.122.50"],
            &["", "10.0.0.300", "10.0.0.1/24", "::1", "127.0.0.1", "224.0.0.1", "0.0.0.0", "255.255.255.255"],
        );
        takes(&HOST_ADDRESS, &["0.0.0.0", "::", "fe80::1"], &["", "localhost", "[::1]"]);
    }

    #[test]
    fn paths_and_permissions() {
        takes(&GUEST_PATH, &["/", "/etc/motd"], &["", "etc/motd", "/etc/../x"]);
        takes(&MODE, &["0644", "755"], &["", "rw-r--r--", "0648", "7"]);
    }
}
