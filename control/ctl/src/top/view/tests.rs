use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::model::tests::{away, sample, stats};
use super::*;

fn model() -> Model {
    let mut model = Model::default();
    model.observe(Duration::from_secs(1), sample(stats(10)));
    model.observe(Duration::from_secs(2), sample(stats(11)));
    model
}

/// The lines of a screen.
fn screen(model: &Model, choice: Choice, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let view = View { model, choice, keys: true };
    terminal.draw(|frame| frame.render_widget(view, frame.area())).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| line(y).trim_end().to_string()).collect()
}

fn on(panel: Panel) -> Choice {
    Choice { panel, scroll: 0 }
}

#[test]
fn a_small_screen_shows_the_chosen_panel() {
    let lines = screen(&model(), on(Panel::Nodes), 80, 24);
    assert_eq!(lines.join("\n"), include_str!("small.txt").trim_end_matches('\n'));
}

#[test]
fn a_large_screen_shows_all_of_them() {
    let lines = screen(&model(), on(Panel::Drops), 120, 40);
    assert_eq!(lines.join("\n"), include_str!("large.txt").trim_end_matches('\n'));
}

#[test]
fn each_panel_has_its_turn_and_its_rows() {
    let mut choice = Choice::default();
    for row in ["l7-2", "web", "drop_malformed", "hangs 5s"] {
        let text = screen(&model(), choice, 80, 24).join("\n");
        assert!(text.contains(row), "{row}: {text}");
        assert_eq!(choice.next().previous(), choice);
        choice = choice.next();
    }
    assert_eq!(choice, Choice::default());
}

#[test]
fn scrolling_ends_at_the_last_row() {
    let far = |scroll| screen(&model(), Choice { panel: Panel::Nodes, scroll }, 80, 24).join("\n");
    assert!(!far(1).contains("l7-1") && far(1).contains("l7-2"));
    assert!(far(usize::MAX).contains("l7-3"));
}

#[test]
fn what_is_away_is_said() {
    let mut model = model();
    model.observe(Duration::from_secs(3), away());
    let text = screen(&model, Choice::default(), 80, 24).join("\n");
    assert!(text.contains("dataplane away: gone") && text.contains("control away: gone too"));
}

#[test]
fn no_size_is_too_small() {
    for (width, height) in [(1, 1), (10, 3), (200, 2), (3, 100)] {
        screen(&model(), Choice::default(), width, height);
    }
}

#[test]
fn bars_are_proportional_and_never_hide_something() {
    assert_eq!(bar(0.0, 0.0, 4), "");
    assert_eq!(bar(1e-9, 1.0, 4), "▏");
    assert_eq!(bar(0.5, 1.0, 4), "██");
    assert_eq!(bar(2.0, 1.0, 4), "████");
}
