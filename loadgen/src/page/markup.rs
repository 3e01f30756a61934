//! The only place where a page gets its angle brackets.
//!
//! Every text that comes in is escaped here, so a page may show whatever stood in a file. The one
//! exception is [`Markup::picture`], which takes a chart of `plot/`, escaped there. The shapes are
//! few on purpose: headings, paragraphs, lists, tables, facts, chips, pictures, and things to
//! unfold. What they look like is in `style.css`.

use std::fmt::{self, Write};

use crate::plot::Escaped;

/// What a word or a box means for the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It is as hoped.
    Good,
    /// It is not.
    Bad,
    /// It cannot be told, or should be looked at.
    Unsure,
    /// Neither.
    Neutral,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unsure => "unsure",
            Self::Neutral => "neutral",
        }
    }
}

/// So many columns have to move closer to fit the page side by side.
const COLUMNS_WIDE: usize = 11;
/// So few would be torn apart over its whole width.
const COLUMNS_FEW: usize = 3;

/// What stands in one field of a table.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    kind: Kind,
    note: String,
}

#[derive(Clone, Debug)]
enum Kind {
    Words,
    Name,
    Figure,
    Chip(Tone),
    Link(String),
}

impl Cell {
    /// Words.
    pub(crate) fn words(text: impl Into<String>) -> Self {
        Self::of(Kind::Words, text.into())
    }

    /// The name of a row.
    pub(crate) fn name(text: impl Into<String>) -> Self {
        Self::of(Kind::Name, text.into())
    }

    /// A number, with its unit.
    pub(crate) fn figure(text: impl Into<String>) -> Self {
        Self::of(Kind::Figure, text.into())
    }

    /// A word that is a judgement.
    pub(crate) fn chip(tone: Tone, text: impl Into<String>) -> Self {
        Self::of(Kind::Chip(tone), text.into())
    }

    /// A place on the same page, by its id.
    pub(crate) fn link(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self::of(Kind::Link(id.into()), text.into())
    }

    /// The same with something smaller after it.
    pub(crate) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    const fn of(kind: Kind, text: String) -> Self {
        Self {
            text,
            kind,
            note: String::new(),
        }
    }
}

/// Part of a page.
#[derive(Debug, Default)]
pub(crate) struct Markup {
    text: String,
}

impl Markup {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// What has been written.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Begins a section with its heading; `id` is what links name.
    pub(crate) fn section(&mut self, id: &str, heading: &str) {
        let (id, heading) = (Escaped(id), Escaped(heading));
        self.write(format_args!("<section id=\"{id}\">\n<h2>{heading}</h2>\n"));
    }

    /// Ends it.
    pub(crate) fn end_section(&mut self) {
        self.write(format_args!("</section>\n"));
    }

    /// A heading within a section.
    pub(crate) fn heading(&mut self, text: &str) {
        self.write(format_args!("<h3>{}</h3>\n", Escaped(text)));
    }

    /// The head of the page: what kind of result it is, its name, and a line beneath.
    pub(crate) fn top(&mut self, kind: &str, title: &str, beneath: &str) {
        let (kind, title, beneath) = (Escaped(kind), Escaped(title), Escaped(beneath));
        self.write(format_args!(
            "<header>\n<p class=\"kind\">{kind}</p>\n<h1>{title}</h1>\n\
             <p class=\"beneath\">{beneath}</p>\n</header>\n"
        ));
    }

    /// The verdict: a word, a sentence, and the reasons.
    pub(crate) fn verdict(&mut self, tone: Tone, word: &str, sentence: &str, reasons: &[String]) {
        let class = tone.class();
        let (word, sentence) = (Escaped(word), Escaped(sentence));
        self.write(format_args!(
            "<section class=\"verdict {class}\" id=\"verdict\">\n<h2><span class=\"chip \
             {class}\">{word}</span> {sentence}</h2>\n"
        ));
        self.list(reasons);
        self.end_section();
    }

    /// Something the reader must not overlook.
    pub(crate) fn warning(&mut self, heading: &str, sentences: &[String]) {
        if sentences.is_empty() {
            return;
        }
        self.write(format_args!(
            "<aside class=\"warning\">\n<h3>{}</h3>\n",
            Escaped(heading)
        ));
        self.list(sentences);
        self.write(format_args!("</aside>\n"));
    }

    /// A paragraph.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.write(format_args!("<p>{}</p>\n", Escaped(text)));
    }

    /// A list; nothing if there is nothing in it.
    pub(crate) fn list(&mut self, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        self.write(format_args!("<ul>\n"));
        for line in lines {
            self.write(format_args!("<li>{}</li>\n", Escaped(line)));
        }
        self.write(format_args!("</ul>\n"));
    }

    /// A list of judgements, each with its word.
    pub(crate) fn findings(&mut self, findings: &[(Tone, String, String)]) {
        if findings.is_empty() {
            return;
        }
        self.write(format_args!("<ul class=\"findings\">\n"));
        for (tone, word, sentence) in findings {
            let (class, word) = (tone.class(), Escaped(word));
            let sentence = Escaped(sentence);
            self.write(format_args!(
                "<li><span class=\"chip {class}\">{word}</span> <span>{sentence}</span></li>\n"
            ));
        }
        self.write(format_args!("</ul>\n"));
    }

    /// Links to places on the same page: id and text.
    pub(crate) fn contents(&mut self, places: &[(String, String)]) {
        self.write(format_args!("<nav>\n"));
        for (id, text) in places {
            let (id, text) = (Escaped(id), Escaped(text));
            self.write(format_args!("<a href=\"#{id}\">{text}</a>\n"));
        }
        self.write(format_args!("</nav>\n"));
    }

    /// The few figures that matter most: value, then what it is.
    pub(crate) fn tiles(&mut self, tiles: &[(String, String)]) {
        self.write(format_args!("<dl class=\"tiles\">\n"));
        for (value, name) in tiles {
            let (value, name) = (Escaped(value), Escaped(name));
            self.write(format_args!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"));
        }
        self.write(format_args!("</dl>\n"));
    }

    /// Names and what they are, one below the other; what is empty is left out.
    pub(crate) fn facts(&mut self, facts: &[(String, String)]) {
        self.write(format_args!("<dl class=\"facts\">\n"));
        for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            let (name, value) = (Escaped(name), Escaped(value));
            self.write(format_args!("<dt>{name}</dt><dd>{value}</dd>\n"));
        }
        self.write(format_args!("</dl>\n"));
    }

    /// A table; figures and their titles stand at the right.
    pub(crate) fn table(&mut self, titles: &[&str], rows: &[Vec<Cell>]) {
        let mut cells = rows.iter().flatten();
        let class = match titles.len() {
            // On a narrow screen the cells of a row stand below each other.
            _ if !cells.any(|cell| matches!(cell.kind, Kind::Figure)) => " class=\"stack\"",
            ..=COLUMNS_FEW => " class=\"few\"",
            COLUMNS_WIDE.. => " class=\"dense\"",
            _ => "",
        };
        self.write(format_args!(
            "<div class=\"scroll\"><table{class}>\n<thead><tr>"
        ));
        for (column, title) in titles.iter().enumerate() {
            let is_figure = |row: &Vec<Cell>| {
                row.get(column)
                    .is_some_and(|cell| matches!(cell.kind, Kind::Figure))
            };
            let class = match rows.iter().any(is_figure) {
                true => " class=\"figure\"",
                false => "",
            };
            let title = Escaped(title);
            self.write(format_args!("<th scope=\"col\"{class}>{title}</th>"));
        }
        self.write(format_args!("</tr></thead>\n<tbody>\n"));
        for row in rows {
            self.write(format_args!("<tr>"));
            row.iter().for_each(|cell| self.cell(cell));
            self.write(format_args!("</tr>\n"));
        }
        self.write(format_args!("</tbody>\n</table></div>\n"));
    }

    fn cell(&mut self, cell: &Cell) {
        let text = Escaped(&cell.text);
        match &cell.kind {
            Kind::Words => self.write(format_args!("<td>{text}")),
            Kind::Name => self.write(format_args!("<th scope=\"row\">{text}")),
            Kind::Figure => self.write(format_args!("<td class=\"figure\">{text}")),
            Kind::Chip(tone) => {
                let class = tone.class();
                self.write(format_args!(
                    "<td><span class=\"chip {class}\">{text}</span>"
                ));
            }
            Kind::Link(id) => {
                let id = Escaped(id);
                self.write(format_args!("<td><a href=\"#{id}\">{text}</a>"));
            }
        }
        if !cell.note.is_empty() {
            let note = Escaped(&cell.note);
            self.write(format_args!(" <small>{note}</small>"));
        }
        let end = match cell.kind {
            Kind::Name => "</th>",
            Kind::Words | Kind::Figure | Kind::Chip(_) | Kind::Link(_) => "</td>",
        };
        self.write(format_args!("{end}"));
    }

    /// A chart of `plot/`, which has escaped what it shows.
    pub(crate) fn picture(&mut self, svg: &str) {
        self.write(format_args!("<figure>{}</figure>\n", svg.trim_end()));
    }

    /// Text as it stands in a file or is typed.
    pub(crate) fn verbatim(&mut self, text: &str) {
        self.write(format_args!("<pre>{}</pre>\n", Escaped(text.trim_end())));
    }

    /// Begins something to unfold.
    pub(crate) fn fold(&mut self, summary: &str) {
        let summary = Escaped(summary);
        self.write(format_args!("<details><summary>{summary}</summary>\n"));
    }

    /// Ends it.
    pub(crate) fn end_fold(&mut self) {
        self.write(format_args!("</details>\n"));
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        // A string takes everything.
        let _ = self.text.write_fmt(text);
    }
}

/// The whole page around its content: one file that needs nothing else. The policy forbids the
/// reader's browser whatever the page does not need: scripts, and any access to a network.
pub(crate) fn page(title: &str, content: &str) -> String {
    let title = Escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{content}\
         </main>\n</body>\n</html>\n"
    )
}

const STYLE: &str = include_str!("style.css");

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "<script>alert('x')</script>&\"";

    #[test]
    fn no_text_becomes_markup() {
        let mut markup = Markup::new();
        let nasty = || NASTY.to_owned();
        markup.top(NASTY, NASTY, NASTY);
        markup.verdict(Tone::Bad, NASTY, NASTY, &[nasty()]);
        markup.warning(NASTY, &[nasty()]);
        markup.section(NASTY, NASTY);
        markup.heading(NASTY);
        markup.paragraph(NASTY);
        markup.findings(&[(Tone::Good, nasty(), nasty())]);
        markup.contents(&[(nasty(), nasty())]);
        markup.tiles(&[(nasty(), nasty())]);
        markup.facts(&[(nasty(), nasty())]);
        let cells = vec![
            Cell::words(NASTY).with_note(NASTY),
            Cell::name(NASTY),
            Cell::figure(NASTY),
            Cell::chip(Tone::Unsure, NASTY),
            Cell::link(NASTY, NASTY),
        ];
        markup.table(&[NASTY; 5], &[cells]);
        markup.verbatim(NASTY);
        markup.fold(NASTY);
        let text = page(NASTY, &markup.finish());
        assert!(!text.contains("<script") && !text.contains("&\""), "{text}");
        assert!(text.matches("&lt;script&gt;").count() > 20);
    }

    #[test]
    fn nothing_is_fetched_from_anywhere() {
        let text = page("t", "");
        assert!(!text.contains("://") && text.contains("default-src 'none'"));
        assert!(!text.contains("@import") && !text.contains("url("));
    }

    #[test]
    fn a_table_is_laid_out_by_what_it_holds() {
        let table = |cells: Vec<Cell>| {
            let mut markup = Markup::new();
            markup.table(&vec!["title"; cells.len()], &[cells]);
            markup.finish()
        };
        let with_figures = |count| {
            let mut cells = vec![Cell::name("x")];
            cells.resize(count, Cell::figure("1"));
            table(cells)
        };
        assert!(table(vec![Cell::words("x"); 4]).contains("<table class=\"stack\">"));
        assert!(with_figures(3).contains("<table class=\"few\">"));
        assert!(with_figures(4).contains("<table>") && with_figures(10).contains("<table>"));
        assert!(with_figures(11).contains("<table class=\"dense\">"));
    }

    #[test]
    fn titles_stand_where_their_figures_do() {
        let mut markup = Markup::new();
        markup.table(&["a", "b"], &[vec![Cell::name("x"), Cell::figure("1")]]);
        let text = markup.finish();
        assert!(text.contains("<th scope=\"col\">a</th><th scope=\"col\" class=\"figure\">b</th>"));
    }
}
