//! Boxes: fetched with progress and resume, checked, and brought into the pool; removed when nobody uses them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt as _;
use orrery_contracts::command::{BoxFormat, BoxSource};
use orrery_contracts::{BoxHead, Digest, Name, ProgressLine, Upload};
use orrery_queue::{JudgeError, Run, RunError, StepDone, StepFailure, StepHandle};
use tokio::io::AsyncWriteExt as _;

use super::arrival::{self, Found};
use super::heads::{now, told};
use super::judge::away;
use super::{Import, LibvirtExecutor};
use crate::converge::{BROKEN_OFF, Halt, Site, pool, root};
use crate::definition::{Pool, Record, box_volume, is_of};
use crate::engine::{Act, Format, Hypervisor, NewVolume, Scope, Seen, Source};

/// How many bytes come between two words of progress.
const TELL_EVERY: u64 = 8 * 1024 * 1024;
/// A file that came, and what it is.
struct Fetched {
    file: PathBuf,
    format: BoxFormat,
    sha256: Digest,
    size: u64,
    capacity: u64,
    /// Files of our own, which go when the box is in the pool.
    ours: Vec<PathBuf>,
}

impl<E: Hypervisor> LibvirtExecutor<E> {
    /// The machines whose disks lie on a box, or that read it as it is, by the names of their domains; and disks without a machine.
    pub(crate) async fn users_of(&self, head: &BoxHead) -> Result<Vec<String>, JudgeError> {
        let observed =
            self.engine.observe(&Scope { pool: Some(Pool::NAME.to_owned()), in_short: true, ..Scope::default() }).await.map_err(away)?;
        let file = self.pool.file(&head.volume);
        let over = observed.volumes.iter().filter(|volume| volume.backing.as_deref() == Some(file.as_str()));
        let machines = self.definitions.machine_heads().await?;
        let of = |volume: &str| machines.iter().map(|kept| &kept.value).find(|head| !head.deleted && is_of(head.id, volume));
        let stays = |volume: &str| format!("the disk {volume} that stayed in the pool (`virsh vol-delete --pool {} {volume}`)", Pool::NAME);
        let over = over.map(|volume| of(&volume.name).map_or_else(|| stays(&volume.name), |head| head.domain.clone()));
        let reads = |seen: &&Seen| Record::read(&seen.metadata).is_some_and(|record| record.boxes.contains(&head.volume));
        let mut users: Vec<String> = over.chain(observed.domains.iter().filter(reads).map(|seen| seen.name.clone())).collect();
        users.sort();
        users.dedup();
        Ok(users)
    }

    pub(super) async fn import(&self, import: Import, run: &Run) -> Result<String, RunError> {
        let site = self.site(run);
        site.take_up().await?;
        if let Some(head) = self.written(&import.name, run.command().seq).await? {
            return self.end_of_import(&head, &import.source).await;
        }
        let source = import.source.clone();
        let (mut came, mut broken_off) = (None, None);
        let (got, reason) = (&mut came, &mut broken_off);
        let work = |handle: StepHandle| async move {
            let fetched = tokio::select! {
                biased;
                fetched = self.fetch(&import, &handle) => fetched?,
                why = run.interrupted() => {
                    *reason = Some(why);
                    return Ok(StepDone::skipped(BROKEN_OFF));
                }
            };
            let detail = format!("{} bytes, {}", fetched.size, fetched.format.as_str());
            *got = Some((import, fetched));
            Ok(StepDone::done(detail))
        };
        run.step(site.spec("box.fetch", &run.command().message.target.to_string()), work).await?;
        if let Some(why) = broken_off {
            if let (RunError::Cancelled, BoxSource::Url(url)) = (&why, &source) {
                gone(&[self.part_of(url)]).await;
            }
            return Err(why);
        }
        let Some((import, fetched)) = came else { return Err(RunError::failed("box", "nothing was fetched")) };
        let volume = box_volume(import.name.as_str(), fetched.format);
        if let Err(halt) = self.bring_into_pool(&site, &volume, &fetched).await {
            return Err(self.not_brought(&site, &volume, &fetched, halt).await);
        }
        let origin = match &import.source {
            BoxSource::Url(url) => without_secrets(url),
            BoxSource::Upload(_) => "upload".to_owned(),
        };
        let head = BoxHead {
            name: import.name.clone(),
            owner: import.owner,
            host: self.host.clone(),
            format: fetched.format,
            volume,
            sha256: fetched.sha256,
            size: fetched.size,
            capacity: fetched.capacity,
            description: import.description,
            origin,
            imported_at: now(),
            deleted: false,
            command: run.command().seq,
        };
        self.write_box(&head).await?;
        gone(&fetched.ours).await;
        self.end_of_import(&head, &source).await
    }

    /// The box as an earlier run of this command wrote it.
    async fn written(&self, name: &Name, seq: u64) -> Result<Option<BoxHead>, RunError> {
        let head = told(self.definitions.patiently(|| self.definitions.box_head(name.as_str())).await)?;
        Ok(head.map(|kept| kept.value).filter(|head| !head.deleted && head.command == seq))
    }

    /// What was uploaded has become a box, and goes.
    async fn end_of_import(&self, head: &BoxHead, source: &BoxSource) -> Result<String, RunError> {
        if let BoxSource::Upload(sum) = source
            && let Ok(Some((upload, _))) = self.upload(sum).await
        {
            let uploads = Arc::clone(&self.uploads);
            if let Ok(Err(problem)) = tokio::task::spawn_blocking(move || uploads.remove(upload.of.id)).await {
                tracing::warn!("an upload that has become a box stays: {}", problem.detail);
            }
        }
        self.changed.notify_one();
        Ok(format!("box {} imported: {}, {} bytes", head.name, head.format.as_str(), head.size))
    }

    /// A whole upload, and where it lies.
    pub(super) async fn upload(&self, sum: &Digest) -> Result<Option<(Upload, PathBuf)>, JudgeError> {
        let (uploads, sum) = (Arc::clone(&self.uploads), sum.clone());
        let found = tokio::task::spawn_blocking(move || uploads.whole(&sum)).await;
        found.map_err(|error| JudgeError::Transient(error.to_string()))?.map_err(|problem| JudgeError::Transient(problem.detail))
    }

    async fn bring_into_pool(&self, site: &Site<'_, E>, volume: &str, fetched: &Fetched) -> Result<(), Halt> {
        site.act(Pool::NAME, pool(&self.pool)).await?;
        let (name, pool) = (volume.to_owned(), Pool::NAME.to_owned());
        // The file itself is uploaded, header and all: the volume is as large as the file, whatever the image in it says.
        let new = NewVolume { pool: pool.clone(), name: name.clone(), capacity: fetched.size, format: Format::Raw, backing: None };
        site.act(volume, Act::CreateVolume(new)).await?;
        let source = Source::File(fetched.file.clone());
        site.act(volume, Act::Upload { pool, name, source, size: fetched.size }).await.map(drop)
    }

    /// Why nothing was brought into the pool. After a cancel nothing of it stays: nobody goes on with it.
    async fn not_brought(&self, site: &Site<'_, E>, volume: &str, fetched: &Fetched, halt: Halt) -> RunError {
        let error = match halt {
            Halt::Run(error) => error,
            Halt::Replan => RunError::failed("unstable", "the pool changes meanwhile; try again"),
        };
        if matches!(error, RunError::Cancelled) {
            let act = Act::RemoveVolume { pool: Pool::NAME.to_owned(), name: volume.to_owned() };
            if let Err(halt) = site.act_back(volume, act).await {
                tracing::warn!("half a box stays in the pool: {volume}: {halt:?}");
            }
            gone(&fetched.ours).await;
        }
        error
    }

    /// Where what comes from an address is kept until it is whole.
    fn part_of(&self, url: &str) -> PathBuf {
        self.downloads.join(format!("{}.part", Digest::of(url.as_bytes())))
    }

    pub(super) async fn remove_box(&self, head: BoxHead, run: &Run) -> Result<String, RunError> {
        let site = self.site(run);
        site.take_up().await?;
        let act = Act::RemoveVolume { pool: Pool::NAME.to_owned(), name: head.volume.clone() };
        match site.act(&head.volume, act).await {
            Ok(_) | Err(Halt::Replan) => {}
            Err(Halt::Run(error)) => return Err(error),
        }
        let name = head.name.clone();
        self.write_box(&BoxHead { deleted: true, command: run.command().seq, ..head }).await?;
        Ok(format!("box {name} removed"))
    }

    async fn fetch(&self, import: &Import, handle: &StepHandle) -> Result<Fetched, StepFailure> {
        let (file, wanted, mut ours) = match &import.source {
            BoxSource::Url(url) => {
                let file = self.downloaded(url, import, handle).await?;
                (file.clone(), import.sha256.as_ref(), vec![file])
            }
            BoxSource::Upload(sum) => {
                let found = self.upload(sum).await.map_err(|error| StepFailure::new("files", error.to_string()))?;
                let gone = || StepFailure::new("no_upload", format!("the upload with SHA-256 {sum} was removed meanwhile"));
                (found.ok_or_else(gone)?.1, Some(sum), Vec::new())
            }
        };
        let found = looked(&file).await?;
        if let Some(wanted) = wanted.filter(|wanted| **wanted != found.sha256) {
            let _ = tokio::fs::remove_file(&file).await;
            let what = format!("what came has SHA-256 {}, and {wanted} was asked for; it was thrown away", found.sha256);
            return Err(StepFailure::new("checksum", what));
        }
        let sha256 = found.sha256.clone();
        let format = import.format.unwrap_or(found.format);
        let (file, found, format) = if format == BoxFormat::Vagrant {
            let (disk, format) = self.disk_of_vagrant(&file, &sha256, handle).await?;
            ours.push(disk.clone());
            (disk.clone(), looked(&disk).await?, format)
        } else {
            (file, found, format)
        };
        let capacity = if format == BoxFormat::Rootfs { rootfs(&file).await? } else { found.capacity };
        is_what_was_said(&file, format, found.format)?;
        Ok(Fetched { file, format, sha256, size: found.size, capacity, ours })
    }

    /// The disk of a box of Vagrant, unpacked, and its format.
    async fn disk_of_vagrant(&self, file: &Path, sha256: &Digest, handle: &StepHandle) -> Result<(PathBuf, BoxFormat), StepFailure> {
        let io = |error: std::io::Error| StepFailure::new("files", format!("the folder of downloads cannot be made: {error}"));
        tokio::fs::create_dir_all(&self.downloads).await.map_err(io)?;
        handle.progress(ProgressLine { text: "Unpacking".to_owned(), source: None, current: None, total: None }).await;
        let (archive, disk) = (file.to_owned(), arrival::disk_of(&self.downloads, sha256));
        let to = disk.clone();
        let unpacked = tokio::task::spawn_blocking(move || arrival::unpack(&archive, &to)).await;
        let format = unpacked.map_err(|error| StepFailure::new("files", error.to_string()))??;
        Ok((disk, format))
    }

    /// The file at an address, fetched.
    async fn downloaded(&self, url: &str, import: &Import, handle: &StepHandle) -> Result<PathBuf, StepFailure> {
        let io = |error: std::io::Error| StepFailure::new("files", format!("the folder of downloads cannot be made: {error}"));
        tokio::fs::create_dir_all(&self.downloads).await.map_err(io)?;
        let file = self.part_of(url);
        if import.sha256.is_none() {
            // What came before may be of another file by now, and nothing would tell: only a checksum lets a download go on.
            let _ = tokio::fs::remove_file(&file).await;
        }
        download(url, &file, handle).await?;
        Ok(file)
    }
}

/// Removes files of our own.
async fn gone(files: &[PathBuf]) {
    for file in files {
        if let Err(error) = tokio::fs::remove_file(file).await {
            tracing::warn!("a download stays: {}: {error}", file.display());
        }
    }
}

/// What is in a file.
async fn looked(file: &Path) -> Result<Found, StepFailure> {
    let path = file.to_owned();
    let looked = tokio::task::spawn_blocking(move || arrival::look(&path)).await;
    let looked = looked.map_err(|error| StepFailure::new("files", error.to_string()))?;
    looked.map_err(|error| StepFailure::new("files", format!("what came cannot be read: {error}")))
}

/// An image must be what it was said to be, and lie in this one file.
fn is_what_was_said(file: &Path, said: BoxFormat, found: BoxFormat) -> Result<(), StepFailure> {
    if said == BoxFormat::Qcow2 && found != BoxFormat::Qcow2 {
        return Err(StepFailure::new("format", "this is no qcow2 image; leave `format` out to have it found"));
    }
    let other = arrival::other_file(file).map_err(|error| StepFailure::new("files", format!("what came cannot be read: {error}")))?;
    match other.filter(|_| matches!(said, BoxFormat::Qcow2 | BoxFormat::Raw)) {
        None => Ok(()),
        Some(other) => {
            let message =
                format!("this image has {other}, which does not come with it: make one of the whole by `qemu-img convert -O qcow2`");
            Err(StepFailure::new("format", message))
        }
    }
}

/// How many bytes the files in an archive have. One that cannot be unpacked within its root is thrown away.
async fn rootfs(file: &Path) -> Result<u64, StepFailure> {
    let path = file.to_owned();
    let looked = tokio::task::spawn_blocking(move || root::look(&path)).await;
    match looked.map_err(|error| StepFailure::new("files", error.to_string()))? {
        Ok(holds) => Ok(holds.bytes),
        Err(error) => {
            let _ = tokio::fs::remove_file(file).await;
            let message = format!("this is no archive of a root filesystem: {error}; a tar is needed, as it is or packed by gzip");
            Err(StepFailure::new("format", message))
        }
    }
}

/// Why a request failed, down to the first cause, without the address: it may hold a password.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let all = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Fetches an address into a file, going on where an earlier try ended.
async fn download(url: &str, file: &Path, handle: &StepHandle) -> Result<(), StepFailure> {
    let failed = |what: String| StepFailure::new("download", what);
    let io = |error: std::io::Error| StepFailure::new("files", format!("{}: {error}", file.display()));
    let mut out = tokio::fs::OpenOptions::new().create(true).append(true).open(file).await.map_err(io)?;
    let have = out.metadata().await.map_err(io)?.len();
    let client = reqwest::Client::builder()
        .connect_timeout(std::time::Duration::from_secs(20))
        // A server that says nothing for so long has gone. With a checksum, the next try goes on where this one ended.
        .read_timeout(std::time::Duration::from_secs(60))
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let shown = without_secrets(url);
    let mut request = client.get(url);
    if have > 0 {
        request = request.header(reqwest::header::RANGE, format!("bytes={have}-"));
    }
    let answer = request.send().await.map_err(|error| failed(format!("{shown} cannot be fetched: {}", causes(error))))?;
    let status = answer.status();
    let mut done = have;
    if status == reqwest::StatusCode::RANGE_NOT_SATISFIABLE {
        return Ok(());
    }
    if !status.is_success() {
        return Err(failed(format!("{shown} answers {status}")));
    }
    if have > 0 && status != reqwest::StatusCode::PARTIAL_CONTENT {
        out.set_len(0).await.map_err(io)?;
        done = 0;
    }
    let total = answer.content_length().map(|rest| rest.saturating_add(done));
    let mut told = done;
    let mut body = answer.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| failed(format!("{shown} broke off after {done} bytes: {}", causes(error))))?;
        out.write_all(&chunk).await.map_err(io)?;
        done = done.saturating_add(u64::try_from(chunk.len()).unwrap_or_default());
        if done.saturating_sub(told) >= TELL_EVERY {
            told = done;
            handle.progress(ProgressLine { text: "Downloading".to_owned(), source: Some(shown.clone()), current: Some(done), total }).await;
        }
    }
    out.sync_all().await.map_err(io)
}

/// An address as it may be shown: without a password in it, and without its query.
fn without_secrets(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    match plain.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?))) {
        Some((scheme, (before, after))) if !before.contains('/') => format!("{scheme}://{after}"),
        Some(_) | None => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        assert_eq!(without_secrets("https://anna:secret@host/box.qcow2?token=1#x"), "https://host/box.qcow2");
        assert_eq!(without_secrets("https://host/a@b"), "https://host/a@b");
    }
}
