//! A bundle as a tar archive, for a download: the plain POSIX format, files only, sorted, without times and owners, so
//! that the same bundle is the same archive.

use orrery_contracts::Bundle;

const BLOCK: usize = 512;

/// The archive of a bundle, its files under `folder`.
pub(crate) fn tar(bundle: &Bundle, folder: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (path, file) in &bundle.files {
        let full = format!("{folder}/{path}");
        let mode = if file.executable { 0o755 } else { 0o644 };
        if full.len() > 100 {
            let record = pax_path(&full);
            entry(&mut out, "././@PaxHeader", b'x', 0o644, record.as_bytes());
        }
        let short = full.get(..full.len().min(100)).unwrap_or("file");
        entry(&mut out, short, b'0', mode, &file.bytes);
    }
    out.resize(out.len() + 2 * BLOCK, 0);
    out
}

fn entry(out: &mut Vec<u8>, name: &str, kind: u8, mode: u32, bytes: &[u8]) {
    let mut header = [0_u8; BLOCK];
    let mut put = |at: usize, text: &[u8]| {
        for (slot, byte) in header.iter_mut().skip(at).zip(text) {
            *slot = *byte;
        }
    };
    put(0, name.as_bytes());
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{:011o}", bytes.len()).as_bytes());
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    for (slot, byte) in header.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *slot = byte;
    }
    out.extend_from_slice(&header);
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
}

/// A record `<length> path=<path>\n` whose length counts itself.
fn pax_path(path: &str) -> String {
    let rest = format!(" path={path}\n");
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use orrery_contracts::FileContent;

    #[test]
    fn every_tar_reads_it() {
        let long = format!("{}/deep.txt", "folder".repeat(20));
        let mut bundle = Bundle::default();
        bundle.files.insert("compose.yaml".into(), FileContent::text("services: {}\n"));
        bundle.files.insert("run.sh".into(), FileContent { bytes: b"#!/bin/sh\n".to_vec(), executable: true });
        bundle.files.insert(long.clone(), FileContent::text("x"));
        let folder = std::env::temp_dir().join(format!("orrery-archive-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.tar"), tar(&bundle, "shop")).unwrap();
        let ok = std::process::Command::new("tar").arg("-xf").arg(folder.join("a.tar")).arg("-C").arg(&folder).status().unwrap().success();
        assert!(ok);
        assert_eq!(std::fs::read_to_string(folder.join("shop/compose.yaml")).unwrap(), "services: {}\n");
        assert_eq!(std::fs::read_to_string(folder.join("shop").join(&long)).unwrap(), "x");
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(folder.join("shop/run.sh")).unwrap().permissions().mode() & 0o777, 0o755);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
