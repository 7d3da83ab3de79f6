//! A folder's files, and which of them a row belongs into.
//!
//! A file is named after the place in the inbox of its first row, and holds what lies from there up to the next file's
//! name. A new one is begun only behind all others, when the newest is large. Invariant: a row has one file where it
//! can be, at any time, so that looking there tells whether it was written. Read `file.rs` next.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::file::{self, FileError, Row};

/// When a new file is begun: at so many rows, or bytes before compression.
const FILE_ROWS_MAX: usize = 10_000;
const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Adds the rows, in the inbox's order, that are not there yet to `folder` under `path`.
pub(super) fn add(path: &Path, folder: &str, rows: Vec<Row>) -> Result<(), FileError> {
    let folder = make(path, folder)?;
    let mut firsts = firsts(&folder)?;
    let mut by_file: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
    for row in rows {
        // Before all others: into a file of its own, as the first row of a folder is.
        let first = firsts.range(..=row.seq).next_back().copied().unwrap_or(row.seq);
        firsts.insert(first);
        by_file.entry(first).or_default().push(row);
    }
    let newest = firsts.last().copied();
    for (first, rows) in by_file {
        add_to_file(&folder, first, newest == Some(first), rows)?;
    }
    Ok(())
}

fn add_to_file(folder: &Path, first: i64, newest: bool, rows: Vec<Row>) -> Result<(), FileError> {
    let name = |first: i64| folder.join(format!("{first:020}.parquet"));
    let mut there = match file::read(&name(first)) {
        Ok(rows) => rows,
        Err(FileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let known: HashSet<&str> = there.iter().map(|row| row.id.as_str()).collect();
    let mut new: Vec<Row> = rows.into_iter().filter(|row| !known.contains(row.id.as_str())).collect();
    let Some(new_first) = new.first().map(|row| row.seq) else { return Ok(()) };
    let bytes: usize = there.iter().map(Row::bytes).sum();
    let large = there.len() >= FILE_ROWS_MAX || bytes >= FILE_BYTES_MAX;
    // Only behind all that is there: else rows of this file would be looked for in the new one.
    let behind = newest && there.iter().all(|row| row.seq < new_first);
    if large && behind {
        return file::write(&name(new_first), &new);
    }
    there.append(&mut new);
    there.sort_by_key(|row| row.seq);
    file::write(&name(first), &there)
}

/// The names of the folder's files, as numbers.
fn firsts(folder: &Path) -> io::Result<std::collections::BTreeSet<i64>> {
    let mut firsts = std::collections::BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".parquet"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            firsts.insert(number);
        }
    }
    Ok(firsts)
}

/// Makes the folder, and what leads to it, so that they are there after a power cut too.
fn make(path: &Path, folder: &str) -> io::Result<PathBuf> {
    let folder = path.join(folder);
    if !folder.is_dir() {
        fs::create_dir_all(&folder)?;
        for directory in folder.ancestors().skip(1) {
            let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            File::open(directory)?.sync_all()?;
            if path.starts_with(directory) && path != directory {
                break;
            }
        }
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use vai_webhooks_wire::UnixMs;

    use super::*;

    fn row(seq: i64) -> Row {
        Row {
            seq,
            id: format!("evt_{seq}"),
            timestamp: UnixMs(1_767_225_600_000 + seq),
            received_at: UnixMs(1_767_225_700_000),
            webhook_id: None,
            session_id: (seq % 2 == 0).then(|| "s".to_owned()),
            agent_id: None,
            user_id: Some("ü".to_owned()),
            data: format!(r#"{{"n":{seq}}}"#),
        }
    }

    fn rows(range: std::ops::Range<i64>) -> Vec<Row> {
        range.map(row).collect()
    }

    fn names(folder: &Path) -> Vec<i64> {
        firsts(folder).unwrap().into_iter().collect()
    }

    fn all(folder: &Path) -> Vec<Row> {
        names(folder)
            .iter()
            .flat_map(|first| file::read(&folder.join(format!("{first:020}.parquet"))).unwrap())
            .collect()
    }

    #[test]
    fn rows_come_back_as_they_were_and_small_batches_share_a_file() {
        let directory = tempfile::tempdir().unwrap();
        for range in [5..8, 8..9, 9..20] {
            add(directory.path(), "f", rows(range)).unwrap();
        }
        let folder = directory.path().join("f");
        assert_eq!(names(&folder), [5]);
        assert_eq!(all(&folder), rows(5..20));
    }

    #[test]
    fn rows_that_come_again_are_not_doubled_however_they_are_cut() {
        let directory = tempfile::tempdir().unwrap();
        for range in [1..10, 1..10, 4..15, 3..4, 14..16] {
            add(directory.path(), "f", rows(range)).unwrap();
        }
        assert_eq!(all(&directory.path().join("f")), rows(1..16));
    }

    #[test]
    fn a_large_file_is_followed_by_another_and_old_rows_are_still_found() {
        let directory = tempfile::tempdir().unwrap();
        let (many, end) = (i64::try_from(FILE_ROWS_MAX).unwrap(), i64::try_from(FILE_ROWS_MAX).unwrap() + 11);
        add(directory.path(), "f", rows(1..many + 1)).unwrap();
        add(directory.path(), "f", rows(many - 3..many + 6)).unwrap();
        add(directory.path(), "f", rows(many + 3..end)).unwrap();
        add(directory.path(), "f", rows(2..4)).unwrap();
        let folder = directory.path().join("f");
        assert_eq!(names(&folder), [1, many + 1]);
        assert_eq!(all(&folder), rows(1..end));
    }

    #[test]
    fn an_old_row_that_was_left_out_finds_its_place() {
        let directory = tempfile::tempdir().unwrap();
        for range in [5..7, 8..10, 7..8, 2..3] {
            add(directory.path(), "f", rows(range)).unwrap();
        }
        let folder = directory.path().join("f");
        assert_eq!(names(&folder), [2, 5]);
        let seqs: Vec<i64> = all(&folder).iter().map(|row| row.seq).collect();
        assert_eq!(seqs, [2, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn what_a_crash_left_behind_is_no_part_of_the_folder() {
        let directory = tempfile::tempdir().unwrap();
        add(directory.path(), "f", rows(1..3)).unwrap();
        let folder = directory.path().join("f");
        fs::write(folder.join(".00000000000000000001.parquet.tmp"), b"PAR1half a file").unwrap();
        add(directory.path(), "f", rows(1..5)).unwrap();
        assert_eq!(all(&folder), rows(1..5));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}
