//! From text to a tree: the events of the parser, with aliases copied, merge keys resolved and
//! budgets kept.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput};

use super::{Data, Directive, Entry, Map, Node, Scalar, Span, child, item};
use crate::problem::Problem;

/// The largest definition that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting that is followed.
pub const MAX_DEPTH: usize = 64;
/// The most nodes a definition may have once its aliases are copied.
pub const MAX_NODES: usize = 100_000;
/// How often a file is read anew with a space put in.
const MAX_MENDED: usize = 64;
/// The most text a definition may have once its aliases are copied, in bytes.
const MAX_TEXT: usize = 8 << 20;

/// Reads the documents of a file. What is wrong goes to `problems`; a file whose YAML is broken
/// gives no documents.
pub fn read(file: &str, content: &[u8], problems: &mut Vec<Problem>) -> Vec<Node> {
    let file: Arc<str> = file.into();
    let Some(mut text) = text_of(&file, content, problems) else { return Vec::new() };
    let before = problems.len();
    for _ in 0..MAX_MENDED {
        let stop = match documents(&file, &text, problems) {
            Ok(documents) => return documents,
            Err(stop) => stop,
        };
        if let Stop::Parser(error) = stop {
            if let Some(mended) = mended(&text, &error) {
                problems.truncate(before);
                text = Cow::Owned(mended);
                continue;
            }
            problems.push(syntax(&file, &text, &error));
        } else if problems.len() == before {
            problems.push(Problem::invalid(&Span::start_of(&file).at(""), "this is not YAML"));
        }
        return Vec::new();
    }
    let message = "too many values stand behind a tab, or comments right behind a quote";
    problems.push(Problem::invalid(&Span::start_of(&file).at(""), message).hint("Replace the tabs with spaces."));
    Vec::new()
}

fn documents(file: &Arc<str>, text: &str, problems: &mut Vec<Problem>) -> Result<Vec<Node>, Stop> {
    let parser = Parser::new_from_str(text);
    Reader { file: file.clone(), parser, anchors: HashMap::new(), nodes: 0, text: 0, problems }.documents()
}

/// The text with a space where Compose's parser needs none: for a tab behind a colon, and before a comment
/// that follows a quote at once.
fn mended(text: &str, error: &ScanError) -> Option<String> {
    let info = error.info().to_lowercase();
    let marker = error.marker();
    let start: usize = text.split_inclusive('\n').take(marker.line().checked_sub(1)?).map(str::len).sum();
    let line = text.get(start..)?.lines().next()?;
    let column = line.char_indices().nth(marker.col()).map_or(line.len(), |(at, _)| at);
    if info.contains("valid yaml whitespace") {
        let at = start + line.get(..=column).unwrap_or(line).rfind(":\t")? + 1;
        return Some(format!("{} {}", text.get(..at)?, text.get(at + 1..)?));
    }
    let comment = info.contains("comments must be separated") && line.get(column..)?.starts_with('#');
    let at = start + column;
    comment.then(|| format!("{} {}", &text[..at], &text[at..]))
}

fn text_of<'a>(file: &Arc<str>, content: &'a [u8], problems: &mut Vec<Problem>) -> Option<Cow<'a, str>> {
    let start = Span::start_of(file);
    if content.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; {MAX_BYTES} is the most", content.len());
        problems.push(Problem::invalid(&start.at(""), message).hint("Move long texts into files of their own, and refer to them."));
        return None;
    }
    if content.starts_with(&[0xff, 0xfe]) || content.starts_with(&[0xfe, 0xff]) {
        problems.push(Problem::invalid(&start.at(""), "the file is in UTF-16").hint("Save it as UTF-8."));
        return None;
    }
    let place = |good: &str| {
        let line = good.matches('\n').count() as u32 + 1;
        let column = good.rsplit('\n').next().map_or(0, |last| last.chars().count()) as u32 + 1;
        Span { line, column, end_line: line, end_column: column + 1, ..start.clone() }.at("")
    };
    let text = match std::str::from_utf8(content) {
        Ok(text) => text,
        Err(error) => {
            let good = String::from_utf8_lossy(content.get(..error.valid_up_to()).unwrap_or_default()).into_owned();
            problems.push(Problem::invalid(&place(&good), "this byte is not UTF-8").hint("Save the file as UTF-8."));
            return None;
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    if let Some(at) = text.find(control) {
        let code = text[at..].chars().next().map_or(0, u32::from);
        let message = format!("the control character U+{code:04X}, which YAML does not take");
        problems.push(Problem::invalid(&place(&text[..at]), message).hint("Remove it, or write \"\\x..\" in double quotes."));
        return None;
    }
    Some(Cow::Borrowed(text))
}

/// Why reading ended early.
enum Stop {
    /// The parser says so.
    Parser(ScanError),
    /// A problem says so.
    Told,
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self::Parser(error)
    }
}

struct Reader<'a, 'p> {
    file: Arc<str>,
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    text: usize,
    problems: &'p mut Vec<Problem>,
}

type Token<'a> = (Event<'a>, Span);

impl<'a> Reader<'a, '_> {
    fn documents(&mut self) -> Result<Vec<Node>, Stop> {
        let mut documents = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(documents),
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
                Event::Alias(_) | Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                    documents.push(self.node((event, span), "", 0)?);
                }
                Event::SequenceEnd | Event::MappingEnd => return Err(Stop::Told),
            }
        }
    }

    fn next(&mut self) -> Result<Token<'a>, Stop> {
        let (event, span) = self.parser.next_event().ok_or(Stop::Told)??;
        let span = Span {
            file: self.file.clone(),
            line: span.start.line() as u32,
            column: span.start.col() as u32 + 1,
            end_line: span.end.line() as u32,
            end_column: span.end.col() as u32 + 1,
        };
        Ok((event, span))
    }

    fn node(&mut self, (event, span): Token<'a>, path: &str, depth: usize) -> Result<Node, Stop> {
        if depth > MAX_DEPTH {
            return self.stop(&span, path, format!("this is nested deeper than {MAX_DEPTH} levels"));
        }
        self.spend(1, 0, &span, path)?;
        let (node, anchor) = match event {
            Event::Alias(id) => return self.alias(id, span, path),
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(0, text.len(), &span, path)?;
                let tag = tag.as_ref().map(|tag| (tag.is_yaml_core_schema(), tag.suffix.as_str()));
                (self.scalar(&text, style, tag, span, path), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                let directive = self.directive(tag.as_ref().map(|tag| (tag.is_yaml_core_schema(), tag.suffix.as_str())), &span, path);
                let mut node = self.list(span, path, depth)?;
                node.directive = directive;
                (node, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                let directive = self.directive(tag.as_ref().map(|tag| (tag.is_yaml_core_schema(), tag.suffix.as_str())), &span, path);
                let mut node = self.mapping(span, path, depth)?;
                node.directive = directive;
                (node, anchor)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(Stop::Told),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: Span, path: &str) -> Result<Node, Stop> {
        let Some(node) = self.anchors.get(&id) else {
            return self.stop(&span, path, "this alias stands inside the value that it names".to_owned());
        };
        let (nodes, bytes) = (node.count(), node.bytes());
        let node = node.clone();
        self.spend(nodes, bytes, &span, path)?;
        Ok(node)
    }

    fn list(&mut self, mut span: Span, path: &str, depth: usize) -> Result<Node, Stop> {
        let mut items = Vec::new();
        loop {
            let token = self.next()?;
            if token.0 == Event::SequenceEnd {
                finish(&mut span, items.last());
                return Ok(Node::new(span, Data::List(items)));
            }
            let path = item(path, items.len());
            items.push(self.node(token, &path, depth + 1)?);
        }
    }

    fn mapping(&mut self, mut span: Span, path: &str, depth: usize) -> Result<Node, Stop> {
        let mut map = Map::new();
        let mut merges: Vec<Node> = Vec::new();
        let mut merge_at: Option<Span> = None;
        loop {
            let (event, key_span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let (key, is_merge) = self.key(event, &key_span, path)?;
            let token = self.next()?;
            let value_path = if is_merge { path.to_owned() } else { child(path, &key) };
            let node = self.node(token, &value_path, depth + 1)?;
            if is_merge {
                if let Some(first) = &merge_at {
                    let message = format!("a second << in one mapping; the first is in line {}", first.line);
                    self.problems.push(Problem::invalid(&key_span.at(path), message).hint("Write one << with a list: <<: [*a, *b]."));
                }
                merge_at.get_or_insert(key_span);
                self.collect_merge(node, path, &mut merges);
            } else if let Some(first) = map.get(&key) {
                let line = first.key.line;
                let message = format!("the key {key} is written twice; the first is in line {line}");
                self.problems.push(Problem::invalid(&key_span.at(child(path, &key)), message).hint("Keep one of the two."));
            } else {
                map.insert(key, Entry { key: key_span, node });
            }
        }
        finish(&mut span, map.values().map(|entry| &entry.node).max_by_key(|node| (node.span.end_line, node.span.end_column)));
        for merged in merges {
            let Data::Map(entries) = merged.data else { continue };
            for (key, entry) in entries {
                map.entry(key).or_insert(entry);
            }
        }
        Ok(Node::new(span, Data::Map(map)))
    }

    /// The mappings that a `<<` names, in the order in which they win.
    fn collect_merge(&mut self, node: Node, path: &str, merges: &mut Vec<Node>) {
        match &node.data {
            Data::Map(_) => merges.push(node),
            Data::List(_) => {
                let Data::List(items) = node.data else { return };
                for item in items {
                    if item.as_map().is_some() {
                        merges.push(item);
                    } else {
                        self.problems.push(bad_merge(&item, path));
                    }
                }
            }
            Data::Scalar(_) => self.problems.push(bad_merge(&node, path)),
        }
    }

    fn key(&mut self, event: Event<'a>, span: &Span, path: &str) -> Result<(String, bool), Stop> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                self.spend(1, text.len(), span, path)?;
                let plain = style == ScalarStyle::Plain;
                if anchor != 0 {
                    self.anchors.insert(anchor, Node::text(span.clone(), text.as_ref()));
                }
                if plain && text == "<<" {
                    return Ok((text.into_owned(), true));
                }
                if plain && text.is_empty() {
                    let message = "a value without a key";
                    self.problems.push(Problem::invalid(&span.at(path), message).hint("Write a key before the colon."));
                } else if plain && !matches!(Scalar::resolve(&text), Scalar::Text(_)) {
                    let message = format!("a key must be a text, and {text} is {}", Scalar::resolve(&text).kind());
                    let hint = format!("Put it in quotes: \"{text}\":.");
                    self.problems.push(Problem::invalid(&span.at(child(path, &text)), message).hint(hint));
                }
                Ok((text.into_owned(), false))
            }
            Event::Alias(id) => match self.anchors.get(&id).and_then(Node::display) {
                Some(text) => Ok((text, false)),
                None => self.stop(span, path, "a key must be a text, and this alias is none".to_owned()),
            },
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                let hint = "Where a value begins with { or [, put it in quotes.";
                let problem = Problem::invalid(&span.at(path), "a key must be a text, not a list or a mapping").hint(hint);
                self.problems.push(problem);
                Err(Stop::Told)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => Err(Stop::Told),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<(bool, &str)>, span: Span, path: &str) -> Node {
        let plain = style == ScalarStyle::Plain;
        let value = match tag {
            None if plain => Scalar::resolve(text),
            Some((true, "null" | "bool" | "int" | "float" | "timestamp")) => Scalar::resolve(text),
            Some((false, "reset" | "override")) if plain => Scalar::resolve(text),
            None | Some(_) => Scalar::Text(text.to_owned()),
        };
        let directive = self.directive(tag, &span, path);
        let source = (plain && !matches!(value, Scalar::Text(_)) && value.display().as_deref() != Some(text)).then(|| text.into());
        Node { span, data: Data::Scalar(value), directive, source }
    }

    fn directive(&mut self, tag: Option<(bool, &str)>, span: &Span, path: &str) -> Option<Directive> {
        match tag {
            Some((false, "reset")) => Some(Directive::Reset),
            Some((false, "override")) => Some(Directive::Override),
            Some((false, other)) => {
                let message = format!("the tag !{other} has no meaning here and is ignored");
                self.problems.push(Problem::warning(&span.at(path), message).hint("Remove it, or put the text in quotes."));
                None
            }
            Some((true, _)) | None => None,
        }
    }

    fn spend(&mut self, nodes: usize, bytes: usize, span: &Span, path: &str) -> Result<(), Stop> {
        self.nodes += nodes;
        self.text += bytes;
        if self.nodes > MAX_NODES || self.text > MAX_TEXT {
            let message = format!("the definition is too large: aliases included, more than {MAX_NODES} values or {MAX_TEXT} bytes");
            return self.stop(span, path, message);
        }
        Ok(())
    }

    fn stop<T>(&mut self, span: &Span, path: &str, message: String) -> Result<T, Stop> {
        self.problems.push(Problem::invalid(&span.at(path), message));
        Err(Stop::Told)
    }
}

/// A collection ends where its last value ends: the parser's own end is the next token.
fn finish(span: &mut Span, last: Option<&Node>) {
    if let Some(last) = last.filter(|last| (last.span.end_line, last.span.end_column) > (span.end_line, span.end_column)) {
        span.end_line = last.span.end_line;
        span.end_column = last.span.end_column;
    }
}

fn bad_merge(node: &Node, path: &str) -> Problem {
    let message = format!("<< takes a mapping or a list of mappings, and this is {}", node.kind());
    Problem::invalid(&node.span.at(path), message).hint("Write an alias, as in <<: *defaults.")
}

/// What the parser says, in words for people.
fn syntax(file: &Arc<str>, text: &str, error: &ScanError) -> Problem {
    let marker = error.marker();
    let (line, column) = (marker.line().max(1) as u32, marker.col() as u32 + 1);
    let span = Span { file: file.clone(), line, column, end_line: line, end_column: column + 1 };
    let here = text.lines().nth(line as usize - 1).unwrap_or_default();
    let indent: String = here.chars().take_while(|c| c.is_whitespace()).collect();
    if indent.contains('\t') {
        let at = indent.chars().position(|c| c == '\t').unwrap_or_default() as u32 + 1;
        let span = Span { column: at, end_column: at + 1, ..span };
        return Problem::invalid(&span.at(""), "a tab in the indentation, where YAML takes spaces only")
            .hint("Replace the tab with spaces.");
    }
    let info = error.info();
    if let Some((above, at)) = no_colon(text, line as usize).filter(|_| info.contains("mapping values")) {
        let length = text.lines().nth(above - 1).map_or(0, |line| line.trim_end().chars().count()) as u32;
        let span = Span { line: above as u32, end_line: above as u32, column: at + 1, end_column: length + 1, ..span };
        let problem = Problem::invalid(&span.at(""), "a key needs a colon and a value");
        return problem.hint("Write key: value.");
    }
    let (message, hint) = explain(info);
    let problem = Problem::invalid(&span.at(""), message);
    match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// The line above, where it should have a key and has no colon: its number and its indentation.
fn no_colon(text: &str, line: usize) -> Option<(usize, u32)> {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let indent = |line: &str| line.chars().take_while(|c| *c == ' ').count();
    let here = lines.get(line - 1)?;
    let above = (1..line).rev().find(|above| lines.get(above - 1).is_some_and(|line| !line.trim().is_empty()))?;
    let other = lines.get(above - 1)?;
    let bare = !other.contains(':') && !other.trim_start().starts_with(['-', '#', '|', '>']);
    (bare && indent(other) == indent(here)).then(|| (above, indent(other) as u32))
}

fn explain(info: &str) -> (String, Option<&'static str>) {
    let table: [(&str, &str, &str); 17] = [
        ("mapping values", "a colon where no key can be", "Put a text that has \": \" in it in quotes, and check the indentation."),
        ("unknown anchor", "this alias names an anchor that is not above it", "Define it first, as in x-common: &common."),
        ("did not find expected key", "a key was expected here", "Check the indentation of this line and the one above."),
        ("simple key expect", "a key needs a colon and a value", "Write key: value, and check the indentation."),
        ("expected '-' indicator", "an item of a list was expected here", "Begin it with a dash, indented like the items above."),
        ("tab", "a tab where YAML takes spaces only", "Replace the tab with spaces."),
        ("unexpected character", "this character cannot begin a value", "Put the value in quotes."),
        ("end of stream", "a quote is not closed before the end of the file", "Close it."),
        ("in quoted scalar", "what is in quotes is indented too little", "Close the quote, or indent the line."),
        ("after double-quoted", "there is something behind the closing quote", "Put the whole value in one pair of quotes."),
        ("unknown escape", "no such escape in a text in double quotes", "Write \\\\ for a backslash, or use single quotes."),
        ("flow sequence", "a comma or a closing ] is missing", "Check the brackets of this list."),
        ("flow mapping", "a comma or a closing } is missing", "Check the braces of this mapping, or put the value in quotes."),
        ("illegal placement of ':'", "a key inside brackets: an earlier bracket is not closed", "Close it, or put the value in quotes."),
        ("comments must be separated", "a # begins a comment only behind a space", "Write a space before it, or put the text in quotes."),
        ("misplaced bracket", "a closing bracket that nothing opened", "Remove it, or put the value in quotes."),
        ("unexpected eof", "the file ends in the middle of a value", "Close the last quote or bracket."),
    ];
    let known = table.iter().find(|(part, _, _)| info.to_lowercase().contains(part));
    match known {
        Some((_, message, hint)) => ((*message).to_owned(), Some(hint)),
        None => (format!("this is not YAML: {info}"), Some("Check the indentation and the quotes of this line and the one above.")),
    }
}
