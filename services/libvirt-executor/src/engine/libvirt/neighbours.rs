//! The host's neighbours, as its kernel has them. libvirt tells them as well, but some of its releases (9.0.0 among them) cannot read what
//! newer kernels answer ("wrong nlmsg len"). The executor lives in the network of its guests, so that it can look for itself; of another
//! host's guests it finds none.

use std::collections::BTreeMap;

/// What a hardware address goes with, of every neighbour.
pub(super) fn all() -> Vec<(String, Vec<String>)> {
    read(&std::fs::read_to_string("/proc/thread-self/net/arp").unwrap_or_default())
}

/// Reads lines such as `10.0.0.7  0x1  0x2  52:54:00:00:00:07  *  virbr0`. A flag of 2 says that the neighbour has answered.
fn read(table: &str) -> Vec<(String, Vec<String>)> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in table.lines().skip(1) {
        let [ip, _, flags, mac, ..] = line.split_whitespace().collect::<Vec<_>>()[..] else { continue };
        let flags = flags.strip_prefix("0x").and_then(|flags| u32::from_str_radix(flags, 16).ok()).unwrap_or_default();
        if flags & 2 != 0 {
            found.entry(mac.to_ascii_lowercase()).or_default().push(ip.to_owned());
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn who_has_answered_is_a_neighbour() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     10.9.8.77        0x1         0x2         52:54:00:70:01:4A     *        virbr0\n\
                     10.9.8.78        0x1         0x2         52:54:00:70:01:4a     *        virbr0\n\
                     10.9.8.99        0x1         0x0         00:00:00:00:00:00     *        virbr0\n\
                     broken\n";
        assert_eq!(read(table), [("52:54:00:70:01:4a".to_owned(), vec!["10.9.8.77".to_owned(), "10.9.8.78".to_owned()])]);
    }
}
