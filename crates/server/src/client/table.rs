//! Tables that fit a terminal of 80 columns.
//!
//! Columns that may be cut give way, the widest first; ids never do, because they are copied from here.
//! Widths are counted in characters. Read `answers.rs` next.

use std::io;

use super::screen::{Piece, Screen, cut, dim, toned};

/// The width that lines are fitted to.
const WIDTH: usize = 80;
/// Blanks between two columns.
const GAP: usize = 2;
/// What a column that gives way keeps at least.
const CUT_CHARS_MIN: usize = 8;

/// The head of a column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    name: &'static str,
    cut: bool,
}

impl Column {
    /// A column that is always shown in full.
    pub(super) const fn whole(name: &'static str) -> Self {
        Self { name, cut: false }
    }

    /// A column that gives way where the line is too long.
    pub(super) const fn cut(name: &'static str) -> Self {
        Self { name, cut: true }
    }
}

/// Rows of `N` cells.
pub(super) struct Table<'a, const N: usize> {
    columns: [Column; N],
    rows: Vec<[Piece<'a>; N]>,
}

impl<'a, const N: usize> Table<'a, N> {
    pub(super) fn new(columns: [Column; N]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: [Piece<'a>; N]) {
        self.rows.push(cells);
    }

    /// Prints the heads and the rows; nothing where there is no row.
    pub(super) fn print(&self, screen: &mut Screen<'_>) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let widths = self.widths();
        let heads: [Piece<'_>; N] = self.columns.map(|column| dim(column.name));
        print_row(&heads, &widths, screen)?;
        self.rows.iter().try_for_each(|row| print_row(row, &widths, screen))
    }

    fn widths(&self) -> [usize; N] {
        let mut widths = self.columns.map(|column| column.name.chars().count());
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        let total_max = WIDTH.saturating_sub(GAP * N.saturating_sub(1));
        // Bounded: every round makes one column one character narrower.
        while widths.iter().sum::<usize>() > total_max {
            let gives_way = |at: &usize| self.columns[*at].cut && widths[*at] > CUT_CHARS_MIN;
            let Some(widest) = (0..N).filter(gives_way).max_by_key(|at| widths[*at]) else { break };
            widths[widest] -= 1;
        }
        widths
    }
}

fn print_row(cells: &[Piece<'_>], widths: &[usize], screen: &mut Screen<'_>) -> io::Result<()> {
    let mut line = Vec::with_capacity(cells.len() * 2);
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let text = cut(&cell.text, *width);
        let blanks = if at + 1 == cells.len() { 0 } else { GAP + width.saturating_sub(text.chars().count()) };
        line.push(toned(cell.tone, text));
        line.push(" ".repeat(blanks).into());
    }
    screen.line(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed<const N: usize>(table: &Table<'_, N>) -> Vec<String> {
        let mut out = Vec::new();
        table.print(&mut Screen::new(&mut out, false)).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn columns_are_aligned_by_characters() {
        let mut table = Table::new([Column::whole("ID"), Column::cut("NAME")]);
        table.row(["ăîș".into(), "x".into()]);
        table.row(["long-id".into(), "y".into()]);
        assert_eq!(printed(&table), ["ID       NAME", "ăîș      x", "long-id  y"]);
    }

    #[test]
    fn what_may_be_cut_gives_way_to_80_columns_and_ids_do_not() {
        let mut table = Table::new([Column::whole("ID"), Column::cut("URL"), Column::cut("EVENTS")]);
        let id = "w".repeat(40);
        table.row([id.clone().into(), "u".repeat(100).into(), "message.*".into()]);
        let lines = printed(&table);
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
        assert!(lines[1].starts_with(&id));
        assert!(lines[1].contains('…') && lines[1].ends_with("message.*"), "{lines:#?}");
    }

    #[test]
    fn a_table_without_rows_prints_nothing() {
        assert!(printed(&Table::new([Column::whole("ID")])).is_empty());
    }
}
