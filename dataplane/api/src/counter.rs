/// Declares an enum of counters: each with its name in metrics and replies, and the text that says what
/// it counts, so that code, metrics and documentation cannot disagree.
///
/// ```
/// api::counters! {
///     /// What became of a packet.
///     pub enum Counter {
///         /// Packets sent on.
///         Forwarded => "forwarded",
///     }
/// }
/// assert_eq!(Counter::ALL, [Counter::Forwarded]);
/// assert_eq!((Counter::Forwarded.name(), Counter::Forwarded.help()), ("forwarded", " Packets sent on."));
/// ```
#[macro_export]
macro_rules! counters {
    (
        $(#[$meta:meta])*
        $vis:vis enum $counter:ident {
            $($(#[doc = $help:literal])+ $variant:ident => $name:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $counter {
            $($(#[doc = $help])+ $variant,)+
        }

        impl $counter {
            /// Every counter, in the order of their numbers.
            $vis const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name in metrics and replies.
            $vis const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it counts.
            $vis const fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($help,)+),)+ }
            }
        }
    };
}
