//! Slugs: how something is named in a URL.

use deunicode::deunicode_char;

/// Most characters of a slug.
const MAX: usize = 100;
/// Most characters of one that is derived, so that a number has room behind it.
const MAX_DERIVED: usize = 80;
/// Most characters of a text that are looked at.
const MAX_TEXT: usize = 1000;

/// Whether a text is a slug: lower-case ASCII letters and digits, with single hyphens between them; 1 to 100 characters.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.len() <= MAX && text.split('-').all(is_word)
}

/// The slug of a text: its words in ASCII, as many of them as have room in 80 characters. `untitled` where nothing is left.
#[must_use]
pub fn derive(text: &str) -> String {
    let mut slug = String::new();
    let mut begins = false;
    for letter in text.chars().take(MAX_TEXT) {
        // What stands inside of a word divides none: Sunny's.
        if matches!(letter, '\'' | '’' | '\u{ad}') {
            continue;
        }
        for byte in deunicode_char(letter).unwrap_or(" ").bytes() {
            if !byte.is_ascii_alphanumeric() {
                begins = true;
                continue;
            }
            if begins && !slug.is_empty() {
                slug.push('-');
            }
            begins = false;
            slug.push(char::from(byte.to_ascii_lowercase()));
        }
        if slug.len() > MAX_DERIVED + 1 {
            break;
        }
    }
    shortened(&mut slug);
    match slug.is_empty() {
        true => "untitled".to_owned(),
        false => slug,
    }
}

/// Cut before the word that has no room; a single word is cut itself.
fn shortened(slug: &mut String) {
    if slug.len() <= MAX_DERIVED {
        return;
    }
    let room = slug.get(..=MAX_DERIVED).unwrap_or_default();
    let end = room.rfind('-').unwrap_or(MAX_DERIVED);
    slug.truncate(end);
}

/// The slug that is tried where those before it are taken: `gig-night`, `gig-night-2`, `gig-night-3`, …
#[must_use]
pub fn numbered(slug: &str, number: u32) -> String {
    match number {
        0 | 1 => slug.to_owned(),
        number => format!("{slug}-{number}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slug_says_what_its_text_says() {
        for (text, slug) in [
            ("Gig Night", "gig-night"),
            ("  Gig -- Night!  ", "gig-night"),
            ("Größe & Würde", "grosse-wurde"),
            ("Sunny’s Bar", "sunnys-bar"),
            ("C'est l’été", "cest-lete"),
            ("北京", "bei-jing"),
            ("50 % off", "50-off"),
            ("", "untitled"),
            ("…", "untitled"),
            ("\u{0}\u{10ffff}", "untitled"),
        ] {
            assert_eq!(derive(text), slug, "{text:?}");
        }
        assert_eq!(
            (numbered("a", 1), numbered("a", 2)),
            ("a".to_owned(), "a-2".to_owned())
        );
    }

    #[test]
    fn a_long_text_is_cut_between_words() {
        let slug = derive(&"nine-char ".repeat(20));
        assert_eq!(slug, ["nine-char"; 8].join("-"));
        assert_eq!(derive(&"x".repeat(200)), "x".repeat(80));
    }

    #[test]
    fn what_is_none_is_told() {
        for text in ["a", "a-1", "2026", &"a".repeat(100)] {
            assert!(is_slug(text), "{text}");
        }
        for text in [
            "",
            "-",
            "a-",
            "-a",
            "a--b",
            "A",
            "ä",
            "a b",
            "a_b",
            "a/b",
            &"a".repeat(101),
        ] {
            assert!(!is_slug(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_derived_is_a_slug_with_room_for_a_number(text in any::<String>()) {
            let slug = derive(&text);
            prop_assert!(is_slug(&slug), "{slug}");
            prop_assert!(is_slug(&numbered(&slug, u32::MAX)), "{slug}");
        }
    }
}
