//! Public keys of SSH, and hashed passwords.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Fault, ensure};

/// The kinds of keys that OpenSSH has (`sshd(8)`, AUTHORIZED_KEYS FILE FORMAT).
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// A line of `authorized_keys` without options. The blob begins with the kind once more (RFC 4253, section 6.6), so that a key
/// that was cut in copying is found.
pub(super) fn ssh_key(text: &str) -> Result<(), Fault> {
    if text.contains("PRIVATE KEY") {
        let hint = "Take it out of this file, make a new pair, and write the public key, from the file that ends with .pub.";
        return Err(Fault::new("this is a private key", hint));
    }
    let mut words = text.split_ascii_whitespace();
    let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let hint = "Write the line of the file that ends with .pub, such as ssh-ed25519 AAAA… name.";
    ensure(KINDS.contains(&kind), || Fault::new("this is no public key of SSH", hint))?;
    let whole = STANDARD.decode(blob).is_ok_and(|blob| is_whole(&blob, kind));
    ensure(whole, || Fault::new(format!("this {kind} key is damaged"), "Copy the line of the .pub file once more, all of it."))
}

/// Whether a blob is a row of fields, each with its length before it, the first being the kind.
fn is_whole(blob: &[u8], kind: &str) -> bool {
    let mut rest = blob;
    let mut fields = 0_u32;
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let Ok(length) = usize::try_from(u32::from_be_bytes(*length)) else { return false };
        let Some((field, tail)) = tail.split_at_checked(length) else { return false };
        if fields == 0 && field != kind.as_bytes() {
            return false;
        }
        fields = fields.saturating_add(1);
        rest = tail;
    }
    rest.is_empty() && fields > 1
}

/// `$id$…$hash`, as `crypt(5)` writes it.
pub(super) fn password_hash(text: &str) -> Result<(), Fault> {
    let mut parts = text.split('$');
    let begins = parts.next() == Some("");
    let id = parts.next().is_some_and(|id| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric()));
    let rest: Vec<&str> = parts.collect();
    let long = rest.last().is_some_and(|hash| hash.len() >= 13);
    let plain = text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, ':' | ';' | '*' | '!' | '\\'));
    ensure(begins && id && !rest.is_empty() && long && plain, || {
        let hint = "Write what `mkpasswd -m sha-512` prints, in quotes. Never write a password here: a version is for ever.";
        Fault::new("this is no hashed password", hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEhrMzF6d3JqQ2xWbGtXQWp5bUxqWm9YdGJ0cGZ1";

    #[test]
    fn a_key_is_taken_whole_or_not_at_all() {
        let blob = [&11_u32.to_be_bytes()[..], b"ssh-ed25519", &32_u32.to_be_bytes()[..], &[7; 32]].concat();
        let key = format!("ssh-ed25519 {} anna@example.com", STANDARD.encode(&blob));
        assert_eq!(ssh_key(&key), Ok(()));
        let cut = format!("ssh-ed25519 {}", STANDARD.encode(&blob[..40]));
        for (text, said) in [
            (cut.as_str(), "damaged"),
            (KEY, "damaged"),
            ("ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAI", "damaged"),
            ("AAAAC3NzaC1lZDI1NTE5", "no public key"),
            ("", "no public key"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
        ] {
            assert!(ssh_key(text).unwrap_err().message.contains(said), "{text}");
        }
    }

    #[test]
    fn a_password_is_not_a_hash() {
        assert_eq!(
            password_hash("$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"),
            Ok(())
        );
        assert_eq!(password_hash("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"), Ok(()));
        for text in ["", "hunter2", "$6$", "$6$salt$", "$$a$b", "$6$salt$abc:def_ghi_jkl"] {
            assert!(password_hash(text).is_err(), "{text}");
        }
    }
}
