//! Columns as wide as they need to be; the last one folds.

use super::{Paint, Tone};

/// A piece of text in its tone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

impl Cell {
    /// Text in a tone.
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: text.into(), tone, right: false }
    }

    /// A number, which stands to the right.
    pub(crate) fn number(number: impl ToString) -> Self {
        Self { text: number.to_string(), tone: Tone::Plain, right: true }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(Tone::Plain, text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// Rows of cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let heading = |text: &&str| Cell::new(Tone::Strong, *text);
        Self { rows: vec![headings.iter().map(heading).collect()] }
    }

    /// One without.
    pub(crate) fn plain() -> Self {
        Self::default()
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Its lines, each with its newline, `indent` blanks before each. The last column folds at
    /// `width`.
    pub(crate) fn render(&self, indent: usize, width: usize, paint: Paint) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |column| self.rows.iter().filter_map(move |row| row.get(column));
        let widths: Vec<usize> =
            (0..columns).map(|c| widest(c).map(Cell::width).max().unwrap_or(0)).collect();
        // A heading stands over its numbers.
        let numbers: Vec<bool> = (0..columns).map(|c| widest(c).any(|cell| cell.right)).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            let mut used = indent;
            for (column, cell) in row.iter().enumerate() {
                if column + 1 == row.len() && !numbers[column] {
                    let folded = wrap(&cell.text, width.saturating_sub(used), 0);
                    let next = format!("\n{}", " ".repeat(used));
                    let pieces: Vec<_> =
                        folded.iter().map(|piece| paint.apply(cell.tone, piece)).collect();
                    line.push_str(&pieces.join(&next));
                    continue;
                }
                let blanks = " ".repeat(widths[column] - cell.width());
                let painted = paint.apply(cell.tone, &cell.text);
                match numbers[column] {
                    true => line.extend([&blanks, &painted, "  "]),
                    false => line.extend([&painted, &blanks, "  "]),
                }
                used += widths[column] + 2;
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Text in lines of at most `width` characters, where its words allow; all but the first begin with
/// `indent` blanks. A width too small for sense is not kept to.
pub(crate) fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let width = width.max(indent + 20);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(std::mem::take(&mut line));
            line.push_str(&" ".repeat(indent));
            line.push_str(word);
            used = indent + length;
        } else {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_the_last_one_folds() {
        let mut table = Table::new(&["NODE", "FLOWS", "WHY"]);
        table.row(["l7-1".into(), Cell::number(5), "no answer within one second".into()]);
        table.row(["l7-100".into(), Cell::number(123_456), "up".into()]);
        assert_eq!(
            table.render(2, 40, Paint::OFF),
            "  NODE     FLOWS  WHY\n  \
               l7-1         5  no answer within one\n                  second\n  \
               l7-100  123456  up\n"
        );
    }

    #[test]
    fn colours_do_not_move_columns() {
        let mut table = Table::plain();
        table.row([Cell::new(Tone::Bad, "down"), "x".into()]);
        table.row([Cell::new(Tone::Good, "up"), "x".into()]);
        let coloured = table.render(0, 80, Paint::ON);
        assert_eq!(coloured, "\u{1b}[31mdown\u{1b}[0m  x\n\u{1b}[32mup\u{1b}[0m    x\n");
    }

    #[test]
    fn a_word_longer_than_the_line_stays_whole() {
        let word = "x".repeat(50);
        assert_eq!(wrap(&format!("a {word} b"), 30, 2), ["a", &format!("  {word}"), "  b"]);
        assert_eq!(wrap("", 30, 0), [""]);
    }
}
