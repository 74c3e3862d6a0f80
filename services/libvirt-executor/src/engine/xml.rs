//! Reading the XML that libvirt answers with: a few values, and a hash of what it says. Nothing here writes a definition
//! but the one element that is ours.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use roxmltree::{Document, Node};
use sha2::{Digest, Sha256};

use super::error::EngineError;
use super::observed::{Reservation, SeenSnapshot, Subnet};

/// The name space of our element below `<metadata>`.
pub const METADATA_NAMESPACE: &str = "https://orrery.io/machine/1";
/// Its prefix.
pub const METADATA_PREFIX: &str = "orrery";
/// Its name.
const METADATA_ELEMENT: &str = "machine";

/// Our element below `<metadata>`, as a definition carries it: a JSON text.
#[must_use]
pub fn metadata_element(json: &str) -> String {
    format!(
        "<{METADATA_PREFIX}:{METADATA_ELEMENT} xmlns:{METADATA_PREFIX}='{METADATA_NAMESPACE}'>{}</{METADATA_PREFIX}:{METADATA_ELEMENT}>",
        escaped(json)
    )
}

/// The same as `virDomainSetMetadata` takes it, which adds prefix and name space itself.
pub(super) fn bare_metadata_element(json: &str) -> String {
    format!("<{METADATA_ELEMENT}>{}</{METADATA_ELEMENT}>", escaped(json))
}

/// Text between tags or quotes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

/// Reads a document.
pub(super) fn parse(xml: &str) -> Result<Document<'_>, EngineError> {
    Document::parse(xml).map_err(|error| EngineError::refuse("invalid", format!("this is no XML: {error}")))
}

/// The first element at this path below the root.
pub(super) fn at<'a, 'i>(document: &'a Document<'i>, path: &[&str]) -> Option<Node<'a, 'i>> {
    path.iter().try_fold(document.root_element(), |node, name| child(node, name))
}

/// The first element of this name below a node.
pub(super) fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// The text of the first element at this path.
pub(super) fn text_at(document: &Document<'_>, path: &[&str]) -> Option<String> {
    at(document, path)?.text().map(|text| text.trim().to_owned())
}

/// A count of bytes such as `<memory unit='MiB'>512</memory>`; without a unit it is this many times so many bytes.
pub(super) fn bytes_of(node: Node<'_, '_>, without_unit: u64) -> Option<u64> {
    let count: u64 = node.text()?.trim().parse().ok()?;
    let unit = match node.attribute("unit") {
        None => without_unit,
        Some("b" | "byte" | "bytes") => 1,
        Some("KB") => 1000,
        Some("k" | "KiB") => 1 << 10,
        Some("MB") => 1_000_000,
        Some("M" | "MiB") => 1 << 20,
        Some("GB") => 1_000_000_000,
        Some("G" | "GiB") => 1 << 30,
        Some("T" | "TiB") => 1 << 40,
        Some(_) => return None,
    };
    count.checked_mul(unit)
}

/// The JSON text in a document that is our element, or has it below its `<metadata>`.
pub(super) fn metadata_in(document: &Document<'_>) -> Option<String> {
    let root = document.root_element();
    let ours =
        if root.tag_name().name() == METADATA_ELEMENT { root } else { child(root, "metadata")?.children().find(|node| is_ours(*node))? };
    Some(ours.text().unwrap_or_default().to_owned())
}

fn is_ours(node: Node<'_, '_>) -> bool {
    node.tag_name().namespace() == Some(METADATA_NAMESPACE)
}

/// SHA-256 of what a definition says: elements, attributes and text in order, without white space around them, our
/// metadata, and reservations of addresses.
pub(super) fn hash(xml: &str) -> Result<String, EngineError> {
    let document = parse(xml)?;
    let mut said = String::new();
    say(document.root_element(), &mut said);
    let digest = Sha256::digest(said.as_bytes());
    Ok(digest.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

fn said_of(node: Node<'_, '_>) -> String {
    let mut said = String::new();
    say(node, &mut said);
    said
}

fn say(node: Node<'_, '_>, said: &mut String) {
    if node.is_text() {
        said.push_str(node.text().unwrap_or_default().trim());
        return;
    }
    let reserved = node.has_tag_name("host") && node.parent_element().is_some_and(|parent| parent.has_tag_name("dhcp"));
    if !node.is_element() || node.has_tag_name("metadata") || reserved {
        return;
    }
    let _ = write!(said, "<{}", node.tag_name().name());
    for attribute in node.attributes() {
        // How many interfaces are attached is no part of a network's definition.
        if !(node.has_tag_name("network") && attribute.name() == "connections") {
            let _ = write!(said, " {}={:?}", attribute.name(), attribute.value());
        }
    }
    said.push('>');
    let mut parts: Vec<String> = node.children().map(said_of).collect();
    if node.has_tag_name("devices") {
        // libvirt orders controllers anew when it reads its own definition again, at the first start; addresses say which is which.
        parts.sort();
    }
    said.extend(parts);
    said.push_str("</>");
}

/// The IPv4 addresses of a network.
pub(super) fn subnets(network: &Document<'_>) -> Vec<Subnet> {
    let elements = network.root_element().children().filter(|node| node.has_tag_name("ip"));
    let of = |node: Node<'_, '_>| {
        let gateway = node.attribute("address")?.parse().ok()?;
        let mask = |mask: &str| mask.parse::<Ipv4Addr>().ok().and_then(|mask| u8::try_from(mask.to_bits().leading_ones()).ok());
        let prefix =
            node.attribute("prefix").and_then(|prefix| prefix.parse().ok()).or_else(|| node.attribute("netmask").and_then(mask))?;
        Some(Subnet { gateway, prefix })
    };
    elements.filter_map(of).collect()
}

/// The addresses that a network reserves.
pub(super) fn reservations(network: &Document<'_>) -> Vec<Reservation> {
    let mut found: Vec<_> = network
        .root_element()
        .descendants()
        .filter(|node| node.has_tag_name("host") && node.parent_element().is_some_and(|parent| parent.has_tag_name("dhcp")))
        .filter_map(|node| {
            let ip: IpAddr = node.attribute("ip")?.parse().ok()?;
            let mac = node.attribute("mac")?.to_ascii_lowercase();
            Some(Reservation { mac, ip, name: node.attribute("name").unwrap_or_default().to_owned() })
        })
        .collect();
    found.sort();
    found
}

/// `<host>` as `virNetworkUpdate` takes it.
pub(super) fn host_element(reservation: &Reservation) -> String {
    let Reservation { mac, ip, name } = reservation;
    let name = if name.is_empty() { String::new() } else { format!(" name='{}'", escaped(name)) };
    format!("<host mac='{}'{name} ip='{ip}'/>", escaped(mac))
}

/// A snapshot, from its `<domainsnapshot>`.
pub(super) fn snapshot(xml: &str, current: bool) -> Result<SeenSnapshot, EngineError> {
    let document = parse(xml)?;
    let text = |name: &str| text_at(&document, &[name]).unwrap_or_default();
    let external = document
        .root_element()
        .children()
        .filter(|node| node.has_tag_name("disks") || node.has_tag_name("memory"))
        .flat_map(|node| node.descendants())
        .any(|node| node.attribute("snapshot") == Some("external"));
    Ok(SeenSnapshot {
        name: text("name"),
        description: text("description"),
        taken_at: text("creationTime").parse().unwrap_or_default(),
        state: text("state"),
        external,
        current,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_survives_every_character() {
        let json = r#"{"a":"<b> & 'c' \"d\" ü"}"#;
        let xml = format!("<domain><metadata><other/>{}</metadata></domain>", metadata_element(json));
        assert_eq!(metadata_in(&parse(&xml).unwrap()).as_deref(), Some(json));
        assert_eq!(metadata_in(&parse(&bare_metadata_element(json)).unwrap()).as_deref(), Some(json));
        assert_eq!(metadata_in(&parse("<domain><metadata/></domain>").unwrap()), None);
    }

    #[test]
    fn a_hash_is_of_what_is_said_and_not_of_how() {
        let of = |xml: &str| hash(xml).unwrap();
        let one = of("<domain type='kvm'><name>a</name><metadata><x/></metadata><vcpu>1</vcpu></domain>");
        assert_eq!(one, of("<domain type=\"kvm\">\n  <name>a</name>\n  <vcpu>1</vcpu>\n</domain>"));
        assert_ne!(one, of("<domain type='kvm'><name>a</name><vcpu>2</vcpu></domain>"));
        assert_ne!(one, of("<domain type='qemu'><name>a</name><vcpu>1</vcpu></domain>"));
        let (a, b) = ("<controller type='usb'/>", "<controller type='pci'/>");
        assert_eq!(of(&format!("<domain><devices>{a}{b}</devices></domain>")), of(&format!("<domain><devices>{b}{a}</devices></domain>")));
        let network = of("<network connections='2'><ip><dhcp><host mac='a' ip='10.0.0.1'/></dhcp></ip></network>");
        assert_eq!(network, of("<network><ip><dhcp/></ip></network>"));
    }

    #[test]
    fn sizes_have_their_units() {
        for (xml, bytes) in [
            ("<m>2</m>", Some(2048)),
            ("<m unit='bytes'>2</m>", Some(2)),
            ("<m unit='MiB'>2</m>", Some(2 << 20)),
            ("<m unit='GB'>2</m>", Some(2_000_000_000)),
            ("<m unit='TiB'>99999999999999</m>", None),
            ("<m unit='cubit'>2</m>", None),
            ("<m>two</m>", None),
        ] {
            assert_eq!(bytes_of(parse(xml).unwrap().root_element(), 1024), bytes, "{xml}");
        }
    }

    #[test]
    fn reservations_are_read_as_they_are_written() {
        let one = Reservation { mac: "52:54:00:aa:00:0a".into(), ip: "10.0.0.7".parse().unwrap(), name: "web".into() };
        let xml = format!("<network><ip><dhcp><range/>{}</dhcp></ip><dns><host ip='10.0.0.9'/></dns></network>", host_element(&one));
        assert_eq!(reservations(&parse(&xml).unwrap()), [one]);
    }

    #[test]
    fn the_addresses_of_a_network_are_read_in_both_ways_of_writing_them() {
        let xml = "<network><ip address='10.0.0.1' netmask='255.255.0.0'/><ip address='10.1.0.1' prefix='24'/><ip family='ipv6' address='fd00::1' \
                   prefix='64'/></network>";
        let told: Vec<String> = subnets(&parse(xml).unwrap()).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["10.0.0.1/16", "10.1.0.1/24"]);
    }

    #[test]
    fn a_snapshot_tells_where_it_lies() {
        let xml = "<domainsnapshot><name>a</name><description>why</description><state>running</state><creationTime>17</creationTime>\
                   <memory snapshot='no'/><disks><disk name='vda' snapshot='external'/></disks></domainsnapshot>";
        let seen = snapshot(xml, true).unwrap();
        let wanted = SeenSnapshot {
            name: "a".into(),
            description: "why".into(),
            taken_at: 17,
            state: "running".into(),
            external: true,
            current: true,
        };
        assert_eq!(seen, wanted);
        assert!(!snapshot("<domainsnapshot><memory snapshot='internal'/></domainsnapshot>", false).unwrap().external);
    }
}
