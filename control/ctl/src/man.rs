//! `palierctl man` and `palierctl completions`: from the same description as the flags.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::{self, Cli};
use crate::failure::Failure;

/// Prints completions for a shell.
pub(crate) fn completions(flags: &args::Completions, out: &mut dyn Write) -> Result<(), Failure> {
    // Made in memory: the generator panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut Cli::command(), "palierctl", &mut script);
    Ok(out.write_all(&script)?)
}

/// Prints the page of `palierctl`, or writes a page for each command into a folder.
pub(crate) fn pages(flags: &args::Man, out: &mut dyn Write) -> Result<(), Failure> {
    let mut command = Cli::command();
    match &flags.out {
        None => Ok(Man::new(command).render(out)?),
        Some(dir) => {
            // Names of the pages of commands within commands: `palierctl-pki-init`.
            command = command.disable_help_subcommand(true);
            command.build();
            write_all(&command, dir)
                .map_err(|error| Failure::refused(format!("{}: {error}", dir.display())))
        }
    }
}

fn write_all(command: &clap::Command, dir: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        write_all(below, dir)?;
    }
    let page = Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    std::fs::write(dir.join(page.get_filename()), text)
}
