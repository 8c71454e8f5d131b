//! `palierctl`: the operator's command.
//!
//! A file each: [`args`] has the flags, each command the name it is typed by. They ask control by its
//! socket ([`context`], [`client`]) and write to standard output; what fails is a [`failure::Failure`],
//! which knows its exit code. [`site`] alone reads site files. Two commands are programs of their
//! own: [`agent`], which runs on servers, and [`top`].

mod agent;
mod announce;
mod args;
mod capture;
mod certificate;
mod check;
mod client;
mod context;
mod dataplane;
mod explain;
mod failure;
mod flows;
mod man;
mod pki;
mod reload;
mod site;
mod state;
mod status;
mod text;
mod top;
mod zones;

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;
use health::Admin;

use crate::args::{Cli, Command, DnsCommand};
use crate::context::Context;
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody to tell if that fails.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let context = Context::new(cli.global);
    // Written to by its methods, not by `println!`, which panics where the reader is gone.
    let mut out = BufWriter::new(std::io::stdout());
    let done = run(cli.command, &context, &mut out).and_then(|()| Ok(out.flush()?));
    drop(out.into_parts());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(context.json),
    }
}

fn run(command: Command, context: &Context, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        Command::Check(flags) => check::run(&flags, context, out),
        Command::Dataplane(flags) => dataplane::run(&flags, context, out),
        Command::Status(flags) => status::run(&flags, context, out),
        Command::Explain(flags) => explain::run(&flags, context, out),
        Command::Flows(flags) => flows::run(&flags, context, out),
        Command::Capture(flags) => capture::run(&flags, context, out),
        Command::Drain(flags) => state::run(&flags, Admin::Drain, context, out),
        Command::Maintain(flags) => state::run(&flags, Admin::Maintenance, context, out),
        Command::Ready(flags) => state::run(&flags, Admin::Ready, context, out),
        Command::Weight(flags) => state::weigh(&flags, context, out),
        Command::Withdraw(flags) => announce::run(&flags, false, context, out),
        Command::Announce(flags) => announce::run(&flags, true, context, out),
        Command::Force(flags) => zones::force(&flags, context, out),
        Command::Dns(flags) => match flags.command {
            DnsCommand::Query(flags) => zones::query(&flags, context, out),
            DnsCommand::Challenge(flags) => zones::challenge(&flags, context, out),
        },
        Command::Upgrade(flags) => announce::upgrade(&flags, context, out),
        Command::Reload(flags) => reload::run(&flags, context, out),
        Command::Agent(flags) => agent::run(flags, out),
        Command::Completions(flags) => man::completions(&flags, out),
        Command::Man(flags) => man::pages(&flags, out),
        Command::Top(flags) => top::run(&flags, context, out),
        Command::Pki(flags) => certificate::run(&flags, context, out),
    }
}
