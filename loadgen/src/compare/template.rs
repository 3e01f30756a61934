//! Configuration templates: text with `@name@` in it.
//!
//! The at sign was chosen because braces, dollars and percent signs mean something in the
//! configuration of one proxy or another. A name is lower-case letters and underscores; an at sign
//! that begins no such name is text. A name nobody defined is an error, so that a misspelt template
//! does not reach a proxy.

/// The values of a template's names.
pub(crate) type Values<'a> = [(&'a str, String)];

/// Replaces every `@name@`.
pub(crate) fn fill(template: &str, values: &Values<'_>) -> Result<String, String> {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('@') {
        text.push_str(before);
        let name = after.split('@').next().unwrap_or_default();
        let is_name = !name.is_empty()
            && name.len() < after.len()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !is_name {
            text.push('@');
            rest = after;
            continue;
        }
        let Some((_, value)) = values.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = values.iter().map(|(name, _)| format!("@{name}@")).collect();
            return Err(format!(
                "@{name}@ is unknown; there are {}",
                known.join(" ")
            ));
        };
        text.push_str(value);
        rest = after.get(name.len() + 1..).unwrap_or_default();
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn names_are_replaced_and_other_at_signs_stay() {
        let values = [("port", "8080".to_owned()), ("path", "a/b@c".to_owned())];
        let check = |template: &str, text: &str| {
            assert_eq!(fill(template, &values).as_deref(), Ok(text), "{template}");
        };
        check("listen @port@;", "listen 8080;");
        check("@port@@port@", "80808080");
        check("unix@@path@", "unix@a/b@c");
        check("a@b.c d@e", "a@b.c d@e");
        check("@@ @Port@ @", "@@ @Port@ @");
        check("", "");
    }

    #[test]
    fn a_misspelt_name_is_an_error() {
        let error = fill("x @prot@", &[("port", "1".to_owned())]).expect_err("unknown");
        assert!(
            error.contains("@prot@") && error.contains("@port@"),
            "{error}"
        );
    }
}
