//! A bundle as a tar archive, the same bytes each time.

use orrery_contracts::Bundle;

/// Packs a bundle, below a folder when one is named.
///
/// # Errors
/// When a path is too strange for a tar archive.
pub fn tar_of(bundle: &Bundle, folder: &str) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, file) in &bundle.files {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(if file.executable { 0o755 } else { 0o644 });
        header.set_size(file.bytes.len() as u64);
        header.set_mtime(0);
        let path = if folder.is_empty() { path.clone() } else { format!("{folder}/{path}") };
        builder.append_data(&mut header, path, file.bytes.as_slice())?;
    }
    builder.into_inner()
}
