//! `kind = "jsonl"`: a file with one event a line, which begins anew when it is large or the day is over.
//!
//! It exists as the archive that every tool reads. A line is the event's body as it was signed, line breaks between its
//! members made blanks. Invariant: a batch is on disk (`fsync`) before it counts as taken. It comes again where the
//! process died in between; then the lines at the file's end that are this batch's first ones are not written twice,
//! and half a line is taken away. Read `inbox/feeder.rs` next.

use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use serde::Deserialize;
use vai_webhooks_wire::UnixMs;

use super::settings::{Settings, SettingsError};
use super::{Sink, SinkError, Stored};

/// How large a file may become before the next batch begins a new one, by default.
const ROTATE_MIB: u64 = 256;
/// How much of a file's end is looked at for lines of a batch that comes again: a batch's largest size.
const TAIL_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Names that are tried for a file that is put aside, within one millisecond.
const NAMES_MAX: u32 = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    /// The file that is written to.
    path: PathBuf,
    /// When it is put aside: at this size,
    #[serde(default = "rotate_mib")]
    rotate_mib: u64,
    /// and, if true, at the end of each day (UTC).
    #[serde(default)]
    rotate_daily: bool,
    /// How many files that were put aside are kept; 0 keeps all.
    #[serde(default)]
    keep: usize,
}

fn rotate_mib() -> u64 {
    ROTATE_MIB
}

/// Makes the sink; the file's directory must be there.
pub(super) fn open(settings: Settings) -> Result<Box<dyn Sink>, SettingsError> {
    let members: Members = settings.read()?;
    if members.rotate_mib == 0 || members.path.file_name().is_none() {
        let what = "path must name a file, and rotate_mib be at least 1";
        return Err(SettingsError(what.to_owned()));
    }
    Ok(Box::new(Jsonl { members: Arc::new(members), open: Arc::new(Mutex::new(None)) }))
}

struct Jsonl {
    members: Arc<Members>,
    /// None until the first batch, and after a write that failed.
    open: Arc<Mutex<Option<Open>>>,
}

/// The file, as this process knows it.
struct Open {
    file: File,
    bytes: u64,
    /// The day of its last line, since 1970.
    day: i64,
    /// The newest event in it that was written by this process; 0 for none.
    seq: i64,
    /// Digests of the lines that were at its end when it was opened.
    tail: Vec<u64>,
}

impl Sink for Jsonl {
    fn put<'a>(&'a mut self, batch: &'a [Stored]) -> BoxFuture<'a, Result<(), SinkError>> {
        let (members, open, batch) = (self.members.clone(), self.open.clone(), batch.to_vec());
        Box::pin(async move {
            let write = move || {
                let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
                // Taken out, so that after an error the next batch looks at the file anew.
                let known = open.take();
                *open = Some(put(&members, known, &batch)?);
                Ok(())
            };
            let written: io::Result<()> =
                tokio::task::spawn_blocking(write).await.map_err(SinkError::again)?;
            written.map_err(|error| SinkError::again(self.say(&error)))
        })
    }

    fn check(&mut self) -> BoxFuture<'_, Result<String, SinkError>> {
        Box::pin(async {
            let path = &self.members.path;
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let found = std::fs::metadata(directory.unwrap_or(Path::new(".")));
            let found = found.map_err(|error| SinkError::again(self.say(&error)))?;
            if found.permissions().readonly() || !found.is_dir() || path.is_dir() {
                return Err(SinkError::again(format!("{} cannot be a file to write to", path.display())));
            }
            Ok(format!("{} can be written", path.display()))
        })
    }
}

impl Jsonl {
    fn say(&self, error: &io::Error) -> String {
        format!("cannot write {}: {error}", self.members.path.display())
    }
}

fn put(members: &Members, known: Option<Open>, batch: &[Stored]) -> io::Result<Open> {
    let mut open = match known {
        Some(open) => open,
        None => look(&members.path)?,
    };
    let lines: Vec<Vec<u8>> = batch.iter().map(line).collect();
    let replay = batch.iter().any(|stored| stored.replay);
    let mut skip = 0;
    if !replay {
        skip = match open.tail.is_empty() {
            true => batch.iter().take_while(|stored| stored.seq <= open.seq).count(),
            false => overlap(&open.tail, &lines),
        };
        open.tail.clear();
    }
    if skip == 0 && is_full(members, &open) {
        put_aside(members)?;
        open = Open { seq: open.seq, ..look(&members.path)? };
    }
    let new = lines[skip..].concat();
    if let Err(error) = open.file.write_all(&new).and_then(|()| open.file.sync_data()) {
        // Half a batch would be doubled by the next try. Where this fails too, `look` mends it.
        open.file.set_len(open.bytes).ok();
        return Err(error);
    }
    open.bytes += new.len() as u64;
    open.day = today();
    if let Some(last) = batch.last().filter(|_| !replay) {
        open.seq = last.seq;
    }
    Ok(open)
}

/// A line break in JSON stands between its parts alone: in a text it is written `\n`.
fn line(stored: &Stored) -> Vec<u8> {
    let mut line: Vec<u8> = stored
        .event
        .body
        .iter()
        .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte })
        .collect();
    line.push(b'\n');
    line
}

fn digest(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(line.strip_suffix(b"\n").unwrap_or(line));
    hasher.finish()
}

/// How many of the batch's first lines are the file's last ones.
fn overlap(tail: &[u64], lines: &[Vec<u8>]) -> usize {
    let lines: Vec<u64> = lines.iter().map(|line| digest(line)).collect();
    let most = tail.len().min(lines.len());
    (1..=most).rev().find(|len| tail.ends_with(&lines[..*len])).unwrap_or(0)
}

/// Opens the file, takes half a line at its end away, and reads what its last lines are.
fn look(path: &Path) -> io::Result<Open> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let metadata = file.metadata()?;
    let bytes = metadata.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(TAIL_BYTES_MAX)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let mut whole = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut bytes_whole = bytes - (end.len() - whole) as u64;
    if serde_json::from_slice::<serde::de::IgnoredAny>(&end[whole..]).is_ok() {
        // Whole but for its line break.
        file.write_all(b"\n")?;
        (whole, bytes_whole) = (end.len(), bytes + 1);
    } else if bytes_whole < bytes {
        file.set_len(bytes_whole)?;
    }
    let mut tail: Vec<u64> = end[..whole].split_inclusive(|byte| *byte == b'\n').map(digest).collect();
    if bytes > TAIL_BYTES_MAX && !tail.is_empty() {
        // The first one may be half a line.
        tail.remove(0);
    }
    let changed = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let day = changed.map_or_else(today, |since| i64::try_from(since.as_secs() / 86_400).unwrap_or(0));
    Ok(Open { file, bytes: bytes_whole, day, seq: 0, tail })
}

fn today() -> i64 {
    UnixMs::now().0 / 86_400_000
}

fn is_full(members: &Members, open: &Open) -> bool {
    let mib = 1024 * 1024;
    let large = open.bytes >= members.rotate_mib.saturating_mul(mib);
    open.bytes > 0 && (large || (members.rotate_daily && open.day != today()))
}

/// Renames `events.jsonl` to `events-2026-08-01T00-00-00.000Z.jsonl`, and drops the oldest over `keep`.
fn put_aside(members: &Members) -> io::Result<()> {
    let path = &members.path;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let end = path.extension().map_or_else(String::new, |end| format!(".{}", end.to_string_lossy()));
    let time = UnixMs::now().to_string().replace(':', "-");
    let name = |number: u32| match number {
        0 => path.with_file_name(format!("{stem}-{time}{end}")),
        number => path.with_file_name(format!("{stem}-{time}-{number:03}{end}")),
    };
    let free = (0..NAMES_MAX).map(name).find(|aside| !aside.exists());
    std::fs::rename(path, free.ok_or(io::ErrorKind::AlreadyExists)?)?;
    if members.keep == 0 {
        return Ok(());
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut aside = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // The time's digits follow, so that `events-of-others.jsonl` is not one of these.
        let time = name.strip_prefix(&format!("{stem}-")).and_then(|rest| rest.strip_suffix(&end));
        if time.is_some_and(|time| time.len() >= 24 && time.starts_with("20") && time.contains('Z')) {
            aside.push(name);
        }
    }
    aside.sort();
    let over = aside.len().saturating_sub(members.keep);
    aside.iter().take(over).try_for_each(|name| std::fs::remove_file(directory.join(name)))
}
