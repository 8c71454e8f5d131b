//! Colours, where there are any.

use std::io::IsTerminal;

use crate::args::When;

/// What a piece of text says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing.
    #[default]
    Plain,
    /// A heading.
    Strong,
    /// Of less interest.
    Faint,
    /// All is well.
    Good,
    /// Somebody wanted it so, or it will pass.
    Warn,
    /// Look at this.
    Bad,
}

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    /// No colours.
    #[cfg(test)]
    pub(crate) const OFF: Self = Self(false);
    /// Colours.
    #[cfg(test)]
    pub(crate) const ON: Self = Self(true);

    /// As the flag says, and for `auto` the terminal and NO_COLOR (no-color.org: set, and not
    /// empty).
    pub(crate) fn choose(when: When) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self(match when {
            When::Auto => wanted && std::io::stdout().is_terminal(),
            When::Always => true,
            When::Never => false,
        })
    }

    /// The text in its colour.
    pub(crate) fn apply(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.into(),
            Tone::Strong => 1,
            Tone::Faint => 2,
            Tone::Good => 32,
            Tone::Warn => 33,
            Tone::Bad => 31,
        };
        if self.0 && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.into()
        }
    }
}
