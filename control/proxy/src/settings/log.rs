use std::path::PathBuf;

/// Where answers are written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// How.
    pub format: LogFormat,
    /// Where.
    pub to: LogTo,
    /// Lines that may wait to be written; what is beyond is counted and left out.
    pub queue: usize,
}

/// The form of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// An object each.
    Json,
    /// As Apache and nginx write them.
    Combined,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTo {
    /// Standard output: systemd's journal.
    Stdout,
    /// A file, which is appended to.
    File(PathBuf),
}
