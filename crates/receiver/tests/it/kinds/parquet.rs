//! What the kind `parquet` promises, read back with another reader of the format's library than the sink's.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use parquet::file::reader::SerializedFileReader;
use parquet::record::RowAccessor as _;
use vai_webhooks_receiver::sink::{Sink, Stored};

use super::{again, refused, sink, stored, try_open};

/// The place of the column `data`.
const DATA: usize = 8;

fn parquet(path: &Path) -> Box<dyn Sink> {
    sink("parquet", &format!("path = {path:?}"))
}

/// `data` of every row in every file, by folder.
fn read(path: &Path) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for date in std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()) {
        for folder in std::fs::read_dir(&date).unwrap().map(|entry| entry.unwrap().path()) {
            let name = folder.strip_prefix(path).unwrap().to_str().unwrap().to_owned();
            let mut files: Vec<_> =
                std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.sort();
            let rows: &mut Vec<String> = found.entry(name).or_default();
            for file in files {
                let reader = SerializedFileReader::try_from(file.as_path()).unwrap();
                rows.extend(reader.into_iter().map(|row| row.unwrap().get_string(DATA).unwrap().clone()));
            }
        }
    }
    found
}

fn numbered(range: std::ops::Range<i64>) -> Vec<Stored> {
    range
        .map(|seq| stored(seq, if seq % 2 == 0 { "even" } else { "odd.one" }, &format!(r#"{{"n": {seq}}}"#)))
        .collect()
}

#[tokio::test]
async fn events_lie_by_date_and_type_as_they_were_spelled() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lake/events");
    let mut sink = parquet(&path);
    assert!(sink.check().await.unwrap().contains("can be written"));
    assert!(!path.exists());
    sink.put(&numbered(1..4)).await.unwrap();
    sink.put(&numbered(4..6)).await.unwrap();
    let found = read(&path);
    assert_eq!(found["date=2026-01-01/event=even"], [r#"{"n": 2}"#, r#"{"n": 4}"#]);
    assert_eq!(found["date=2026-01-01/event=odd.one"], [r#"{"n": 1}"#, r#"{"n": 3}"#, r#"{"n": 5}"#]);
}

#[tokio::test]
async fn a_batch_that_comes_again_is_not_written_twice_by_this_process_or_the_next() {
    let directory = tempfile::tempdir().unwrap();
    for range in [1..10, 1..10, 5..20, 19..21] {
        parquet(directory.path()).put(&numbered(range)).await.unwrap();
    }
    let rows: usize = read(directory.path()).values().map(Vec::len).sum();
    assert_eq!(rows, 20);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_loses_no_event() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("taken");
    std::fs::write(&path, "a file").unwrap();
    let mut sink = parquet(&path);
    again(sink.put(&numbered(1..2)).await);
    again(sink.check().await.map(drop));
    std::fs::remove_file(&path).unwrap();
    sink.put(&numbered(1..2)).await.unwrap();
    let file = path.join("date=2026-01-01/event=odd.one/00000000000000000001.parquet");
    assert!(file.exists());
    std::fs::write(&file, "PAR1 damaged").unwrap();
    let detail = again(sink.put(&numbered(3..4)).await);
    assert!(detail.contains("event=odd.one"), "{detail}");
}

#[tokio::test]
async fn an_event_that_is_none_is_refused_and_those_before_it_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut batch = numbered(1..6);
    batch[3].event.body = Bytes::from_static(b"{");
    assert_eq!(refused(parquet(directory.path()).put(&batch).await), 3);
    let rows: usize = read(directory.path()).values().map(Vec::len).sum();
    assert_eq!(rows, 3);
    assert!(try_open("parquet", "path = \"\"").is_err() && try_open("parquet", "").is_err());
}
