//! One Parquet file: rows in, rows out.
//!
//! Invariant: a file under its name is whole; a reader sees the old one or the new one. Read `mod.rs` for where files
//! lie.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use vai_webhooks_wire::UnixMs;

/// The columns, in the order of [`Row`]'s members. The event type and the date are the folder's.
const SCHEMA: &str = "message event {
    REQUIRED INT64 seq;
    REQUIRED BYTE_ARRAY id (STRING);
    REQUIRED INT64 timestamp (TIMESTAMP(MILLIS,true));
    REQUIRED INT64 received_at (TIMESTAMP(MILLIS,true));
    OPTIONAL BYTE_ARRAY webhook_id (STRING);
    OPTIONAL BYTE_ARRAY session_id (STRING);
    OPTIONAL BYTE_ARRAY agent_id (STRING);
    OPTIONAL BYTE_ARRAY user_id (STRING);
    REQUIRED BYTE_ARRAY data (JSON);
}";

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) id: String,
    pub(super) timestamp: UnixMs,
    pub(super) received_at: UnixMs,
    pub(super) webhook_id: Option<String>,
    pub(super) session_id: Option<String>,
    pub(super) agent_id: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) data: String,
}

impl Row {
    /// About what it takes before compression.
    pub(super) fn bytes(&self) -> usize {
        self.id.len() + self.data.len() + 64
    }
}

/// Why a file was not read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// The file system's word.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What is there is no file of ours, or damaged.
    #[error("a file that cannot be read: {0}")]
    Parquet(#[from] ParquetError),
    /// It is Parquet, but with other columns.
    #[error("{0} has other columns than this sink writes")]
    Foreign(String),
}

/// A column's values, of every row.
enum Values {
    Integers(Vec<i64>),
    Texts(Vec<Option<ByteArray>>),
}

fn values(rows: &[Row], column: usize) -> Values {
    let integers = |get: fn(&Row) -> i64| Values::Integers(rows.iter().map(get).collect());
    let texts = |get: fn(&Row) -> Option<&String>| {
        Values::Texts(rows.iter().map(|row| get(row).map(|text| ByteArray::from(text.as_str()))).collect())
    };
    match column {
        0 => integers(|row| row.seq),
        1 => texts(|row| Some(&row.id)),
        2 => integers(|row| row.timestamp.0),
        3 => integers(|row| row.received_at.0),
        4 => texts(|row| row.webhook_id.as_ref()),
        5 => texts(|row| row.session_id.as_ref()),
        6 => texts(|row| row.agent_id.as_ref()),
        7 => texts(|row| row.user_id.as_ref()),
        _ => texts(|row| Some(&row.data)),
    }
}

/// Writes a file whole: under a temporary name, to the disk, then renamed.
pub(super) fn write(path: &Path, rows: &[Row]) -> Result<(), FileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.tmp"));
    let file = write_rows(File::create(&temporary)?, rows)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn write_rows(file: File, rows: &[Row]) -> Result<File, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("vai-webhooks-receiver ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    let mut column = 0;
    while let Some(mut into) = group.next_column()? {
        match values(rows, column) {
            Values::Integers(values) => {
                into.typed::<Int64Type>().write_batch(&values, None, None)?;
            }
            Values::Texts(values) => {
                let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
                let values: Vec<ByteArray> = values.into_iter().flatten().collect();
                // Levels of columns that may have no NULL are ignored.
                into.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
            }
        }
        into.close()?;
        column += 1;
    }
    group.close()?;
    writer.into_inner()
}

/// Reads a file of ours.
pub(super) fn read(path: &Path) -> Result<Vec<Row>, FileError> {
    let reader = SerializedFileReader::new(File::open(path)?)?;
    let ours = parse_message_type(SCHEMA)?;
    if reader.metadata().file_metadata().schema() != &ours {
        return Err(FileError::Foreign(path.display().to_string()));
    }
    let mut rows = Vec::new();
    for index in 0..reader.num_row_groups() {
        read_group(reader.get_row_group(index)?.as_ref(), &mut rows)?;
    }
    Ok(rows)
}

fn read_group(group: &dyn RowGroupReader, rows: &mut Vec<Row>) -> Result<(), ParquetError> {
    let count = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    let (seqs, timestamps, received) =
        (integers(group, 0, count)?, integers(group, 2, count)?, integers(group, 3, count)?);
    let texts = |column| texts(group, column, count).map(Vec::into_iter);
    let (mut ids, mut webhooks, mut sessions) = (texts(1)?, texts(4)?, texts(5)?);
    let (mut agents, mut users, mut data) = (texts(6)?, texts(7)?, texts(8)?);
    for at in 0..count {
        rows.push(Row {
            seq: seqs[at],
            id: ids.next().flatten().unwrap_or_default(),
            timestamp: UnixMs(timestamps[at]),
            received_at: UnixMs(received[at]),
            webhook_id: webhooks.next().flatten(),
            session_id: sessions.next().flatten(),
            agent_id: agents.next().flatten(),
            user_id: users.next().flatten(),
            data: data.next().flatten().unwrap_or_default(),
        });
    }
    Ok(())
}

fn short(column: usize) -> ParquetError {
    ParquetError::General(format!("column {column} ends before its end"))
}

fn integers(group: &dyn RowGroupReader, column: usize, count: usize) -> Result<Vec<i64>, ParquetError> {
    let ColumnReader::Int64ColumnReader(mut reader) = group.get_column_reader(column)? else {
        return Err(short(column));
    };
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let (read, _, _) = reader.read_records(count - values.len(), None, None, &mut values)?;
        if read == 0 {
            return Err(short(column));
        }
    }
    Ok(values)
}

fn texts(
    group: &dyn RowGroupReader,
    column: usize,
    count: usize,
) -> Result<Vec<Option<String>>, ParquetError> {
    let optional = group.metadata().column(column).column_descr().max_def_level() > 0;
    let ColumnReader::ByteArrayColumnReader(mut reader) = group.get_column_reader(column)? else {
        return Err(short(column));
    };
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let mut done = 0;
    while done < count {
        let into = if optional { Some(&mut levels) } else { None };
        let (read, _, _) = reader.read_records(count - done, into, None, &mut values)?;
        if read == 0 {
            return Err(short(column));
        }
        done += read;
    }
    let mut values = values.into_iter();
    let mut next = |there: bool| -> Result<Option<String>, ParquetError> {
        let value = if there { values.next() } else { None };
        value.map(|value| Ok(value.as_utf8()?.to_owned())).transpose()
    };
    if optional {
        levels.iter().map(|level| next(*level > 0)).collect()
    } else {
        (0..count).map(|_| next(true)).collect()
    }
}
