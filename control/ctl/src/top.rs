//! `palierctl top`: rates, live.
//!
//! A thread asks ([`source`]), what it hears becomes rates ([`model`], pure), which become a frame
//! ([`view`], pure); keys are [`input`]'s. Control and dataplane may go and come back.

mod input;
mod live;
mod model;
mod source;
mod view;

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use self::model::Model;
use self::view::View;
use crate::context::Context;
use crate::failure::Failure;

/// From one question to the next.
const INTERVAL: Duration = Duration::from_secs(1);
/// Lines of the frame that `--once` prints.
const HEIGHT: u16 = 48;
/// Narrowest frame that it prints.
const NARROWEST: u16 = 80;

/// `palierctl top`
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Print one frame as text, after a second, and end.
    #[arg(long)]
    once: bool,
}

/// Shows rates until `q`, or once.
pub(crate) fn run(flags: &Flags, context: &Context, out: &mut dyn Write) -> Result<(), Failure> {
    if context.json {
        let text = "top is for people: `palierctl status --json`, or the metrics, are for programs";
        return Err(Failure::Usage(text.into()));
    }
    if flags.once {
        return once(context, out);
    }
    if !io::stdout().is_terminal() {
        return Err(Failure::Usage("top wants a terminal: --once prints a frame".into()));
    }
    live::run(context)
}

fn once(context: &Context, out: &mut dyn Write) -> Result<(), Failure> {
    let mut model = Model::default();
    let started = Instant::now();
    // A dataplane that does not answer is an error here, and a line on the screen there.
    let stats = source::stats(context)?;
    model.observe(Duration::ZERO, source::with_status(context, Ok(stats)));
    std::thread::sleep(INTERVAL);
    model.observe(started.elapsed(), source::sample(context));
    let width = u16::try_from(context.width).unwrap_or(u16::MAX).max(NARROWEST);
    let view = View { model: &model, choice: view::Choice::default(), keys: false };
    out.write_all(text(view, Rect::new(0, 0, width, HEIGHT)).as_bytes())?;
    Ok(())
}

/// A frame without its empty end.
fn text(view: View<'_>, area: Rect) -> String {
    let mut buffer = Buffer::empty(area);
    view.render(area, &mut buffer);
    let line = |y| {
        let symbols: String = (0..area.width).map(|x| buffer[(x, y)].symbol()).collect();
        symbols.trim_end().to_string()
    };
    let lines: Vec<_> = (0..area.height).map(line).collect();
    lines.join("\n").trim_end().to_string() + "\n"
}
