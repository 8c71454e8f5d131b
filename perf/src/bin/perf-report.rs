//! The table of all figures, and their plot.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use perf::Figure;
use perf::figure::table;
use perf::plot::svg;

/// Prints the figures of a file as a table, and draws them. Exit code 1: one is not as asked.
#[derive(Parser)]
struct Flags {
    /// File with the figures.
    #[arg(long)]
    figures: PathBuf,
    /// SVG file to write.
    #[arg(long)]
    plot: PathBuf,
}

fn main() -> std::io::Result<ExitCode> {
    let flags = Flags::parse();
    let figures = Figure::read_all(&flags.figures)?;
    print!("{}", table(&figures));
    std::fs::write(&flags.plot, svg(&figures))?;
    let met = figures.iter().all(Figure::is_met);
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
