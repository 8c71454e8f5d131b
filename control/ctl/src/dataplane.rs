//! `palierctl dataplane`: becomes palier-dataplane, with the flags that the site file gives this node.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use config::{Config, L4};

use crate::args;
use crate::context::Context;
use crate::failure::Failure;
use crate::site;

const PROGRAM: &str = "palier-dataplane";

/// Does not return if all is well, unless the command line is only to be printed.
pub(crate) fn run(
    flags: &args::Dataplane,
    context: &Context,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let config = site::read(&flags.site)?.config;
    let node = node(&config, flags.node.as_deref(), &host_name())?;
    let given = config::dataplane_flags(node).ok_or_else(|| {
        Failure::refused(format!("{} names no `nics`: nothing to forward on", node.name))
    })?;
    let mut arguments: Vec<OsString> = given.into_iter().map(OsString::from).collect();
    arguments.extend(["--run-dir".into(), context.run_dir.clone().into()]);
    arguments.extend(flags.flags.iter().cloned());
    let program = program();
    if flags.print {
        let mut words = vec![program.to_string_lossy().into_owned()];
        words.extend(arguments.iter().map(|word| word.to_string_lossy().into_owned()));
        if context.json {
            writeln!(out, "{}", serde_json::json!(words))?;
        } else {
            let quoted: Vec<_> = words.iter().map(|word| quoted(word)).collect();
            writeln!(out, "{}", quoted.join(" "))?;
        }
        return Ok(());
    }
    let error = Command::new(&program).args(arguments).exec();
    Err(Failure::refused(format!("{}: {error}", program.to_string_lossy())))
}

/// The node of that name, or that the host's name names, whole or up to its first dot.
fn node<'a>(config: &'a Config, asked: Option<&str>, host: &str) -> Result<&'a L4, Failure> {
    let named = |name: &str| config.l4.iter().find(|node| node.name == name);
    let found = match asked {
        Some(name) => named(name),
        None => named(host).or_else(|| named(host.split('.').next().unwrap_or(host))),
    };
    found.ok_or_else(|| {
        let names: Vec<_> = config.l4.iter().map(|node| node.name.as_str()).collect();
        let names = names.join(", ");
        Failure::refused(match asked {
            Some(name) => format!("no L4 node has the name {name}; there are {names}"),
            None => {
                format!("no L4 node has this host's name, {host}: --node says which; of {names}")
            }
        })
    })
}

fn host_name() -> String {
    let name = nix::unistd::gethostname();
    name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The one that was installed with this program; otherwise one of the PATH.
fn program() -> OsString {
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(|folder| folder.join(PROGRAM));
    match beside.filter(|path| path.is_file()) {
        Some(path) => path.into(),
        None => OsStr::new(PROGRAM).into(),
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        for (word, expected) in [
            ("0000:3b:00.0,queues=4", "0000:3b:00.0,queues=4"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$(id)", "'$(id)'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
