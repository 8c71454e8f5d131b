//! `palierctl pki`: the command around [`pki`], which makes and reads the certificates.

use std::io::Write;
use std::time::SystemTime;

use serde::Serialize;

use crate::args::{Pki, PkiCommand};
use crate::context::Context;
use crate::failure::Failure;
use crate::pki::{self, Listed, Made};
use crate::text::{Cell, Table, Tone};

/// Days before its end from which a certificate is to be renewed.
const SOON: i64 = 30;

/// Makes or lists certificates.
pub(crate) fn run(flags: &Pki, context: &Context, out: &mut dyn Write) -> Result<(), Failure> {
    let now = SystemTime::now();
    match &flags.command {
        PkiCommand::Init { dir, site } => {
            made(&pki::init(dir, site, now).map_err(failed)?, context, out)
        }
        PkiCommand::Issue { node, dir, out: to, days } => {
            let to = to.as_ref().unwrap_or(dir);
            let days = days.unwrap_or(pki::NODE_DAYS);
            made(&pki::issue(dir, node, to, days, now).map_err(failed)?, context, out)
        }
        PkiCommand::Show { dir } => list(&pki::show(dir, now).map_err(failed)?, context, out),
    }
}

/// In one line with its causes.
fn failed(error: pki::Error) -> Failure {
    let error: &dyn std::error::Error = &error;
    let causes = std::iter::successors(error.source(), |error| error.source());
    Failure::refused(causes.fold(error.to_string(), |text, cause| {
        // Some errors name their cause themselves.
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    }))
}

fn json(value: &impl Serialize, out: &mut dyn Write) -> Result<(), Failure> {
    let line = serde_json::to_string(value).expect("string keys alone");
    Ok(writeln!(out, "{line}")?)
}

fn made(made: &Made, context: &Context, out: &mut dyn Write) -> Result<(), Failure> {
    if context.json {
        return json(made, out);
    }
    let Made { certificate, key, expires, notes } = made;
    writeln!(out, "{} (until {expires})", certificate.display())?;
    writeln!(out, "{}", key.display())?;
    Ok(notes.iter().try_for_each(|note| writeln!(out, "{note}"))?)
}

fn list(listed: &[Listed], context: &Context, out: &mut dyn Write) -> Result<(), Failure> {
    if context.json {
        return json(&listed, out);
    }
    let mut table = Table::new(&["NAME", "KIND", "UNTIL", "DAYS", "FILE"]);
    for Listed { file, ca, names, expires, days_left } in listed {
        let tone = match *days_left {
            ..0 => Tone::Bad,
            0..SOON => Tone::Warn,
            SOON.. => Tone::Plain,
        };
        table.row([
            names.join(", ").into(),
            if *ca { "CA".into() } else { "node".into() },
            Cell::new(tone, expires),
            Cell::number(days_left),
            file.display().to_string().into(),
        ]);
    }
    Ok(out.write_all(table.render(0, context.width, context.paint).as_bytes())?)
}
