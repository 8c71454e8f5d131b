//! The terminal: drawn on when something changes, and given back as it was, however this ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use crossterm::event;
use ratatui::DefaultTerminal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::input::{Action, action};
use super::model::Model;
use super::source;
use super::view::{Choice, View};
use crate::context::Context;
use crate::failure::Failure;

/// How long a key is waited for before samples and signals are looked at.
const TURN: Duration = Duration::from_millis(100);

/// Shows until `q` or a signal.
pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(|error| Failure::refused(format!("signals are not heard: {error}")))?;
    }
    // It also restores the terminal before a panic's message.
    let mut terminal = ratatui::try_init()
        .map_err(|error| Failure::refused(format!("the terminal cannot be used: {error}")))?;
    let shown = show(&mut terminal, context, &stop);
    ratatui::restore();
    shown
}

fn show(
    terminal: &mut DefaultTerminal,
    context: &Context,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let samples = source::samples(context.clone());
    let started = Instant::now();
    let (mut model, mut choice) = (Model::default(), Choice::default());
    while !stop.load(Relaxed) {
        match samples.receiver.try_recv() {
            Ok(sample) => model.observe(started.elapsed(), sample),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                return Err(Failure::refused("the thread that asks has ended: a bug"));
            }
        }
        let view = View { model: &model, choice, keys: true };
        terminal.draw(|frame| frame.render_widget(view, frame.area()))?;
        if !event::poll(TURN)? {
            continue;
        }
        match action(&event::read()?) {
            Some(Action::Quit) => return Ok(()),
            Some(Action::Next) => choice = choice.next(),
            Some(Action::Previous) => choice = choice.previous(),
            Some(Action::Down) => choice.scroll = choice.scroll.saturating_add(1),
            Some(Action::Up) => choice.scroll = choice.scroll.saturating_sub(1),
            None => {}
        }
    }
    Ok(())
}
