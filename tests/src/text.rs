//! Changes of the lab's site file, as an editor makes them.

/// The text with further lines in the table of this name.
///
/// # Panics
/// There is no such table.
pub fn with(text: &str, name: &str, lines: &str) -> String {
    let head = format!("\nname = \"{name}\"\n");
    let at = text.find(&head).unwrap_or_else(|| panic!("{name} is in {text}")) + head.len();
    format!("{}{lines}\n{}", &text[..at], &text[at..])
}

/// The text without the table of this name.
///
/// # Panics
/// There is no such table.
pub fn without(text: &str, name: &str) -> String {
    let head = format!("]]\nname = \"{name}\"\n");
    let inside = text.find(&head).unwrap_or_else(|| panic!("{name} is in {text}"));
    let begin = text[..inside].rfind("[[").expect("the table has a head");
    let end = text[inside..].find("\n[[").map_or(text.len(), |next| inside + next + 1);
    format!("{}{}", &text[..begin], &text[end..])
}

/// The text with something in the place of something that is there.
///
/// # Panics
/// It is not there.
pub fn replaced(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "`{old}` is in {text}");
    text.replace(old, new)
}

/// The checks of `web`, the last lines of its table.
pub const WEB_CHECKS: &str = "check.http = { path = \"/healthcheck\" }\n\
    check.interval = \"500ms\"\ncheck.fast_interval = \"200ms\"\ncheck.timeout = \"400ms\"\n";

/// The same, so patient that none is given up while a test lasts.
pub const PATIENT_WEB_CHECKS: &str = "check.http = { path = \"/healthcheck\" }\n\
    check.interval = \"1h\"\ncheck.timeout = \"1h\"\n";

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[site]\nname = \"s\"\n\n[[l7]]\nname = \"a\"\nindex = 1\n\n\
                        [[l7]]\nname = \"b\"\nindex = 2\n";

    #[test]
    fn tables_grow_and_go() {
        assert!(with(TEXT, "a", "weight = 2").contains("name = \"a\"\nweight = 2\nindex = 1\n"));
        let site = "[site]\nname = \"s\"\n\n";
        assert_eq!(without(TEXT, "a"), format!("{site}[[l7]]\nname = \"b\"\nindex = 2\n"));
        assert_eq!(without(TEXT, "b"), format!("{site}[[l7]]\nname = \"a\"\nindex = 1\n\n"));
        assert_eq!(replaced(TEXT, "index = 2", "index = 3"), TEXT.replace('2', "3"));
    }
}
