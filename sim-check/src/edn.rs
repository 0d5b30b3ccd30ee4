//! The notation of Clojure's data (github.com/edn-format/edn), as far as histories use it, which is all of it but
//! metadata, namespaced maps and code.

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

/// A value in the notation.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Edn {
    /// `nil`
    Nil,
    /// `true` or `false`
    Bool(bool),
    /// `-7`
    Int(i64),
    /// Any other number, as it is written: `1.5`, `7N`, `1/3`.
    Number(String),
    /// `"text"`
    Text(String),
    /// `\c`, without the backslash: `c`, `newline`.
    Char(String),
    /// `:word`, without the colon.
    Keyword(String),
    /// `word`
    Symbol(String),
    /// `(1 2)`
    List(Vec<Edn>),
    /// `[1 2]`
    Vector(Vec<Edn>),
    /// `#{1 2}`, in the order in which it is written.
    Set(Vec<Edn>),
    /// `{:a 1}`, in the order in which it is written.
    Map(Vec<(Edn, Edn)>),
    /// `#tag value`
    Tagged(String, Box<Edn>),
}

impl Edn {
    /// A keyword.
    pub fn keyword(word: impl Into<String>) -> Edn {
        Edn::Keyword(word.into())
    }

    /// The value of a key of a map, by the keyword's name.
    pub fn get(&self, key: &str) -> Option<&Edn> {
        let Edn::Map(entries) = self else { return None };
        let found = entries.iter().find(|(k, _)| matches!(k, Edn::Keyword(word) if word == key));
        found.map(|(_, value)| value)
    }

    /// Reads one value.
    ///
    /// # Errors
    /// Where the text is none, or has more than one.
    pub fn read(text: &str) -> Result<Edn, Unreadable> {
        let mut reader = Reader::new(text);
        let value = reader.value(0)?;
        match reader.next_value()? {
            None => Ok(value),
            Some((at, _)) => Err(reader.unreadable(at, "a second value, where one was expected")),
        }
    }

    /// Reads value after value, each with the number of the line on which it begins.
    ///
    /// # Errors
    /// Where something is no value.
    pub fn read_all(text: &str) -> Result<Vec<(usize, Edn)>, Unreadable> {
        let mut reader = Reader::new(text);
        let mut values = Vec::new();
        while let Some((at, _)) = reader.next_value()? {
            values.push((line_of(text, at), reader.value(0)?));
        }
        Ok(values)
    }
}

impl From<i64> for Edn {
    fn from(number: i64) -> Edn {
        Edn::Int(number)
    }
}

impl From<&str> for Edn {
    fn from(text: &str) -> Edn {
        Edn::Text(text.to_owned())
    }
}

/// Why a text cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// On which line, counted from 1.
    pub line: usize,
    /// What is there.
    pub what: String,
}

impl Unreadable {
    pub(crate) fn new(line: usize, what: impl Into<String>) -> Self {
        Unreadable { line, what: what.into() }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Unreadable {}

impl fmt::Display for Edn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |f: &mut fmt::Formatter<'_>, open: &str, values: &[Edn], close: &str| {
            f.write_str(open)?;
            for (i, value) in values.iter().enumerate() {
                write!(f, "{}{value}", if i == 0 { "" } else { " " })?;
            }
            f.write_str(close)
        };
        match self {
            Edn::Nil => f.write_str("nil"),
            Edn::Bool(value) => write!(f, "{value}"),
            Edn::Int(number) => write!(f, "{number}"),
            Edn::Number(number) => f.write_str(number),
            Edn::Text(text) => {
                f.write_str("\"")?;
                for c in text.chars() {
                    match c {
                        '"' => f.write_str("\\\"")?,
                        '\\' => f.write_str("\\\\")?,
                        '\n' => f.write_str("\\n")?,
                        '\r' => f.write_str("\\r")?,
                        '\t' => f.write_str("\\t")?,
                        c => write!(f, "{c}")?,
                    }
                }
                f.write_str("\"")
            }
            Edn::Char(c) => write!(f, "\\{c}"),
            Edn::Keyword(word) => write!(f, ":{word}"),
            Edn::Symbol(word) => f.write_str(word),
            Edn::List(values) => all(f, "(", values, ")"),
            Edn::Vector(values) => all(f, "[", values, "]"),
            Edn::Set(values) => all(f, "#{", values, "}"),
            Edn::Map(entries) => {
                f.write_str("{")?;
                for (i, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key} {value}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
            Edn::Tagged(tag, value) => write!(f, "#{tag} {value}"),
        }
    }
}

/// How deep values may be nested: real ones are a handful deep, and a hostile one is not to overflow the stack.
const DEEPEST: usize = 64;

struct Reader<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text[..at].matches('\n').count()
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Reader { text, chars: text.char_indices().peekable() }
    }

    fn unreadable(&self, at: usize, what: impl Into<String>) -> Unreadable {
        Unreadable::new(line_of(self.text, at), what)
    }

    fn end(&self) -> Unreadable {
        self.unreadable(self.text.len(), "the text ends in the middle of a value")
    }

    /// Where the next value begins, past blanks, comments and what is commented out.
    fn next_value(&mut self) -> Result<Option<(usize, char)>, Unreadable> {
        while let Some(&(at, c)) = self.chars.peek() {
            match c {
                c if c.is_whitespace() || c == ',' => _ = self.chars.next(),
                ';' => while self.chars.next().is_some_and(|(_, c)| c != '\n') {},
                '#' if self.text[at..].starts_with("#_") => {
                    self.chars.next();
                    self.chars.next();
                    self.value(1)?;
                }
                c => return Ok(Some((at, c))),
            }
        }
        Ok(None)
    }

    fn value(&mut self, depth: usize) -> Result<Edn, Unreadable> {
        let Some((at, c)) = self.next_value()? else { return Err(self.end()) };
        if depth > DEEPEST {
            return Err(self.unreadable(at, format!("a value that is nested more than {DEEPEST} deep")));
        }
        match c {
            '(' => Ok(Edn::List(self.until(')', depth)?)),
            '[' => Ok(Edn::Vector(self.until(']', depth)?)),
            '{' => self.map(at, depth),
            '"' => self.text_value(),
            '\\' => {
                self.chars.next();
                let Some((from, first)) = self.chars.next() else { return Err(self.end()) };
                let rest = self.word();
                Ok(Edn::Char(self.text[from..from + first.len_utf8() + rest.len()].to_owned()))
            }
            '#' => {
                self.chars.next();
                match self.chars.peek() {
                    Some((_, '{')) => Ok(Edn::Set(self.until('}', depth)?)),
                    Some((_, c)) if c.is_alphabetic() => {
                        let tag = self.word().to_owned();
                        Ok(Edn::Tagged(tag, Box::new(self.value(depth + 1)?)))
                    }
                    _ => Err(self.unreadable(at, "a # that begins neither a set nor a tag")),
                }
            }
            ')' | ']' | '}' => Err(self.unreadable(at, format!("a {c} that nothing has opened"))),
            _ => {
                let word = self.word();
                atom(word).ok_or_else(|| self.unreadable(at, format!("{word:?}, which is no value")))
            }
        }
    }

    /// The values up to a bracket.
    fn until(&mut self, close: char, depth: usize) -> Result<Vec<Edn>, Unreadable> {
        self.chars.next();
        let mut values = Vec::new();
        loop {
            match self.next_value()? {
                None => return Err(self.end()),
                Some((_, c)) if c == close => {
                    self.chars.next();
                    return Ok(values);
                }
                Some(_) => values.push(self.value(depth + 1)?),
            }
        }
    }

    fn map(&mut self, at: usize, depth: usize) -> Result<Edn, Unreadable> {
        let values = self.until('}', depth)?;
        if values.len() % 2 == 1 {
            return Err(self.unreadable(at, "a map with a key that has no value"));
        }
        let mut entries = Vec::with_capacity(values.len() / 2);
        let mut values = values.into_iter();
        while let Some(entry) = values.next().zip(values.next()) {
            entries.push(entry);
        }
        Ok(Edn::Map(entries))
    }

    fn text_value(&mut self) -> Result<Edn, Unreadable> {
        self.chars.next();
        let mut text = String::new();
        while let Some((at, c)) = self.chars.next() {
            match c {
                '"' => return Ok(Edn::Text(text)),
                '\\' => text.push(self.escaped(at)?),
                c => text.push(c),
            }
        }
        Err(self.end())
    }

    fn escaped(&mut self, at: usize) -> Result<char, Unreadable> {
        let Some((_, c)) = self.chars.next() else { return Err(self.end()) };
        match c {
            'n' => Ok('\n'),
            't' => Ok('\t'),
            'r' => Ok('\r'),
            'b' => Ok('\u{8}'),
            'f' => Ok('\u{c}'),
            '"' | '\\' => Ok(c),
            'u' => {
                let digits: String = self.chars.by_ref().take(4).map(|(_, c)| c).collect();
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                let c = code.and_then(char::from_u32);
                c.ok_or_else(|| self.unreadable(at, format!("\\u{digits}, which is no character")))
            }
            c => Err(self.unreadable(at, format!("\\{c} in a text, which means nothing"))),
        }
    }

    /// Everything up to a blank or a bracket.
    fn word(&mut self) -> &'a str {
        let from = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        let ends = |c: char| c.is_whitespace() || ",;()[]{}\"\\".contains(c);
        let mut to = from;
        while let Some((at, c)) = self.chars.next_if(|(_, c)| !ends(*c)) {
            to = at + c.len_utf8();
        }
        &self.text[from..to]
    }
}

fn atom(word: &str) -> Option<Edn> {
    Some(match word {
        "nil" => Edn::Nil,
        "true" => Edn::Bool(true),
        "false" => Edn::Bool(false),
        _ if word.len() > 1 && word.starts_with(':') => Edn::Keyword(word[1..].to_owned()),
        _ => {
            let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
            if digits.starts_with(|c: char| c.is_ascii_digit()) {
                return Some(word.parse().map_or_else(|_| Edn::Number(word.to_owned()), Edn::Int));
            }
            if word.is_empty() || word.starts_with(':') {
                return None;
            }
            Edn::Symbol(word.to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> String {
        Edn::read(text).map_or_else(|error| format!("! {error}"), |value| format!("{value:?}"))
    }

    #[test]
    fn values_are_read() {
        assert_eq!(read(" nil ; nothing"), "Nil");
        assert_eq!(
            read("[1 -2 +3 1.5 7N]"),
            "Vector([Int(1), Int(-2), Int(3), Number(\"1.5\"), Number(\"7N\")])"
        );
        assert_eq!(read("#{:a, b}"), "Set([Keyword(\"a\"), Symbol(\"b\")])");
        assert_eq!(read("(true #_(1 2) false)"), "List([Bool(true), Bool(false)])");
        assert_eq!(read("{:a {\"b\" \\c}}"), "Map([(Keyword(\"a\"), Map([(Text(\"b\"), Char(\"c\"))]))])");
        assert_eq!(
            read("#x.y/Z{:a \\newline}"),
            "Tagged(\"x.y/Z\", Map([(Keyword(\"a\"), Char(\"newline\"))]))"
        );
        assert_eq!(read(r#""a\"\\\n\u00e9""#), "Text(\"a\\\"\\\\\\né\")");
        assert_eq!(read("\\("), "Char(\"(\")");
    }

    #[test]
    fn what_is_no_value_is_named_with_its_line() {
        assert_eq!(read("[1\n\n"), "! line 3: the text ends in the middle of a value");
        assert_eq!(read("\n1 2"), "! line 2: a second value, where one was expected");
        assert_eq!(read("{:a}"), "! line 1: a map with a key that has no value");
        assert_eq!(read("[1 }"), "! line 1: a } that nothing has opened");
        assert_eq!(read(":"), "! line 1: \":\", which is no value");
        assert_eq!(read("\"\\q\""), "! line 1: \\q in a text, which means nothing");
        assert_eq!(read(&"[".repeat(100_000)), "! line 1: a value that is nested more than 64 deep");
    }

    fn values() -> impl Strategy<Value = Edn> {
        let leaf = prop_oneof![
            Just(Edn::Nil),
            any::<bool>().prop_map(Edn::Bool),
            any::<i64>().prop_map(Edn::Int),
            any::<String>().prop_map(Edn::Text),
            "[a-z][a-z0-9/.-]{0,8}"
                .prop_filter("", |w| !["nil", "true", "false"].contains(&&**w))
                .prop_map(Edn::Symbol),
            "[a-z][a-z0-9/.-]{0,8}".prop_map(Edn::Keyword),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Edn::Vector),
                prop::collection::vec(inner.clone(), 0..6).prop_map(Edn::List),
                prop::collection::vec(inner.clone(), 0..6).prop_map(Edn::Set),
                prop::collection::vec((inner.clone(), inner.clone()), 0..6).prop_map(Edn::Map),
                ("[a-z]{1,5}", inner).prop_map(|(tag, value)| Edn::Tagged(tag, Box::new(value))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in values()) {
            prop_assert_eq!(Edn::read(&value.to_string()), Ok(value));
        }

        #[test]
        fn no_text_is_too_strange(text in ".{0,200}") {
            let _ = Edn::read_all(&text);
        }
    }
}
