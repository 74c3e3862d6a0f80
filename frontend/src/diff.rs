//! Two texts side by side or one under the other: rows with line numbers, words marked where a line changed, long equal
//! stretches left out. How it looks is decided elsewhere.

use orrery_contracts::{Bundle, FileContent};

use crate::shortest_edit::{Edit, edits};

/// Equal lines shown around a change.
const AROUND: usize = 3;

/// A line of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) n: usize,
    /// Pieces; true where this piece differs from the other side.
    pub(crate) pieces: Vec<(bool, String)>,
}

/// A row of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Equal(Line, Line),
    Change(Option<Line>, Option<Line>),
    /// So many equal lines are not shown.
    Skipped(usize),
}

/// How one file differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileChange {
    pub(crate) path: String,
    pub(crate) word: &'static str,
    /// None when a side is no text.
    pub(crate) rows: Option<Vec<Row>>,
    pub(crate) added: usize,
    pub(crate) removed: usize,
}

/// Every file that differs between two bundles, by path.
pub(crate) fn bundles(before: &Bundle, after: &Bundle) -> Vec<FileChange> {
    let mut paths: Vec<&String> = before.files.keys().chain(after.files.keys()).collect();
    paths.sort();
    paths.dedup();
    let differs = |path: &&String| before.files.get(*path) != after.files.get(*path);
    paths.into_iter().filter(differs).map(|path| file(path, before.files.get(path), after.files.get(path))).collect()
}

/// How a file differs between two bundles.
pub(crate) fn file(path: &str, before: Option<&FileContent>, after: Option<&FileContent>) -> FileChange {
    let word = match (before, after) {
        (None, _) => "added",
        (_, None) => "removed",
        (Some(a), Some(b)) if a.bytes == b.bytes && a.executable != b.executable => {
            if b.executable {
                "executable now"
            } else {
                "not executable now"
            }
        }
        (Some(_), Some(_)) => "changed",
    };
    let text = |file: Option<&FileContent>| file.map_or(Some(String::new()), |file| file.as_text().map(str::to_owned));
    let rows = text(before).zip(text(after)).map(|(a, b)| rows(&a, &b));
    let sides = |row: &Row| match row {
        Row::Change(a, b) => (usize::from(b.is_some()), usize::from(a.is_some())),
        Row::Equal(..) | Row::Skipped(_) => (0, 0),
    };
    let (added, removed) = rows.iter().flatten().map(sides).fold((0, 0), |sum, (a, r)| (sum.0 + a, sum.1 + r));
    FileChange { path: path.to_owned(), word, rows, added, removed }
}

/// The rows of two texts.
pub(crate) fn rows(before: &str, after: &str) -> Vec<Row> {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let mut all = Vec::new();
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    for edit in edits(&a, &b) {
        match edit {
            Edit::Delete(i) => gone.push(i),
            Edit::Insert(j) => come.push(j),
            Edit::Equal(i, j) => {
                flush(&a, &b, &mut gone, &mut come, &mut all);
                all.push(Row::Equal(plain(i, &a), plain(j, &b)));
            }
        }
    }
    flush(&a, &b, &mut gone, &mut come, &mut all);
    leave_out(all)
}

fn plain(at: usize, lines: &[&str]) -> Line {
    let text = lines.get(at).copied().unwrap_or_default();
    Line { n: at + 1, pieces: if text.is_empty() { vec![] } else { vec![(false, text.to_owned())] } }
}

/// Puts what went and what came beside each other, line by line.
fn flush(a: &[&str], b: &[&str], gone: &mut Vec<usize>, come: &mut Vec<usize>, rows: &mut Vec<Row>) {
    let count = gone.len().max(come.len());
    for at in 0..count {
        rows.push(match (gone.get(at), come.get(at)) {
            (Some(i), Some(j)) => {
                let (left, right) = words(a.get(*i).copied().unwrap_or_default(), b.get(*j).copied().unwrap_or_default());
                Row::Change(Some(Line { n: i + 1, pieces: left }), Some(Line { n: j + 1, pieces: right }))
            }
            (i, j) => Row::Change(i.map(|i| plain(*i, a)), j.map(|j| plain(*j, b))),
        });
    }
    gone.clear();
    come.clear();
}

type Pieces = Vec<(bool, String)>;

/// Marks the words that differ between two lines; nothing where hardly anything is the same.
fn words(left: &str, right: &str) -> (Pieces, Pieces) {
    let (a, b) = (tokens(left), tokens(right));
    let (mut before, mut after): (Pieces, Pieces) = (vec![], vec![]);
    let mut same = 0;
    for edit in edits(&a, &b) {
        match edit {
            Edit::Equal(i, j) => {
                let text = a.get(i).copied().unwrap_or_default();
                same += text.trim().len();
                join(&mut before, false, text);
                join(&mut after, false, b.get(j).copied().unwrap_or_default());
            }
            Edit::Delete(i) => join(&mut before, true, a.get(i).copied().unwrap_or_default()),
            Edit::Insert(j) => join(&mut after, true, b.get(j).copied().unwrap_or_default()),
        }
    }
    if same == 0 { (whole(left), whole(right)) } else { (before, after) }
}

fn whole(text: &str) -> Pieces {
    if text.is_empty() { vec![] } else { vec![(false, text.to_owned())] }
}

fn join(pieces: &mut Pieces, marked: bool, text: &str) {
    match pieces.last_mut() {
        Some((last, piece)) if *last == marked => piece.push_str(text),
        Some(_) | None => pieces.push((marked, text.to_owned())),
    }
}

/// Words, stretches of blanks, and single other characters.
fn tokens(text: &str) -> Vec<&str> {
    let kind = |c: char| match c {
        c if c.is_alphanumeric() || matches!(c, '_' | '.' | '-') => 1,
        c if c.is_whitespace() => 2,
        _ => 0,
    };
    let mut found = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (at, c) in text.char_indices() {
        let this = kind(c);
        if last.is_some_and(|last| last != this || this == 0) {
            found.extend(text.get(start..at));
            start = at;
        }
        last = Some(this);
    }
    found.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    found
}

/// Leaves out equal rows that are far from any change; everything, when nothing has changed.
fn leave_out(rows: Vec<Row>) -> Vec<Row> {
    let changed: Vec<usize> = rows.iter().enumerate().filter(|(_, row)| matches!(row, Row::Change(..))).map(|(at, _)| at).collect();
    let near = |at: usize| {
        let next = changed.partition_point(|change| *change < at);
        let after = changed.get(next).is_some_and(|change| change - at <= AROUND);
        let before = next.checked_sub(1).and_then(|before| changed.get(before)).is_some_and(|change| at - change <= AROUND);
        after || before
    };
    let mut shown = Vec::new();
    let mut skipped = 0;
    for (at, row) in rows.into_iter().enumerate() {
        if changed.is_empty() {
            continue;
        }
        if near(at) {
            if skipped > 0 {
                shown.push(Row::Skipped(std::mem::take(&mut skipped)));
            }
            shown.push(row);
        } else {
            skipped += 1;
        }
    }
    if skipped > 0 {
        shown.push(Row::Skipped(skipped));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rows: &[Row]) -> Vec<String> {
        let line = |line: &Line| {
            let text: String = line.pieces.iter().map(|(marked, text)| if *marked { format!("[{text}]") } else { text.clone() }).collect();
            format!("{} {text}", line.n)
        };
        let side = |side: &Option<Line>| side.as_ref().map_or_else(|| "-".to_owned(), line);
        let row = |row: &Row| match row {
            Row::Equal(a, b) => format!("{} = {}", line(a), line(b)),
            Row::Change(a, b) => format!("{} > {}", side(a), side(b)),
            Row::Skipped(n) => format!("… {n}"),
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn a_changed_line_stands_beside_the_one_that_it_was() {
        let told = told(&rows("a\nimage: web:2.0\nb\n", "a\nimage: web:2.1\nb\nc\n"));
        assert_eq!(told, ["1 a = 1 a", "2 image: web:[2.0] > 2 image: web:[2.1]", "3 b = 3 b", "- > 4 c"]);
    }

    #[test]
    fn long_equal_stretches_are_left_out() {
        let before: String = (1..=30).map(|n| format!("line {n}\n")).collect();
        let after = before.replace("line 15\n", "other\n");
        let told = told(&rows(&before, &after));
        assert_eq!(told.first().unwrap(), "… 11");
        assert_eq!(told.last().unwrap(), "… 12");
        assert_eq!(told.len(), 9);
    }

    #[test]
    fn a_file_that_is_no_text_says_only_that_it_changed() {
        let before = Bundle::default();
        let mut after = Bundle::default();
        after.files.insert("logo".into(), FileContent { bytes: vec![0xff], executable: false });
        after.files.insert("a".into(), FileContent::text("1\n2\n"));
        let changes = bundles(&before, &after);
        assert_eq!(
            changes.iter().map(|change| (change.path.as_str(), change.word, change.rows.is_some(), change.added)).collect::<Vec<_>>(),
            [("a", "added", true, 2), ("logo", "added", false, 0)]
        );
    }
}
