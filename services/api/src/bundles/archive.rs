//! Reads an archive into a bundle, without trusting it: sizes are counted while it is unpacked, so that a small archive
//! of a big file is stopped early; links and devices are refused.

use std::io::{Cursor, Read};

use flate2::read::GzDecoder;
use orrery_contracts::bundle::check_path;
use orrery_contracts::{Bundle, BundleLimits, Code, FileContent, Located};

use crate::problems::{Answer, Refusal, fault};

/// How files are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tar archive.
    Tar,
    /// A tar archive, gzipped.
    TarGz,
    /// A zip archive.
    Zip,
}

impl Kind {
    /// The kind that a Content-Type names.
    pub fn of_content_type(kind: &str) -> Option<Self> {
        match kind {
            "application/x-tar" | "application/tar" => Some(Self::Tar),
            "application/gzip"
            | "application/x-gzip"
            | "application/x-gtar"
            | "application/x-tgz"
            | "application/tar+gzip"
            | "application/x-compressed-tar" => Some(Self::TarGz),
            "application/zip" | "application/x-zip-compressed" => Some(Self::Zip),
            _ => None,
        }
    }
}

/// The names of a definition, at the root of a bundle.
const DEFINITIONS: [&str; 4] = orrery_compose::load::FILE_NAMES;

/// Reads an archive into a bundle.
///
/// # Errors
/// 400 when it cannot be read, 413 when it is over a limit, 422 when something in it is not a plain file.
pub fn unpack(kind: Kind, bytes: &[u8], limits: &BundleLimits) -> Answer<Bundle> {
    let mut unpacked = Unpacked { limits, bundle: Bundle::default(), bytes: 0, faults: Vec::new() };
    match kind {
        Kind::Tar => unpacked.tar(bytes)?,
        Kind::TarGz => unpacked.gzipped_tar(bytes)?,
        Kind::Zip => unpacked.zip(bytes)?,
    }
    if !unpacked.faults.is_empty() {
        return Err(Refusal::new(Code::InvalidRequest, "the archive holds what a bundle cannot").with_errors(unpacked.faults));
    }
    Ok(without_top_folder(unpacked.bundle))
}

struct Unpacked<'a> {
    limits: &'a BundleLimits,
    bundle: Bundle,
    bytes: usize,
    faults: Vec<Located>,
}

/// The most that an archive has in it: headers beside its files.
#[must_use]
pub fn longest(limits: &BundleLimits) -> usize {
    limits.bytes.saturating_add(limits.files.saturating_mul(2048)).saturating_add(1 << 20)
}

impl Unpacked<'_> {
    /// What is skipped and what is only a name is unpacked too, and counts.
    fn gzipped_tar(&mut self, bytes: &[u8]) -> Answer<()> {
        let most = longest(self.limits);
        let mut reader = GzDecoder::new(bytes).take(u64::try_from(most).unwrap_or(u64::MAX));
        let read = self.tar(&mut reader);
        if reader.limit() == 0 {
            return Err(over(format!("the archive unpacks to more than {most} bytes (ORRERY_BUNDLE_MAX_BYTES)")));
        }
        read
    }

    fn tar(&mut self, reader: impl Read) -> Answer<()> {
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries().map_err(unreadable)? {
            let mut entry = entry.map_err(unreadable)?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let kind = entry.header().entry_type();
            if kind.is_dir() || kind.is_pax_global_extensions() {
                continue;
            }
            if !kind.is_file() && !kind.is_contiguous() && !kind.is_gnu_sparse() {
                self.faults.push(fault(path, "is a link or a device; a bundle holds plain files"));
                continue;
            }
            let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
            self.take(&path, executable, &mut entry)?;
        }
        Ok(())
    }

    fn zip(&mut self, bytes: &[u8]) -> Answer<()> {
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(unreadable)?;
        for at in 0..archive.len() {
            let mut entry = archive.by_index(at).map_err(unreadable)?;
            let path = entry.name().map_err(unreadable)?.into_owned();
            if entry.is_dir() {
                continue;
            }
            let mode = entry.unix_mode().unwrap_or(0o100_644);
            if entry.is_symlink() || !matches!(mode & 0o170_000, 0 | 0o100_000) {
                self.faults.push(fault(path, "is a link or a device; a bundle holds plain files"));
                continue;
            }
            self.take(&path, mode & 0o111 != 0, &mut entry)?;
        }
        Ok(())
    }

    fn take(&mut self, path: &str, executable: bool, content: &mut impl Read) -> Answer<()> {
        let path = path.strip_prefix("./").unwrap_or(path);
        if let Err(wrong) = check_path(path) {
            self.faults.push(fault(path, wrong));
            return Ok(());
        }
        if self.bundle.files.len() >= self.limits.files {
            return Err(over(format!("the archive has more than {} files (ORRERY_BUNDLE_MAX_FILES)", self.limits.files)));
        }
        let room = self.limits.bytes.saturating_sub(self.bytes).min(self.limits.file_bytes);
        let mut bytes = Vec::new();
        let most = u64::try_from(room).unwrap_or(u64::MAX).saturating_add(1);
        content.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() > self.limits.file_bytes {
            return Err(over(format!("{path} has more than {} bytes (ORRERY_BUNDLE_MAX_FILE_BYTES)", self.limits.file_bytes)));
        }
        if bytes.len() > room {
            return Err(over(format!("the archive has more than {} bytes (ORRERY_BUNDLE_MAX_BYTES)", self.limits.bytes)));
        }
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bundle.files.insert(path.to_owned(), FileContent { bytes, executable }).is_some() {
            self.faults.push(fault(path, "is in the archive twice"));
        }
        Ok(())
    }
}

/// An archive of a folder holds everything below that folder's name: it is the folder that is meant.
fn without_top_folder(bundle: Bundle) -> Bundle {
    if DEFINITIONS.iter().any(|name| bundle.files.contains_key(*name)) {
        return bundle;
    }
    let top = bundle.files.keys().next().and_then(|path| path.split_once('/')).map(|(top, _)| format!("{top}/"));
    let Some(top) = top.filter(|top| bundle.files.keys().all(|path| path.starts_with(top.as_str()))) else { return bundle };
    if !DEFINITIONS.iter().any(|name| bundle.files.contains_key(&format!("{top}{name}"))) {
        return bundle;
    }
    let files = bundle.files.into_iter().map(|(path, file)| (path.strip_prefix(&top).unwrap_or(&path).to_owned(), file));
    Bundle { files: files.collect() }
}

fn unreadable(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::MalformedRequest, format!("the archive cannot be read: {error}"))
}

fn over(detail: String) -> Refusal {
    Refusal::new(Code::TooLarge, detail)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use orrery_contracts::{Bundle, BundleLimits, Code};

    use super::{Kind, unpack};
    use crate::bundles::tar_of;

    fn example() -> Bundle {
        serde_json::from_str(
            r#"{"files":{"compose.yaml":"services: {}\n","bin/run.sh":{"text":"true","executable":true},"logo":{"base64":"//8="}}}"#,
        )
        .unwrap()
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn what_was_packed_is_unpacked_the_same() {
        let limits = BundleLimits::default();
        let packed = tar_of(&example(), "").unwrap();
        assert_eq!(unpack(Kind::Tar, &packed, &limits).unwrap(), example());
        assert_eq!(unpack(Kind::TarGz, &gzipped(&packed), &limits).unwrap(), example());
        let folder = tar_of(&example(), "shop").unwrap();
        assert_eq!(unpack(Kind::Tar, &folder, &limits).unwrap(), example(), "the top folder is what was meant");
    }

    #[test]
    fn a_zip_keeps_bytes_and_the_executable_flag() {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (path, file) in example().files {
            let mode = if file.executable { 0o755 } else { 0o644 };
            let options = zip::write::SimpleFileOptions::default().unix_permissions(mode);
            writer.start_file(path, options).unwrap();
            writer.write_all(&file.bytes).unwrap();
        }
        let packed = writer.finish().unwrap().into_inner();
        assert_eq!(unpack(Kind::Zip, &packed, &BundleLimits::default()).unwrap(), example());
    }

    #[test]
    fn a_small_archive_of_a_big_file_is_stopped() {
        let bundle: Bundle = Bundle { files: [("zeros".to_owned(), orrery_contracts::FileContent::text("0".repeat(4 << 20)))].into() };
        let packed = gzipped(&tar_of(&bundle, "").unwrap());
        let limits = BundleLimits { file_bytes: 1 << 20, ..BundleLimits::default() };
        assert_eq!(unpack(Kind::TarGz, &packed, &limits).unwrap_err().code(), Code::TooLarge);
    }

    #[test]
    fn a_small_archive_of_a_name_without_end_is_stopped() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut name = tar::Header::new_gnu();
        name.set_entry_type(tar::EntryType::GNULongName);
        name.set_size(4 << 20);
        name.set_cksum();
        builder.append(&name, &vec![b'x'; 4 << 20][..]).unwrap();
        let packed = gzipped(&builder.into_inner().unwrap());
        assert!(packed.len() < 1 << 16);
        let limits = BundleLimits { bytes: 1 << 20, ..BundleLimits::default() };
        assert_eq!(unpack(Kind::TarGz, &packed, &limits).unwrap_err().code(), Code::TooLarge);
    }

    #[test]
    fn links_and_paths_that_leave_are_refused_with_their_names() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        builder.append_link(&mut link, "passwd", "/etc/passwd").unwrap();
        let mut outside = tar::Header::new_gnu();
        outside.set_size(1);
        outside.as_gnu_mut().unwrap().name[..6].copy_from_slice(b"../out");
        outside.set_cksum();
        builder.append(&outside, &b"x"[..]).unwrap();
        let refusal = unpack(Kind::Tar, &builder.into_inner().unwrap(), &BundleLimits::default()).unwrap_err();
        let paths: Vec<String> = refusal.problem().errors.into_iter().map(|error| error.path).collect();
        assert_eq!(paths, ["passwd", "../out"]);
    }

    #[test]
    fn what_is_no_archive_is_malformed() {
        for kind in [Kind::Tar, Kind::TarGz, Kind::Zip] {
            assert_eq!(unpack(kind, b"nonsense", &BundleLimits::default()).unwrap_err().code(), Code::MalformedRequest, "{kind:?}");
        }
    }
}
