//! `check.file` and `check.command`

use health::{Command, Content, File, Kind};

use crate::table::Table;
use crate::value::Value;

/// `check.file`
pub(super) fn file(table: &mut Table<'_>) -> Option<Kind> {
    let path = table.required("path", Value::path);
    let words = Content::Words { missing_up: true };
    let mut content = table.or("content", Content::Exists, |value| {
        value.choice(&[("exists", Content::Exists), ("absent", Content::Absent), ("words", words)])
    });
    if let Some(missing) = table.take("missing") {
        let up = missing.choice(&[("up", true), ("down", false)]);
        match &mut content {
            Content::Words { missing_up } => *missing_up = up.unwrap_or(true),
            Content::Exists | Content::Absent => {
                missing.problem("this is of no use without `content = \"words\"`");
            }
        }
    }
    Some(Kind::File(File { path: path?, content }))
}

/// `check.command`
pub(super) fn command(table: &mut Table<'_>) -> Option<Kind> {
    let argv = table.required("argv", Value::argv);
    let user = table.optional("user", |value| {
        value.text_that("the name of a user", |text| {
            let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'$');
            (1..=32).contains(&text.len()) && text.bytes().all(word)
        })
    });
    let weight_by_exit_code = table.or("weight_by_exit_code", false, Value::boolean);
    let user = user.unwrap_or_else(|| "nobody".into());
    Some(Kind::Command(Command { argv: argv?, user, weight_by_exit_code }))
}
