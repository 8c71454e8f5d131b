//! What was measured, as a line of JSON in a file and as a line of the table.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::rounds::Spread;

/// One figure of several rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Which part of the whole it belongs to.
    pub part: String,
    /// What was measured.
    pub name: String,
    /// With how many flows, if that matters.
    pub flows: Option<u64>,
    /// Unit of all values.
    pub unit: String,
    /// What is asked of it.
    pub asked: Option<Asked>,
    /// Median of the rounds.
    pub median: f64,
    /// Least of them.
    pub least: f64,
    /// Greatest of them.
    pub greatest: f64,
}

/// What a median has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Figure {
    /// A figure of which nothing is asked.
    pub fn new(part: &str, name: impl Into<String>, unit: &str, spread: Spread) -> Self {
        let Spread { median, least, greatest } = spread;
        let (part, name, unit) = (part.into(), name.into(), unit.into());
        Self { part, name, flows: None, unit, asked: None, median, least, greatest }
    }

    /// The same with so many flows.
    pub fn with_flows(self, flows: u64) -> Self {
        Self { flows: Some(flows), ..self }
    }

    /// The same, of which this is asked.
    pub fn asked(self, asked: Option<Asked>) -> Self {
        Self { asked, ..self }
    }

    /// Whether it is as asked.
    pub fn is_met(&self) -> bool {
        match self.asked {
            None => true,
            Some(Asked::AtMost(limit)) => self.median <= limit,
            Some(Asked::AtLeast(limit)) => self.median >= limit,
        }
    }

    /// Appends it to a file of figures.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append_to(&self, file: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        writeln!(file, "{}", serde_json::to_string(self)?)
    }

    /// The figures of a file.
    ///
    /// # Errors
    /// It cannot be read, or has something else in it.
    pub fn read_all(file: &Path) -> io::Result<Vec<Self>> {
        BufReader::new(File::open(file)?)
            .lines()
            .map(|line| serde_json::from_str(&line?).map_err(io::Error::from))
            .collect()
    }
}

/// The figures as a table for people.
pub fn table(figures: &[Figure]) -> String {
    let mut text = String::new();
    let mut part = "";
    for figure in figures {
        if figure.part != part {
            part = &figure.part;
            text += &format!(
                "\n{part:<44}{:>10}{:>10}{:>10}  {:<10}{:>10}\n",
                "median", "least", "greatest", "unit", "asked"
            );
        }
        let flows = figure.flows.map(|flows| format!(", {} flows", short(flows)));
        let name = format!("{}{}", figure.name, flows.unwrap_or_default());
        let (asked, met) = match figure.asked {
            None => (String::new(), ""),
            Some(asked) => {
                let text = match asked {
                    Asked::AtMost(limit) => format!("<= {}", digits(limit)),
                    Asked::AtLeast(limit) => format!(">= {}", digits(limit)),
                };
                (text, if figure.is_met() { "  met" } else { "  MISSED" })
            }
        };
        let line = format!(
            "  {name:<42}{:>10}{:>10}{:>10}  {:<10}{asked:>10}{met}",
            digits(figure.median),
            digits(figure.least),
            digits(figure.greatest),
            figure.unit,
        );
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// A number of flows as people say it.
pub fn short(flows: u64) -> String {
    match flows {
        n if n >= 1_000_000 && n.is_multiple_of(1_000_000) => format!("{} M", n / 1_000_000),
        n if n >= 1_000 && n.is_multiple_of(1_000) => format!("{} k", n / 1_000),
        n => n.to_string(),
    }
}

/// A value with as many digits as it is good for.
fn digits(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e6 {
        format!("{value}")
    } else if value.abs() < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(asked: Option<Asked>) -> Figure {
        let spread = Spread { median: 11.54, least: 11.0, greatest: 13.0 };
        Figure::new("pipeline", "IPv4 hits", "ns/packet", spread).with_flows(1_000).asked(asked)
    }

    #[test]
    fn the_table_says_what_was_asked_and_whether_it_is_met() {
        let figures =
            [figure(Some(Asked::AtMost(12.0))), figure(Some(Asked::AtLeast(12.0))), figure(None)];
        let table = table(&figures);
        let lines: Vec<_> = table.lines().skip(2).collect();
        assert!(lines[0].contains("IPv4 hits, 1 k flows"), "{table}");
        assert!(lines[0].ends_with("<= 12  met"), "{table}");
        assert!(lines[1].ends_with(">= 12  MISSED"), "{table}");
        assert!(lines[2].ends_with("ns/packet"), "{table}");
        assert_eq!(table.matches("median").count(), 1);
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("figures");
        let figures = [figure(Some(Asked::AtMost(12.0))), figure(None)];
        figures.iter().for_each(|figure| figure.append_to(&file).unwrap());
        assert_eq!(Figure::read_all(&file).unwrap(), figures);
    }
}
