//! Tables in text, readable as they are and as Markdown.
//!
//! In: cells. Out: lines with columns of even width: words to the left, numbers to the right.

/// A table under construction.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|cell| (*cell).to_owned()).collect();
        Self { rows: vec![head] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.rows[0].len());
        self.rows.push(cells);
    }

    pub(crate) fn print(&self) {
        print!("{}", self.text());
    }

    fn text(&self) -> String {
        let columns = 0..self.rows[0].len();
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = columns.map(width).collect();
        let is_number = |cell: &str| cell.starts_with(|c: char| c.is_ascii_digit());
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                let is_right = self.rows.iter().skip(1).any(|row| is_number(&row[column]));
                let cell = if is_right && column > 0 {
                    format!("| {cell:>width$} ")
                } else {
                    format!("| {cell:<width$} ")
                };
                text.push_str(&cell);
            }
            text.push_str("|\n");
            if number == 0 {
                let line = widths
                    .iter()
                    .map(|width| format!("|{}", "-".repeat(width + 2)));
                text.extend(line);
                text.push_str("|\n");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_even() {
        let mut table = Table::new(&["policy", "p99"]);
        table.row(vec!["random".into(), "12.5".into()]);
        table.row(vec!["ideal".into(), "3.0".into()]);
        let lines = "| policy |  p99 |\n|--------|------|\n| random | 12.5 |\n| ideal  |  3.0 |\n";
        assert_eq!(table.text(), lines);
    }
}
